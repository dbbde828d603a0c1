"""A profile as plain files, for attribution methods that live elsewhere: images, targets, networks, subset models.

    study -> `write` -> a folder of .npy, .pt and .json, with README.md and SHA256SUMS -> another library -> scores.npy

The scores come back by `python -m lib.run score` (`lib.chapters.judge`). What is in the folder, `SCHEMA` says.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pooch
import torch
from tqdm import tqdm

from lib import data
from lib.data import RESULTS, resident
from lib.methods import OURS, RANDOM
from lib.report import Page
from lib.retrain import Retraining, fit
from lib.study import BASE_SEED, Study

SCHEMA = {  # file: what an array holds
    "train_images.npy": "(n_train, c, h, w) uint8; row i is the training image with id i",
    "train_labels.npy": "(n_train,) int64, classes from 0",
    "test_images.npy": "(n_test, c, h, w) uint8; row i is the test image with id i",
    "test_labels.npy": "(n_test,) int64",
    "targets.npy": "(n_targets,) int64, test ids of the predictions to explain; a row of scores each, in this order",
    "wrong_labels.npy": "(n_targets,) int64, the class that a mislabelled image is given",
    "fit_masks.npy": "(n_models, n_train) bool, which images each model was trained on: for methods fitted to models",
    "fit_margins.npy": "(n_models, n_test) float32, correct logit less the highest other of the models of fit_masks",
    "lds_masks.npy": "(n_models, n_train) bool, of the models that the LDS is measured on: fit nothing to them",
    "lds_margins.npy": "(n_models, n_test) float32, of the models of lds_masks",
    "recipe.json": "how the networks are trained, and the sizes, classes, mean and standard deviation of the images",
    "network_0.pt": "state dict of the first of n_networks (in recipe.json), trained on all images",
}
JUDGED = RESULTS / "judged" / "fashion"  # rows of examples, a file each
AREA = ("auc", "auc_low", "auc_high")
OPENING = """\
import json, pathlib, torch
from lib import nets, retrain
stated = json.loads(pathlib.Path("recipe.json").read_text())
net = nets.build(retrain.Recipe(**stated["recipe"]), stated["channels"], stated["n_classes"], seed=0).eval()
net.load_state_dict(torch.load("network_0.pt", weights_only=True))
"""
README = """\
# {dataset}, profile `{profile}`

What the retraining test of this profile explains: {n_targets} predictions of {arch}, among {n_train} training images.
Give a score for every target and training image, (n_targets, n_train), higher = supports the prediction more:

    numpy.save("mine.npy", scores)
    python -m lib.run score -p profile {profile} -p scores mine.npy -p name "My method"

| file | content |
|---|---|
{files}

Arrays are read by `numpy.load(path, allow_pickle=False)`. A network is opened, in this folder and with the companion
installed, by these five lines; its images are `(images - mean) / std`, both a channel each in recipe.json:

```python
{opening}```

`sha256sum -c SHA256SUMS` checks the files.
"""


def emptied(to: str) -> Path:
    """The folder that a user names, made if it is not there. FileExistsError where it holds anything."""
    folder = data.given(to)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{to} is not an empty folder; name another, nothing is overwritten")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def open_page(parameters: dict) -> Page:
    """The page of an export, for whose folder see `emptied`. parameters: the notebook's, as for `Page`."""
    page = Page("export", parameters)
    if parameters["to"] is not None and page.tally is None:
        emptied(parameters["to"])
    return page


def arrays(study: Study) -> dict[str, np.ndarray]:
    """The arrays of SCHEMA by file. Models on random halves that nobody knows yet are trained."""
    dataset, attribution = study.dataset, study.attribution
    content = {key: getattr(dataset, key) for key in ("train_images", "train_labels", "test_images", "test_labels")}
    content |= {"targets": study.targets, "wrong_labels": study.wrong_labels}
    for name, models in (("fit", range(max(study.profile.subset_models, default=0))), ("lds", attribution.held_out)):
        if len(models):
            content |= dict(zip((f"{name}_masks", f"{name}_margins"), attribution.subset_margins(models), strict=True))
    return {f"{key}.npy": array for key, array in content.items()}


