"""The table of figures in the README comes from the committed results and is up to date."""

import pytest

from lib import overview
from lib.paths import ROOT


def test_readme_is_up_to_date():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert overview.update(text) == text, "run `python -m lib.overview`"


def test_only_what_stands_between_the_markers_changes():
    text = f"above\n{overview.BEGIN}old\n{overview.END}below\n"
    updated = overview.update(text)
    assert updated.startswith("above\n") and updated.endswith("below\n") and "old" not in updated


@pytest.mark.parametrize(
    ("verdicts", "word"),
    [
        (["agrees", "agrees"], "yes"),
        (["agrees", "disagrees"], "partly"),
        (["undecided", "disagrees"], "no"),
        (["undecided", "undecided"], "undecided"),
    ],
)
def test_rule(verdicts, word):
    assert overview.reproduced(verdicts) == word
