"""Claims of the paper beside what was measured here: a row each, and in sentences, from the committed results."""

import pandas as pd
import pytest

from lib.chapters import beside
from lib.report import Page, claims

ROW = {"claim": "it flips", "paper": "23 %", "measured": "share flipped, k < 50", "low": 0.1, "high": 0.3, "n": 9}


@pytest.fixture
def page():
    return Page("fig03", {"profile": "fashion"})


def stand_in(monkeypatch, **columns: list) -> None:
    """Claims of the figure: ROW, with these columns."""
    rows = pd.DataFrame(columns).assign(**{key: value for key, value in ROW.items() if key not in columns})
    monkeypatch.setattr(claims, "of_figure", lambda name: rows)


def test_every_claim_has_its_row_and_every_measurement_its_cell(page):
    rows, (shown, notes) = claims.of_figure("fig03"), beside.cells(page)
    assert shown["claim"].tolist() == rows["claim"].unique().tolist()
    of_data = shown.drop(columns=["claim", "paper", "measured"])
    assert list(of_data) == ["All of CIFAR-10", "A fifth of CIFAR-10", "Fashion-MNIST"]
    assert (of_data != "–").to_numpy().sum() == len(rows)
    several = rows.groupby("claim")["tests"].transform("nunique") > 1
    unmarked = {cell.rstrip("⁰¹²³⁴⁵⁶⁷⁸⁹ ") for cell in of_data.to_numpy().ravel()}
    assert set(rows[~several].apply(claims.in_words, axis=1)) <= unmarked
    page_shows = beside.table(page).data
    assert (
        all(note in page_shows.replace("&#x27;", "'") for note in notes) and page_shows.count("<tr>") == len(shown) + 1
    )


def test_tests_are_named_where_they_differ_and_notes_once(page, monkeypatch):
    names, tests = ["fashion", "cifar10", "fashion"], ["separate", "united", "separate"]
    verdicts, notes = ["agrees", "agrees", "not judged"], ["old; narrow", "narrow", None]
    claim = ["it flips", "it flips", "it stays"]
    stand_in(monkeypatch, claim=claim, profile=names, tests=tests, verdict=verdicts, note=notes, ours=[0.2] * 3)
    shown, listed = beside.cells(page)
    flips, stays = shown.to_dict("records")
    assert listed == ["¹ old", "² narrow"]
    assert flips["Fashion-MNIST"] == "0.20 [0.10, 0.30], n = 9 (separate): agrees ¹ ²"
    assert flips["A fifth of CIFAR-10"] == "0.20 [0.10, 0.30], n = 9 (united): agrees ²"
    assert flips["measured"] == "share flipped"
    assert (stays["Fashion-MNIST"], stays["A fifth of CIFAR-10"]) == (
        "0.20 [0.10, 0.30], n = 9: not judged",
        "–",
    )


def test_a_claim_is_said_of_all_data_that_it_was_measured_on(page, monkeypatch):
    names, ours = ["fashion", "cifar10_full", "cifar10"], [-0.001, 0.25, None]
    stand_in(monkeypatch, profile=names, verdict=["agrees", "agrees", "not measured"], ours=ours)
    assert beside.everywhere(page, "it flips") == "0.25 on all of CIFAR-10, 0.00 on Fashion-MNIST: agrees"
    stand_in(monkeypatch, profile=names, verdict=["agrees", "undecided", "not measured"], ours=ours)
    assert beside.everywhere(page, "it flips") == "0.25 on all of CIFAR-10 (undecided), 0.00 on Fashion-MNIST (agrees)"
