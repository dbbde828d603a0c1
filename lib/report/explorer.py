"""The attribution explorer, a page of the book to look at single targets: `python -m lib.report.explorer [PROFILE …]`.

Its page, style and script stand in book/explorer/. What it shows of a profile is kept under results/explorer/: targets,
rankings, supports with the margin behind every vote, and small sprites of images. That is made again where the tables
that it rests on have changed, or where a profile is named, and its dataset is here; then it is put beside the page.
"""

import base64
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.colors import to_hex
from PIL import Image

from lib import methods
from lib.data import BOOK, RESULTS, Dataset, replacing
from lib.profiles import PROFILES, Profile
from lib.report import committed
from lib.retrain import margins, short_hash
from lib.study import MISLABEL, Study

SHOWN = {  # profile: its figures whose supports come from separate and from united tests, the main one first
    "fashion": {"separate": ("fig03", "fig10"), "united": ("fig01", "fig08", "fig09")},
    "cifar10_full": {"united": ("fig03",)},
    "imagenet": {"separate": ("fig05",)},
}
EMBEDDED = "fashion"  # the profile whose training images are all shown; of others, those that a method ranks first
FIRST, LAST, COLUMNS = 10, 640, 25  # images of a ranking with scores, and at most; images a row of a sprite
UNSIGNED = ("own_cosine", "own_l2", "typical")  # rivals whose scores are similarities: no image opposes


def supports(profile: Profile) -> pd.DataFrame:
    """The committed supports that are shown, with a column tests: "separate" or "united"."""
    tables = []
    for tests, figures in SHOWN[profile.name].items():
        for table in (committed.supports(profile, figure) for figure in figures):
            alone = table["method"].str.endswith(":all")  # a ranking of all classes cannot be united
            tables.append(table.assign(tests=np.where(alone, "separate", tests)))
    return pd.concat(tables, ignore_index=True).drop_duplicates(["tests", "kind", "method", "target"])


def content(study: Study, table: pd.DataFrame) -> dict:
    """Everything that the page shows of a study but its images, as JSON has it. table: of `supports`."""
    dataset, shown = study.dataset, {}
    for (tests, kind, method), rows in table.groupby(["tests", "kind", "method"], sort=False):
        shown.setdefault(tests, {}).setdefault(kind, {})[method] = _searches(study, rows, tests == "united")
    targets = zip(study.targets, dataset.test_labels[study.targets], study.wrong_labels, strict=True)
    return {
        "classes": dataset.class_names,
        "class_size": int(np.bincount(dataset.train_labels).min()),
        "k_max": study.profile.k_max,
        "n_votes": study.profile.n_votes,
        "targets": [{"id": int(i), "label": int(label), "wrong": int(wrong)} for i, label, wrong in targets],
        "methods": {name: _ranked(study, name) for name in table["method"].drop_duplicates()},
        "supports": shown,
    }


def _searches(study: Study, rows: pd.DataFrame, united: bool) -> list[dict | None]:
    """Of one kind and method, for each target of the study: its support, and k and the margins of every probe."""
    kind, method = rows[["kind", "method"]].iloc[0]
    ranking = study.attribution.ranking(method, study.wrong_labels if kind == MISLABEL else None)
    ranking = dict(zip(study.targets.tolist(), ranking, strict=True))
    seen: dict[tuple[int, int], list[float]] = {}
    for retraining, targets, logits in study.asked([(kind, method)], united):
        changed = [*retraining.removed, *(i for i, _ in retraining.relabelled)]
        for target, margin in zip(targets, margins(logits, study.dataset.test_labels[targets]), strict=True):
            k = int(np.isin(ranking[target], changed).sum())
            seen.setdefault((target, k), []).append(float(f"{margin:.3g}"))
    searches = {}
    for target, size, voted in rows[["target", "size", "votes"]].itertuples(index=False):
        probes = []
        for k, votes in (vote.split(":") for vote in voted.split()):
            n = sum(map(int, votes.split("-")))  # more at this k were asked for other targets' sake
            probes.append([int(k), *seen[target, int(k)][:n]])
        searches[target] = {"size": None if pd.isna(size) else int(size), "probes": probes}
    return [searches.get(target) for target in ranking]


