"""Verdicts follow from per-target tables by the rules, and every claim finds its tables."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lib.bisection import FOUND, LARGER
from lib.data import RESULTS
from lib.report import claims
from lib.report.paper import CLAIMS, Claim

CHEAP = Claim("cheap", "§1", "fig01", "value", {"table": "scaled", "column": "cost", "least": 1, "method": "trak:100"})
CHEAP = replace(CHEAP, paper="less")
SMALLER = Claim(
    "smaller", "§4.2", "fig03", "difference", {"kind": "removal", "better": "a", "worse": "trak"}, "smaller"
)
SHARE = {"k": 500, "kind": "removal", "method": "ours"}
FLIPS = Claim("it flips", "§4.2", "fig03", "share", {"method": "moco_esvm"}, states=[SHARE])


def write(folder, name: str, **columns) -> None:
    path = folder / name
    path.parent.mkdir(exist_ok=True, parents=True)
    pd.DataFrame(columns).to_csv(path, index=False)


def write_supports(folder, sizes: dict, file: str = "supports", **more) -> None:
    """sizes: method -> a size a target; infinite is larger than k_max."""
    rows = [
        {"kind": "removal", "method": method, "target": target, "size": size if np.isfinite(size) else None}
        | {"reason": FOUND if np.isfinite(size) else LARGER}
        | more
        for method, column in sizes.items()
        for target, size in enumerate(column)
    ]
    path = folder / f"{file}.csv"
    path.parent.mkdir(exist_ok=True, parents=True)
    pd.DataFrame(rows).to_csv(path, mode="a", header=not path.exists(), index=False)


def row_of(folder, claim: Claim, profile: str = "fashion") -> pd.Series:
    return claims.table(folder / profile, profile, [claim]).iloc[0]


SIZES = np.arange(10, 110, 5)


@pytest.mark.parametrize(
    ("ours", "rival", "verdict"),
    [(SIZES, SIZES + 20, "agrees"), (SIZES + 20, SIZES, "disagrees"), (SIZES, SIZES[::-1], "undecided")],
)
def test_differences_are_tested_by_target(tmp_path, ours, rival, verdict):
    write_supports(tmp_path / "fashion/fig03", {"a": ours, "a:all": ours * 2, "trak:20": rival})
    row = row_of(tmp_path, SMALLER)
    assert (row["verdict"], row["n"], row["tests"], row["test"]) == (verdict, 20, "separate", "sign flips")
    assert row["ours"] == pytest.approx((rival - ours).mean() / 256) and row["low"] <= row["ours"] <= row["high"]


def test_separate_tests_decide_where_both_have_them(tmp_path):
    folder = tmp_path / "cifar10/fig03"
    write_supports(folder, {"a": SIZES, "trak:10": SIZES + 20})
    assert row_of(tmp_path, SMALLER, "cifar10")["n"] == 20
    assert row_of(tmp_path, replace(SMALLER, profiles=["cifar10"]), "smoke")["tests"] == "united"
    write_supports(folder, {"a": SIZES[:3]}, "separate")
    assert row_of(tmp_path, replace(SMALLER, profiles=["cifar10"]))["tests"] == "united"
    write_supports(folder, {"trak:10": SIZES[:3], "trak:10:all": SIZES[:3]}, "separate")
    row = row_of(tmp_path, replace(SMALLER, profiles=["cifar10"]))
    assert (row["tests"], row["n"]) == ("united", 20), "three targets alone are too few"
    of_all = replace(SMALLER, profiles=["cifar10"], of=SMALLER.of | {"worse": "trak:10:all"})
    assert (row_of(tmp_path, of_all)["tests"], row_of(tmp_path, of_all)["n"]) == ("separate", 3)
    (folder / "separate.csv").unlink()
    write_supports(folder, {"a": SIZES, "trak:10": SIZES[::-1]}, "separate")
    row = row_of(tmp_path, replace(SMALLER, profiles=["cifar10"]))
    assert (row["tests"], row["n"], row["verdict"]) == ("separate", 20, "undecided")


@pytest.mark.parametrize(("ahead", "verdict"), [(20, "not judged"), (-20, "disagrees"), (0, "undecided")])
def test_ours_wins_nothing_against_a_rival_with_fewer_models(tmp_path, ahead, verdict):
    write_supports(tmp_path / "fashion/fig03", {"a": SIZES + 20, "trak:20": SIZES + 20 + ahead})
    row = row_of(tmp_path, replace(SMALLER, models=100, note="damped"))
    assert row["verdict"] == verdict
    assert row["note"] == "damped; the rival has 20 models here, where 100 would match the paper's"
    assert row_of(tmp_path, replace(SMALLER, models=20))["verdict"] != "not judged"


@pytest.mark.parametrize(
    ("flips", "of", "verdict", "of_rival"),
    [
        (23, 100, "undecided", "undecided"),
        (230, 1000, "agrees", "undecided"),
        (160, 1000, "undecided", "agrees"),
        (45, 100, "exceeds", "disagrees"),
        (5, 100, "disagrees", "disagrees"),
        (0, 10, "undecided", "undecided"),
    ],
)
def test_shares_are_compared_by_both_n(tmp_path, flips, of, verdict, of_rival):
    """The paper's are 23 and 16 of 100. A rival that flips more than it says does not make ours better."""
    folder, sizes = tmp_path / "fashion/fig03", np.where(np.arange(of) < flips, 49, 50)
    paper = {"kind": ["removal"], "share_of_class": [0.1], "k": ["< 50"]}
    write(folder, "paper.csv", **paper)
    write_supports(folder, {"moco_esvm": sizes, "trak:20": sizes})
    row = row_of(tmp_path, FLIPS)
    assert (row["ours"], row["verdict"], row["paper"]) == (flips / of, verdict, "23 %")
    rival = replace(FLIPS, of={"method": "trak"}, states=[SHARE | {"method": "TRAK (20)"}])
    assert row_of(tmp_path, rival)["verdict"] == of_rival
    falls_short = of_rival == "disagrees" and flips / of < 0.16
    hollow = "not judged" if falls_short or of_rival == "agrees" else of_rival
    assert row_of(tmp_path, replace(rival, models=100))["verdict"] == hollow, "a rival of 20 models for one of 100"


