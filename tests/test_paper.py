"""The paper's numbers: the file is whole and in order, a wrong entry is named, and ours are set beside them rightly."""

import tomllib

import pandas as pd
import pytest
import yaml

from lib.data import ROOT
from lib.report import paper


def test_a_dozen_claims_are_main_each_on_one_of_its_profiles():
    main = [claim for claim in paper.CLAIMS if claim.main]
    assert 10 <= len(main) <= 14
    assert all(claim.main in claim.profiles and claim.measure for claim in main)
    figures = {claim.page for claim in main}
    assert figures == {"fig02", "fig03", "fig04", "fig05", "fig06", "table1"}


def test_every_value_that_the_paper_states_is_in_a_claim():
    stated = [paper.FIGURES[claim.page].select(keys) for claim in paper.CLAIMS for keys in claim.states]
    assert all(value in stated for figure in paper.FIGURES.values() for value in figure.values)


def test_figures_stand_in_the_sections_of_the_paper():
    figures = paper.FIGURES
    assert figures["fig06"].sections == ["§4.4"] and figures["fig03"].sections[0] == "§4.2"
    assert {figure.label for figure in figures.values()} == {*(f"Fig. {n}" for n in range(1, 11)), "Table 1"}


FIGURE = {"label": "Fig. 3", "title": "t", "sections": ["§4.2"], "n": 100, "values": [{"k": 5, "value": 23}]}
CLAIM = {"claim": "it flips", "section": "§4.2", "page": "fig03", "measure": "share", "states": [{"k": 5}]}


@pytest.mark.parametrize(
    ("figure", "claim", "message"),
    [
        ({"titel": "t"}, {}, "figures, fig03: .*'titel'; the keys are label, title, sections"),
        ({"values": [{"k": 5}]}, {}, "figures, fig03, value 1: .*missing.*'value'"),
        ({"values": [23]}, {}, "figures, fig03, value 1: .*mapping, not int"),
        ({"values": [{"k": 5, "value": "23 %"}]}, {}, "figures, fig03, value 1: '23 %' is not a number"),
        ({}, {"mesure": "share"}, "claims, number 1: .*'mesure'"),
        ({}, {"section": "§4.4"}, "claims, number 1, 'it flips': Fig. 3 is discussed in §4.2, not §4.4"),
        ({}, {"paper": "23 %"}, "claims, number 1, 'it flips': give either paper, or states"),
        ({}, {"not_tested": "no"}, "claims, number 1, 'it flips': give either a page and a measure, or why it is not"),
        ({}, {"measure": ""}, "claims, number 1, 'it flips': give either a page and a measure, or why it is not"),
        ({}, {"states": [{"k": 6}]}, "claims, number 1, 'it flips': 0 values of Fig. 3 have {'k': 6}"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path, figure, claim, message):
    path = tmp_path / "paper.yaml"
    entries = {"setups": {}, "figures": {"fig03": FIGURE | figure}, "claims": [CLAIM | claim]}
    path.write_text(yaml.safe_dump(entries, allow_unicode=True), encoding="utf-8")
    with pytest.raises(ValueError, match=f"^paper.yaml: {message}"):
        paper.load(path)


def test_a_right_entry_is_read(tmp_path):
    path = tmp_path / "paper.yaml"
    entries = {"setups": {}, "figures": {"fig03": FIGURE}, "claims": [CLAIM]}
    path.write_text(yaml.safe_dump(entries, allow_unicode=True), encoding="utf-8")
    _, figures, [claim] = paper.load(path)
    assert figures["fig03"].select({"k": 5}).value == 23 and claim.claim == "it flips"


def supports(kind: str, sizes: list) -> pd.DataFrame:
    """Of method "a", a size a target; None is larger than k_max."""
    return pd.DataFrame({"kind": kind, "method": "a", "size": sizes, "reason": "of no concern here"})


def test_beside_the_papers_numbers_by_hand():
    table = pd.concat([supports("removal", [49, 50, 128, None]), supports("mislabel", [2, 3, 4, None])])
    rows = paper.beside(table, "a", class_size=500, k_max=128).set_index("k")
    assert rows.loc["< 50", "here"] == 0.25 and rows.loc["≤ 128", "here"] == 0.75 and rows.loc["< 3", "here"] == 0.25
    assert rows.loc["< 50", "paper"] == 0.23 and rows.loc["< 50", "share_of_class"] == 0.1
    assert rows.loc["< 3", "paper_rivals"] == "Datamodels (300k): 50%, TRAK (100): 20%"
    assert (rows["n"] == 4).all() and (rows["source"] == "Paper §4.2").all()
    assert paper.beside(supports("removal", [5]), "a", 500, 99, paper.FIGURE_5)["paper"].tolist() == [4 / 30, 16 / 30]


def test_fewer_than_k_of_a_class_of_another_size_and_no_more_than_was_searched():
    """16 of 1281 is 6.2 of 500, so that 6 are fewer; 30 of 5000 is .24 of 40, so that none but no image is."""
    rows = paper.beside(supports("removal", [5, 6, 7, None]), "a", 500, 50, paper.FIGURE_5)
    assert rows["k"].tolist() == ["< 7", "< 51"] and rows["here"].tolist() == [0.5, 0.75]
    small = paper.beside(pd.concat([supports("removal", [2]), supports("mislabel", [1])]), "a", 40, 3)
    assert small["k"].tolist() == ["< 4", "< 1"] and small["here"].tolist() == [1, 0]


def test_an_installed_package_has_the_file():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert paper.FILE.name in project["tool"]["setuptools"]["package-data"]["lib.report"]
