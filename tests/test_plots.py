"""Tables, and names from folders."""

import io

import numpy as np

from lib.report import plots


def test_names_that_are_markup_are_shown_as_they_are():
    name = "<img src=x onerror=alert(1)>"
    shown = plots.table([{"class": name, name: name}]).to_html()
    assert "<img" not in shown and shown.count("&lt;img src=x onerror=alert(1)&gt;") == 3


def test_titles_are_no_mathematics_and_those_that_no_font_has_are_numbered(monkeypatch):
    monkeypatch.setattr(plots, "ASIAN", ())
    images, ids = np.zeros((10, 1, 8, 8), np.uint8), {"moco_l2": np.arange(10)}
    titles = ["test/a$b$_{^/x$.png", "test/\N{CJK UNIFIED IDEOGRAPH-732B}/1.png", "test/\udcff.png"]
    figure = plots.most_similar(images, {title: (images[0], ids) for title in titles})
    figure.savefig(io.BytesIO())
    assert [part.get_suptitle() for part in figure.subfigs] == [titles[0], "target 2", "target 3"]


def test_intervals_stand_beside_their_value():
    rows = [{"ours": 0.25, "ours_low": 0.125, "ours_high": 0.5}, {"ours": 2.0}, {}]
    shown = plots.table(rows).data["ours"].tolist()
    assert shown == ["0.250 [0.125,\N{NO-BREAK SPACE}0.500]", "2.000", "–"]


def test_numbers_are_as_short_as_what_they_say():
    rows = [
        {
            "bytes": 737280000.0,
            "p": 0.0,
            "difference": -0.0001,
            "low": -0.0002,
            "high": 0.5,
            "n": 3,
            "verdict": "agrees",
        },
        {"bytes": 16.0, "p": 0.0005, "difference": 0.5, "low": 0.25, "high": 0.75, "n": 4, "verdict": "undecided"},
        {"bytes": None, "p": None},
    ]
    shown = plots.table(rows)
    assert list(shown.data) == ["bytes", "p", "difference", "verdict", "n"]
    assert shown.data["p"].tolist() == ["< 0.001", "0.001", "–"]
    assert ">737280000<" in shown.to_html() and shown.data["difference"][0].startswith("0.000 [0.000,")
    assert plots.table([{"share": 0.5, "low": 0.25, "high": 1.0}]).data["share"].tolist() == [
        "0.500 [0.250,\N{NO-BREAK SPACE}1.000]"
    ]


def test_a_ranking_of_fewer_than_ten_images_leaves_panels_out():
    images = np.zeros((20, 1, 4, 4), np.uint8)
    figure = plots.most_similar(images, {"a": (images[0], {"moco_esvm": np.arange(8), "random": np.arange(12)})})
    shown = [axis.get_visible() for axis in figure.axes]
    assert len(shown) == 22 and shown[:11] == [True] * 9 + [False] * 2 and all(shown[11:])