@pytest.mark.parametrize(("outcome", "stated"), [("smaller", 16), ("equal", 44)])
def test_counts_of_targets(tmp_path, outcome, stated):
    sizes = np.full(50, 40.0)
    write_supports(tmp_path / "fashion/fig04", {"moco_esvm": sizes, "datamodels:5000": sizes + (np.arange(50) < 40)})
    state = {"kind": "removal", "method": "Datamodels (50k)", "outcome": outcome}
    row = row_of(tmp_path, Claim("c", "§4.2", "fig04", "count", {"worse": "datamodels"}, states=[state]))
    expected = (0.8, "exceeds") if outcome == "smaller" else (0.2, "disagrees")
    assert (row["ours"], row["verdict"]) == expected and row["paper"] == f"{stated} % of targets"


@pytest.mark.parametrize(
    ("lost", "much", "alike"), [(80, "agrees", "disagrees"), (0, "disagrees", "agrees"), (13, "undecided", "undecided")]
)
def test_losses_on_another_network_are_beyond_what_random_ones_lose(tmp_path, lost, much, alike):
    sizes = np.tile([30, 50, 70, 90], 8)
    for network, more in (("resnet9", 0), ("mobilenetv2_shallow", lost)):
        spread = (10 + np.tile([-20, 20], 16)) * (more > 0)
        both = {"trak:20": sizes + spread + more, "random": sizes + 10 * (more > 0)}
        write_supports(tmp_path / "fashion/fig06", both, network=network)
    for claimed, verdict in (("much", much), ("alike", alike)):
        of = {"method": "trak", "network": "mobilenetv2", "claimed": claimed}
        row = row_of(tmp_path, Claim("c", "§4.4", "fig06", "loss", of, "large"))
        assert row["ours"] == pytest.approx(lost / 256) and row["verdict"] == verdict and row["tests"] == "united"