def _ranked(study: Study, name: str) -> dict:
    """A method's rankings, the scores of the first images, and those that oppose the target most, of all classes."""
    method, attribution = methods.parse(name), study.attribution
    ranking, scores = attribution.ranking(name), attribution.scores(name)
    ranked = {"ranking": _packed(ranking), "scores": _of(scores, ranking[:, :FIRST])}
    if not method.same_class:  # an image that carries the wrong label already cannot be given it
        ranked["mislabel"] = _packed(attribution.ranking(name, study.wrong_labels))
    if method.models and method.stem not in UNSIGNED:
        every = attribution.scores(f"{name.removesuffix(':all')}:all")
        last = np.argsort(every, axis=1, kind="stable")[:, :FIRST]
        ranked["opposing"] = {"ids": last.tolist(), "scores": _of(every, last)}
    return ranked


def _packed(ranking: np.ndarray) -> list[str]:
    """Each target's first train ids as base64 of unsigned 16-bit integers, little-endian."""
    return [base64.b64encode(row[:LAST].astype("<u2").tobytes()).decode() for row in ranking]


def _of(scores: np.ndarray, ids: np.ndarray) -> list[list[float]]:
    return [[float(f"{score:.3g}") for score in row] for row in np.take_along_axis(scores, ids, axis=1)]


def images(shown: dict, dataset: Dataset, every: bool) -> dict[str, list[int]]:
    """The ids in each sprite: "test", the targets, and for each class its training images, or those ranked first."""
    ids = set(range(len(dataset.train_labels))) if every else set()
    for ranked in shown["methods"].values():
        for packed in ranked["ranking"]:
            ids.update(np.frombuffer(base64.b64decode(packed), "<u2")[:FIRST].tolist())
        ids.update(i for row in ranked.get("opposing", {"ids": []})["ids"] for i in row)
    of_class = {str(c): [i for i in sorted(ids) if dataset.train_labels[i] == c] for c in range(len(shown["classes"]))}
    return {"test": [target["id"] for target in shown["targets"]]} | of_class


def sprite(pictures: np.ndarray, path: Path, quality: int) -> None:
    """Images (n, c, h, w) uint8 as one picture, COLUMNS a row. quality: of WebP, up to 100."""
    n, c, h, w = pictures.shape
    grid = np.pad(pictures, [(0, -n % COLUMNS), *3 * [(0, 0)]]).reshape(-1, COLUMNS, c, h, w)
    whole = grid.transpose(0, 3, 1, 4, 2).reshape(-1, COLUMNS * w, c)
    with replacing(path) as temporary:
        Image.fromarray(whole.squeeze()).convert("RGB").save(temporary, quality=quality, method=6)


def make(profile: Profile, folder: Path) -> None:
    """Write what is shown of a profile: data.js, and a sprite for the targets and for each class."""
    study, table = Study(profile), supports(profile)
    shown = {"stamp": stamp(table)} | content(study, table)
    shown["sprites"] = images(shown, study.dataset, profile.name == EMBEDDED)
    for name, ids in shown["sprites"].items():
        pictures, quality = (study.dataset.test_images, 95) if name == "test" else (study.dataset.train_images, 60)
        sprite(pictures[ids], folder / f"{name}.webp", quality)
    with replacing(folder / "data.js") as path:
        path.write_text(f"window.EXPLORER.data.{profile.name}={json.dumps(shown, separators=(',', ':'))};\n")


def stamp(table: pd.DataFrame) -> str:
    """Of the supports that something rests on."""
    return short_hash(table.to_csv(index=False))


def main(named: list[str], stored: Path = RESULTS / "explorer", page: Path = BOOK / "explorer") -> None:
    """Bring what is stored up to date, and put it beside the page with how methods are called and drawn."""
    tables = {name: supports(PROFILES[name]) for name in SHOWN}
    for name, table in tables.items():
        path = stored / name / "data.js"
        stale = name in named or not path.exists() or stamp(table) not in path.read_text(encoding="utf-8")[:100]
        if stale and not committed.missing(PROFILES[name]):
            make(PROFILES[name], stored / name)
    shutil.copytree(stored, page / "explorer-data", dirs_exist_ok=True)
    names = pd.concat(tables.values())["method"].drop_duplicates()
    looks = {name: {"label": methods.label(name), "colour": to_hex(methods.look(name)[1])} for name in names}
    with replacing(page / "explorer-data" / "methods.js") as path:
        path.write_text(f"window.EXPLORER={json.dumps({'data': {}, 'columns': COLUMNS, 'methods': looks})};\n")


if __name__ == "__main__":
    main(sys.argv[1:])