def recipe(study: Study) -> dict:
    """What recipe.json says: of the networks, their seeds and normalisation; sizes, classes, and what scores need."""
    dataset, profile, images = study.dataset, study.profile, resident(study.dataset)
    return {
        "profile": profile.name,
        "dataset": {"name": dataset.name, "sha256": dataset.checksum},
        "recipe": profile.recipe.identity,
        "n_networks": profile.n_base,
        "seeds": [BASE_SEED + i for i in range(profile.n_base)],
        "channels": dataset.train_images.shape[1],
        "n_classes": len(dataset.class_names),
        "class_names": dataset.class_names,
        "mean": images.mean.flatten().tolist(),
        "std": images.std.flatten().tolist(),
        "k_max": profile.k_max,
    }


def write(study: Study, folder: Path) -> pd.DataFrame:
    """Everything into an empty folder; returns a row for each file: file, content, shape, bytes.

    Cost: the base networks are trained once more, since the ledger keeps what they say and not their weights.
    """
    shapes = {}
    for name, array in arrays(study).items():
        np.save(folder / name, array, allow_pickle=False)
        shapes[name] = " x ".join(map(str, array.shape))
    stated = recipe(study)
    (folder / "recipe.json").write_text(json.dumps(stated, indent=1) + "\n", encoding="utf-8")
    for i, seed in enumerate(tqdm(stated["seeds"], desc="networks", delay=5, mininterval=5, leave=False)):
        with data.one_thread(study.driver.device):
            net = fit(study.dataset, Retraining(study.profile.recipe, seed), study.driver.device)
        state = {key: value.cpu().contiguous() for key, value in net.state_dict().items()}
        torch.save(state, folder / f"network_{i}.pt")
    rows = [_row(path, shapes) for path in sorted(folder.iterdir())]
    files = "\n".join(f"| {row['file']} | {row['content']} |" for row in rows)
    sizes = {"n_targets": len(study.targets), "n_train": len(study.dataset.train_labels)}
    sizes |= {"arch": stated["recipe"]["arch"]}
    text = README.format(dataset=study.dataset.name, profile=stated["profile"], files=files, opening=OPENING, **sizes)
    (folder / "README.md").write_text(text, encoding="utf-8")
    sums = "".join(f"{pooch.file_hash(folder / row['file'])}  {row['file']}\n" for row in rows)
    (folder / "SHA256SUMS").write_text(sums, encoding="utf-8")
    return pd.DataFrame(rows)


def _row(path: Path, shapes: dict[str, str]) -> dict:
    content = SCHEMA.get(path.name, "state dict of a further network, trained with the next seed")
    return {"file": path.name, "content": content, "shape": shapes.get(path.name, ""), "bytes": path.stat().st_size}


def judged_examples() -> pd.DataFrame:
    """What the examples reached by removal on profile fashion, and ours and random images beside them, largest first.

    Columns: method, n (targets), auc with its interval, seconds (from images to scores, the networks of the export not
    included), retrainings (that its supports rest on) and their core_seconds. By `python -m benchmarks.examples`.
    """
    tables = {path.stem: pd.read_csv(path) for path in sorted(JUDGED.glob("*.csv")) if "_supports" not in path.stem}
    rows = pd.concat([table.assign(method=f"examples/{name}.py") for name, table in tables.items()], ignore_index=True)
    board = pd.read_csv(RESULTS / "fashion" / "leaderboard" / "leaderboard.csv")
    board = board[board["method"].isin((OURS, RANDOM))].rename(columns={"n_targets": "n"})
    board = board.rename(columns={f"removal_{name}": name for name in AREA})
    columns = ["method", "n", *AREA, "seconds", "retrainings", "core_seconds"]
    rows = pd.concat([rows, board]).reindex(columns=columns)
    return rows.sort_values("auc", ascending=False, ignore_index=True)


def exported(page: Page, to: str | None) -> pd.DataFrame:
    """`write` into the folder of that name; None: into one that is gone afterwards. A dry run writes nothing."""
    if page.tally is not None:
        return pd.DataFrame({"file": list(arrays(page.study))})
    if to is not None:
        return write(page.study, emptied(to))
    with TemporaryDirectory() as folder:
        return write(page.study, Path(folder))
