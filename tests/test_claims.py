"""Claims and their verdicts: the rules on tables made up for each case, and that every claim finds its row."""

from dataclasses import replace

import pandas as pd
import pytest

from lib.data import RESULTS
from lib.report import claims
from lib.report.paper import CLAIMS, Claim

CHEAP = Claim("cheap", "§1", "fig01", "cost", {"rival": "trak:100", "cost": "seconds"}, paper="less")


def write(folder, name: str, **columns) -> None:
    path = folder / name
    path.parent.mkdir(exist_ok=True, parents=True)
    pd.DataFrame(columns).to_csv(path, index=False)


@pytest.mark.parametrize(
    ("verdict", "not_better", "alike"),
    [("agrees", "disagrees", "disagrees"), ("disagrees", "agrees", "disagrees"), ("undecided",) * 3],
)
def test_differences_keep_or_turn_their_verdict_and_alike_is_never_proved(tmp_path, verdict, not_better, alike):
    row = {"kind": ["removal"], "worse": ["trak:20"], "difference": [0.2], "low": [0.1], "high": [0.3], "n": [9]}
    write(tmp_path, "claims.csv", **row, verdict=[verdict])
    measured = claims.difference(tmp_path, kind="removal", worse="trak")
    effect = {"ours": 0.2, "low": 0.1, "high": 0.3, "n": 9}
    assert measured == {"measured": "difference of AUC"} | effect | {"verdict": verdict}
    for claimed, expected in (("not better", not_better), ("alike", alike)):
        assert claims.difference(tmp_path, claimed=claimed, kind="removal", worse="trak")["verdict"] == expected


@pytest.mark.parametrize(("paper", "verdict"), [(0.2, "agrees"), (0.1, "agrees"), (0.05, "disagrees")])
def test_shares_agree_within_the_interval(tmp_path, paper, verdict):
    row = {"kind": ["removal"], "share_of_class": [0.1], "k": ["< 50"], "here": [0.15], "low": [0.1], "high": [0.25]}
    write(tmp_path, "paper.csv", **row, n=[9])
    assert claims.share(tmp_path, paper, "removal", 0.1)["verdict"] == verdict


def test_counts_have_exact_intervals(tmp_path):
    write(tmp_path, "claims.csv", kind=["removal"], worse=["trak:20"], smaller=[0], equal=[5], n=[10])
    none = claims.count(tmp_path, 0.3, "smaller", kind="removal", worse="trak")
    assert (none["ours"], none["low"]) == (0, 0) and none["high"] == pytest.approx(1 - 0.025**0.1)
    assert none["verdict"] == "agrees"
    assert claims.count(tmp_path, 0.4, "smaller", kind="removal", worse="trak")["verdict"] == "disagrees"


@pytest.mark.parametrize(("low", "claimed", "verdict"), [(0.1, "better", "agrees"), (0.1, "not better", "disagrees")])
def test_losses_on_another_network(tmp_path, low, claimed, verdict):
    row = {"network": ["mobilenetv2_shallow"], "method": ["trak:20"], "n": [9], "loss": [0.3], "beyond_random": [0.2]}
    bounds = {"loss_low": [-1.0], "loss_high": [1.0], "beyond_random_low": [low], "beyond_random_high": [0.3]}
    write(tmp_path, "losses.csv", **row, **bounds)
    beyond = claims.loss(tmp_path, "trak", "beyond_random", claimed)
    assert (beyond["ours"], beyond["low"], beyond["n"], beyond["verdict"]) == (0.2, low, 9, verdict)
    assert claims.loss(tmp_path, "trak", "loss", claimed)["verdict"] == "undecided"


