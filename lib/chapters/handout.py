"""What a study of one's own images answered, in one HTML file: images inside, no script, nothing asked of any network.

    tables of `lib.chapters.answers` + images -> `html` -> report.html beside the page's tables

Names of files and classes may hold anything: the template escapes all that it is given.
"""

import base64
import io
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment, StrictUndefined
from PIL import Image

from lib.chapters import answers
from lib.chapters.mistakes import MistakeStudy
from lib.chapters.own import METHODS, NAME, RANKED, SHOWN, Files, OwnStudy
from lib.data import replacing

SIDE, EXACT = 96, 40  # pixels: larger images are made smaller; up to EXACT they are kept as they are, as PNG
SETTINGS = ("n_targets", "k_max", "budget", "n_votes", "n_base", "seed", "recipe", "selfsupervised")
IN_WORDS = "By MoCo features and an exemplar SVM", "By raw pixels", "Control: at random"
TITLES = dict(zip(METHODS, IN_WORDS, strict=True))
TEMPLATE = Path(__file__).with_name("handout.html")


def save(study: OwnStudy, names: Files, supports: pd.DataFrame, accuracies: pd.DataFrame, doubts: list[str]) -> Path:
    """Write the report; returns where it is. supports: of `Study.supports`. Others: of `lib.chapters.answers`."""
    text = html(study, names, supports, accuracies, doubts)
    with replacing(study.outputs(NAME) / "report.html") as path:
        path.write_bytes(text.encode("utf-8", "backslashreplace"))  # names of files can be any bytes
    return study.outputs(NAME) / "report.html"


def html(study: OwnStudy, names: Files, supports: pd.DataFrame, accuracies: pd.DataFrame, doubts: list[str]) -> str:
    """The whole text, the same for the same study."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["percent"] = "{:.0%}".format
    cost = answers.cost(study, supports)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        images=study.dataset.name,
        n_train=len(names.train),
        n_test=len(names.test),
        checksum=study.dataset.checksum,
        accuracies=accuracies.to_dict("records"),
        doubts=doubts,
        targets=[target(study, names, supports, i) for i in range(len(study.targets))],
        cost=cost.to_dict("records"),
        unit=cost.columns[-1],
        settings={key: setting(study.profile.content[key]) for key in SETTINGS},
    )


def setting(value: object) -> str:
    """A value of a profile, or those of a recipe."""
    return ", ".join(f"{key} {of}" for key, of in value.items()) if isinstance(value, dict) else str(value)


def target(study: OwnStudy, names: Files, supports: pd.DataFrame, i: int) -> dict:
    """What the report says of the i-th target: of each method its support, votes by k, and the first images."""
    test_id, dataset = study.targets[i], study.dataset
    rows = answers.table(study, supports[supports["target"] == test_id], names).to_dict("records")
    removed, methods = answers.removed(supports, names), []
    for row in rows:
        name, shown = row["method"], []
        if name in RANKED:
            first = study.attribution.ranking(name)[i][:SHOWN]
            n = removed.get((row["target"], name), 0)
            shown = [
                {"name": names.train[train], "uri": uri(dataset.train_images[train]), "removed": rank < n}
                for rank, train in enumerate(first)
            ]
        votes = sorted((int(k), *vote.split("-")) for k, vote in (v.split(":") for v in row[answers.VOTES].split()))
        methods.append({"label": TITLES[name], "support": row["support"], "votes": votes, "images": shown})
    return {
        "name": names.test[test_id],
        "uri": uri(dataset.test_images[test_id]),
        "of": dataset.class_names[dataset.test_labels[test_id]],
        "images_of": rows[0]["images_of"],
        "mistake": isinstance(study, MistakeStudy),
        "methods": methods,
    }


def uri(image: np.ndarray) -> str:
    """An image (c, h, w) uint8 as a data URI, at most SIDE pixels a side."""
    return _uri(image.tobytes(), image.shape)


@lru_cache(maxsize=1000)
def _uri(pixels: bytes, shape: tuple[int, int, int]) -> str:
    drawn = Image.fromarray(np.frombuffer(pixels, np.uint8).reshape(shape).transpose(1, 2, 0).squeeze())
    kind, options = ("PNG", {}) if max(drawn.size) <= EXACT else ("JPEG", {"quality": 85})
    drawn.thumbnail((SIDE, SIDE))
    drawn.save(file := io.BytesIO(), kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"