def test_falls_by_distance_are_over_all_features(tmp_path):
    falls = {"moco_esvm": 0.5, "moco_l2": 0.2, "pixels_esvm": 0.3, "pixels_l2": 0.1, "moco_esvm_unit": 9.0}
    rows = [
        {"method": method, "target": target, "k": k, "seed": 0, "margin": 1 - k * fall * (1 + target / 9)}
        for method, fall in falls.items()
        for target in range(9)
        for k in (0, 1)
    ]
    write(tmp_path / "fashion/distances", "margins.csv", **pd.DataFrame(rows).to_dict("list"))
    row = row_of(tmp_path, Claim("c", "§3.1", "distances", "fall", {"distance": "esvm"}, "more"))
    assert row["ours"] == pytest.approx(0.25 * (1 + 4 / 9)) and row["verdict"] == "agrees"
    worse = Claim("c", "§3.1", "distances", "fall", {"distance": "esvm_unit"}, "more")
    assert row_of(tmp_path, worse)["verdict"] == "agrees"


def test_lds_against_another_and_against_the_papers(tmp_path):
    scores = {"moco": 0.08 + np.linspace(-0.02, 0.02, 30), "trak:5": np.full(30, 0.2)}
    rows = [(method, i, x) for method, values in scores.items() for i, x in enumerate(values)]
    write(
        tmp_path / "fashion/table1",
        "lds.csv",
        **pd.DataFrame(rows, columns=["method", "target", "lds"]).to_dict("list"),
    )
    claim = Claim("c", "App. A.5", "table1", "lds", {"better": "moco"}, states=[{"method": "moco"}])
    assert (row_of(tmp_path, claim)["verdict"], row_of(tmp_path, claim)["paper"]) == ("agrees", "0.08")
    below = replace(claim, of={"better": "moco", "worse": "trak:5", "claimed": "worse"})
    row = row_of(tmp_path, below)
    assert (row["ours"], row["verdict"]) == (pytest.approx(-0.12), "agrees")


def test_values_with_and_without_an_interval(tmp_path):
    of = {"table": "shares", "column": "share", "least": 0.9, "what": "monotone"}
    claim = Claim("c", "App. A.4", "support", "value", of, "assumed")
    for high, verdict in ((0.8, "disagrees"), (1.0, "undecided")):
        write(tmp_path / "fashion/support", "shares.csv", what=["monotone"], share=[0.5], low=[0.2], high=[high], n=[6])
        assert row_of(tmp_path, claim)["verdict"] == verdict
    for cost, verdict in ((300, "agrees"), (0.4, "disagrees")):
        write(tmp_path / "fashion/fig01", "scaled.csv", method=["trak:100"], cost=[cost])
        row = row_of(tmp_path, CHEAP)
        assert (row["ours"], row["verdict"], row["test"]) == (cost, verdict, "as it is")


def test_main_claims_are_corrected_together(tmp_path):
    """Three of p = 1/32 each: one alone agrees, three together do not."""
    write_supports(tmp_path / "fashion/fig03", {"a": np.arange(6), "trak:20": np.arange(6) + 20})
    alone = [replace(SMALLER, main="fashion"), SMALLER]
    table = claims.table(tmp_path / "fashion", "fashion", alone)
    assert table["p"].tolist() == [1 / 32] * 2 and table["verdict"].tolist() == ["agrees"] * 2
    together = claims.table(tmp_path / "fashion", "fashion", [*alone[:1] * 3, SMALLER])
    assert together["verdict"].tolist() == ["undecided"] * 3 + ["agrees"]
    assert together["uncorrected"].tolist() == ["agrees"] * 4 and together["main"].tolist() == [True] * 3 + [False]
    assert together["p_holm"].tolist()[:3] == [3 / 32] * 3 and np.isnan(together["p_holm"][3])


