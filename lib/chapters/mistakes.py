"""What one's own model gets wrong: which training images speak for the class that a target is taken for?

    OwnStudy -> is its target right? -> itself, or a MistakeStudy of the same values

Its rankings are of the class that the target is taken for, and its support is how many of these images have to go until
the target is right. The machinery is that of `lib.chapters.repair`.
"""

from dataclasses import dataclass, fields, replace

import numpy as np
import pandas as pd

from lib.bisection import WRONG_AT_ZERO
from lib.chapters import repair
from lib.chapters.own import METHODS, Files, OwnStudy
from lib.retrain import margins

RIGHT_AT_ZERO = "right at k = 0"
LISTED = 10  # mistakes that the page names


@dataclass(frozen=True, kw_only=True)
class MistakeStudy(repair.Mistaken, OwnStudy):
    """A study of a target that the base models get wrong."""

    def supports(self, *args, **options) -> pd.DataFrame:
        """As `Study.supports`, its votes and reasons about the true class: the support ends at the first right k."""
        table = super().supports(*args, **options)
        votes = table["votes"].str.replace(r":(\d+)-(\d+)", r":\2-\1", regex=True)
        return table.assign(votes=votes, reason=table["reason"].replace(WRONG_AT_ZERO, RIGHT_AT_ZERO))


def explained(study: OwnStudy) -> OwnStudy:
    """The study, or that of its target's mistake."""
    if study.target is None or _margins(study)[study.target] > 0:
        return study
    bare = MistakeStudy(**{field.name: getattr(study, field.name) for field in fields(study)})
    return replace(bare, given=repair.rankings(bare, METHODS))


def listed(study: OwnStudy, names: Files) -> pd.DataFrame:
    """Test images that the base models get wrong, the surest first: target, class, taken_for, margin.

    margin: the logit of the true class less that of the class that the image is taken for, averaged over the models.
    """
    of_all, classes = _margins(study), study.dataset.class_names
    ids = [i for i in np.argsort(of_all, kind="stable") if of_all[i] <= 0]
    own, taken = study.dataset.test_labels[ids], study.base_logits[ids].argmax(axis=1)
    content = {"target": [names.test[i] for i in ids], "class": [classes[c] for c in own]}
    return pd.DataFrame(content | {"taken_for": [classes[c] for c in taken], "margin": of_all[ids]})


def said(study: OwnStudy, names: Files) -> str:
    """What is asked of the targets, for the page, in Markdown."""
    if not isinstance(study, MistakeStudy):
        return "The models get the targets right: the images are those of a target's own class that speak for it."
    own, taken = (study.dataset.class_names[c[0]] for c in (study.dataset.test_labels[study.targets], study.taken_for))
    return (
        f"**The models get this target wrong**: `{names.test[study.target]}` is of class {own} and is taken for "
        f"{taken}. So the images are those of class {taken} that speak most for the mistake, and the support is how "
        f"many of them have to go until the target is right."
    )


def _margins(study: OwnStudy) -> np.ndarray:
    return margins(study.base_logits, study.dataset.test_labels)