def test_distances_and_monotone_flips(tmp_path):
    row = {"difference": [0.4, 0.3, 0.2], "low": [0.1] * 3, "high": [0.5] * 3, "n": [9] * 3, "verdict": ["agrees"] * 3}
    write(tmp_path, "against_l2.csv", method=["esvm_unit", "esvm", "cosine"], **row)
    fall = {"table": "against_l2", "value": "margins' fall"}
    esvm = claims.difference(tmp_path, **fall, method="esvm")
    assert (esvm["ours"], esvm["measured"]) == (
        0.3,
        "difference of margins' fall",
    )  # not of esvm_unit, which comes first
    assert claims.difference(tmp_path, **fall, claimed="alike", method="cosine")["verdict"] == "disagrees"
    shares = {"what": ["of these: monotone"], "share": [0.5], "low": [0.2], "n": [6]}
    for high, verdict in ((0.9, "disagrees"), (1.0, "agrees")):
        write(tmp_path, "shares.csv", **shares, high=[high])
        assert claims.monotone(tmp_path)["verdict"] == verdict


def test_a_claim_may_be_of_another_profile(tmp_path):
    claim = Claim("smaller", "§4.3", "fig05", "difference", {"worse": "trak:4"}, "smaller", profile="imagenet")
    before = claims.table(tmp_path / "fashion", "fashion", [claim]).iloc[0]
    assert (before["profile"], before["verdict"]) == ("imagenet", "not measured")
    row = {"worse": ["trak:4"], "difference": [0.2], "low": [0.1], "high": [0.3], "n": [9], "verdict": ["agrees"]}
    write(tmp_path / "imagenet", "fig05/claims.csv", **row)
    after = claims.table(tmp_path / "fashion", "fashion", [claim]).iloc[0]
    assert (after["profile"], after["ours"], after["verdict"]) == ("imagenet", 0.2, "agrees")


def test_costs(tmp_path):
    write(tmp_path, "scaled.csv", method=["trak:100"], times_our_seconds=[0.5], times_our_bytes=[300])
    assert claims.cost(tmp_path, "trak:100", "seconds")["verdict"] == "disagrees"
    cheap = {"measured": "its bytes over ours", "ours": 300, "verdict": "agrees"}
    assert claims.cost(tmp_path, "trak:100", "bytes") == cheap


def test_what_a_profile_lacks_is_not_measured_and_what_was_not_run_is_an_error(tmp_path):
    write(tmp_path, "fig01/scaled.csv", method=["trak:10"], times_our_seconds=[0.5], times_our_bytes=[300])
    assert claims.table(tmp_path, "smoke", [CHEAP]).iloc[0].dropna().to_dict() == {
        "claim": "cheap",
        "section": "§1, Fig. 1",
        "paper": "less",
        "profile": "smoke",
        "verdict": "not measured",
    }
    with pytest.raises(FileNotFoundError, match="there are no results of fig01 in profile nowhere: make fig01"):
        claims.table(tmp_path / "nowhere", "smoke", [CHEAP])


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"measure": "costs"}, "'costs'"),
        ({"of": {"rival": "trak:10", "cost": "euros"}}, "euros"),
        ({"of": {"rival": "trak:10", "price": "seconds"}}, "price"),
        ({"measure": "difference", "of": {"nobody": "trak"}}, "nobody"),
        ({"measure": "difference", "of": {"claimed": "worse"}}, "worse"),
    ],
)
def test_a_claim_that_cannot_be_measured_as_it_says_is_named(tmp_path, wrong, named):
    write(tmp_path, "fig01/scaled.csv", method=["trak:10"], times_our_seconds=[0.5], times_our_bytes=[300])
    write(tmp_path, "fig01/claims.csv", worse=["trak:10"], verdict=["agrees"])
    with pytest.raises(ValueError, match=f"'cheap': .*{named}"):
        claims.table(tmp_path, "smoke", [replace(CHEAP, **wrong)])


def test_the_committed_table_is_that_of_the_committed_results(tmp_path):
    table = claims.table(RESULTS / "fashion", "fashion")
    table.to_csv(tmp_path / "claims.csv", index=False, float_format="%.6g")
    assert (tmp_path / "claims.csv").read_text() == (RESULTS / "claims.csv").read_text()
    assert (table.loc[table["verdict"] == "not measured", "profile"] != "fashion").all()
    assert len(table) == len(CLAIMS) > 50 and table["claim"].is_unique