def test_a_claim_has_a_row_for_each_of_its_profiles(tmp_path):
    claim = replace(SMALLER, profiles=["cifar10", "fashion"], main="cifar10")
    write_supports(tmp_path / "fashion/fig03", {"a": SIZES, "trak:20": SIZES + 20})
    table = claims.table(tmp_path / "fashion", "fashion", [claim])
    assert table["profile"].tolist() == ["cifar10", "fashion"] and table["main"].tolist() == [True, False]
    assert table["verdict"].tolist() == ["not measured", "agrees"]


def test_what_a_profile_lacks_is_not_measured_and_what_was_not_run_is_an_error(tmp_path):
    write(tmp_path / "smoke", "fig01/scaled.csv", method=["trak:10"], cost=[0.5])
    assert row_of(tmp_path, CHEAP, "smoke").dropna().to_dict() == {
        "claim": "cheap",
        "section": "§1, Fig. 1",
        "paper": "less",
        "profile": "smoke",
        "main": False,
        "uncorrected": "not measured",
        "verdict": "not measured",
        "note": "not computed on these data",
    }
    with pytest.raises(FileNotFoundError, match="there are no results of fig01 in profile fashion: make fig01"):
        row_of(tmp_path, CHEAP, "fashion")
    row = row_of(tmp_path, Claim("c", "§1", paper="much", not_tested="no GPU"), "fashion")
    assert (row["verdict"], row["note"]) == ("not tested", "no GPU")


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"measure": "costs"}, "'costs'"),
        ({"of": CHEAP.of | {"column": "euros"}}, "euros"),
        ({"of": CHEAP.of | {"price": "seconds"}}, "price"),
        ({"measure": "difference", "of": {"nobody": "trak"}}, "nobody"),
        ({"measure": "difference", "of": SMALLER.of | {"claimed": "best"}}, "best"),
    ],
)
def test_a_claim_that_cannot_be_measured_as_it_says_is_named(tmp_path, wrong, named):
    write(tmp_path / "smoke", "fig01/scaled.csv", method=["trak:100"], cost=[0.5])
    write_supports(tmp_path / "smoke/fig01", {"a": [1, 2], "trak:20": [3, 4]})
    with pytest.raises(ValueError, match=f"'cheap': .*{named}"):
        row_of(tmp_path, replace(CHEAP, **wrong), "smoke")


def test_the_committed_table_is_that_of_the_committed_results(tmp_path):
    table = claims.table(RESULTS / "fashion", "fashion")
    table.to_csv(tmp_path / "claims.csv", index=False, float_format="%.6g")
    assert (tmp_path / "claims.csv").read_text() == (RESULTS / "claims.csv").read_text()
    assert len(table) == sum(len(claim.profiles) for claim in CLAIMS) > 80
    assert not table.duplicated(["claim", "profile"]).any() and table["main"].sum() == 13
    # nothing is left out without a reason: what has no verdict says why, or has no results there
    silent = table[table["verdict"].isin(claims.LEFT_OUT) & (table["note"] == "")]
    assert silent.empty


def test_a_sentence_has_value_interval_n_and_verdict():
    row = {"claim": "it holds", "profile": "fashion", "ours": 0.456, "low": 0.1, "high": 0.8, "n": 49}
    table = pd.DataFrame([row | {"verdict": "agrees"}, row | {"profile": "smoke", "low": None, "verdict": "undecided"}])
    assert claims.said(table, "it holds", "fashion") == "0.46 [0.10, 0.80], n = 49: agrees"
    assert claims.said(table, "it holds", "smoke") == "0.46, n = 49: undecided"
    with pytest.raises(ValueError, match="there is no claim 'it fails' on fashion; see results/claims.csv"):
        claims.said(table, "it fails", "fashion")
