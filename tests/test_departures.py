"""The page of departures: none is lost, and each is told whole."""

from lib.chapters.departures import departures, listing
from lib.data import ROOT

MODULE = '''"""A module whose `DEPARTURE: ` in backticks is only spoken of."""

# DEPARTURE: the paper does this,
# we do that.
#
# Another comment.
X = 1  # DEPARTURE: two instead of one
Y = 2


class Search:
    def step(self):
        """Do a step.

        DEPARTURE: k = 0 is measured first
        (a | b).
        Source: Paper §2.
        """

    def last(self):
        """Do the last. DEPARTURE: of one line."""
'''


def test_each_is_found_where_it_is_and_read_to_its_end(tmp_path):
    (tmp_path / "one.py").write_text(MODULE)
    assert departures(tmp_path) == [
        ("one", "the paper does this, we do that."),
        ("one", "two instead of one"),
        ("one.Search.step", "k = 0 is measured first (a | b)."),
        ("one.Search.last", "of one line."),
    ]


def test_listing_is_one_item_each():
    rows = [("one", "two instead of one"), ("two.f", "three")]
    assert listing(rows) == "- **`one`**: two instead of one\n- **`two.f`**: three"


def test_none_of_the_library_is_lost():
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "lib").rglob("*.py") if path.stem != "departures"]
    assert len(departures()) == sum(source.count("DEPARTURE: ") for source in sources) > 0
