"""Claims and their verdicts: the rules on tables made up for each case, and that every claim finds its row."""

import pandas as pd
import pytest

from lib.data import RESULTS
from lib.report import claims


def write(folder, name: str, **columns) -> None:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    pd.DataFrame(columns).to_csv(path, index=False)


@pytest.mark.parametrize(
    ("verdict", "not_better", "alike"),
    [("agrees", "disagrees", "disagrees"), ("disagrees", "agrees", "disagrees"), ("undecided",) * 3],
)
def test_differences_keep_or_turn_their_verdict_and_alike_is_never_proved(tmp_path, verdict, not_better, alike):
    row = {"kind": ["removal"], "worse": ["trak:20"], "difference": [0.2], "low": [0.1], "high": [0.3], "n": [9]}
    write(tmp_path, "fig03/claims.csv", **row, verdict=[verdict])
    found = claims.difference(claims.FIG_3, kind="removal", worse="trak")(tmp_path)
    assert found == {"measured": "difference of AUC", "ours": 0.2, "low": 0.1, "high": 0.3, "n": 9, "verdict": verdict}
    for claimed, expected in (("not better", not_better), ("alike", alike)):
        measure = claims.difference(claims.FIG_3, claimed, kind="removal", worse="trak")
        assert measure(tmp_path)["verdict"] == expected


@pytest.mark.parametrize(("paper", "verdict"), [(0.2, "agrees"), (0.1, "agrees"), (0.05, "disagrees")])
def test_shares_agree_within_the_interval(tmp_path, paper, verdict):
    row = {"kind": ["removal"], "share_of_class": [0.1], "k": ["< 50"], "here": [0.15], "low": [0.1], "high": [0.25]}
    write(tmp_path, "fig03/paper.csv", **row, n=[9], paper=[paper])
    assert claims.share("removal", 0.1)(tmp_path)["verdict"] == verdict


def test_counts_have_exact_intervals(tmp_path):
    write(tmp_path, "fig04/claims.csv", kind=["removal"], worse=["trak:20"], smaller=[0], equal=[5], n=[10])
    none = claims.count("smaller", 0.3, kind="removal", worse="trak")(tmp_path)
    assert (none["ours"], none["low"]) == (0, 0) and none["high"] == pytest.approx(1 - 0.025**0.1)
    assert none["verdict"] == "agrees"
    assert claims.count("smaller", 0.4, kind="removal", worse="trak")(tmp_path)["verdict"] == "disagrees"


@pytest.mark.parametrize(("low", "claimed", "verdict"), [(0.1, "better", "agrees"), (0.1, "not better", "disagrees")])
def test_losses_on_another_network(tmp_path, low, claimed, verdict):
    row = {"network": ["mobilenetv2_shallow"], "method": ["trak:20"], "n": [9], "loss": [0.3], "beyond_random": [0.2]}
    bounds = {"loss_low": [-1.0], "loss_high": [1.0], "beyond_random_low": [low], "beyond_random_high": [0.3]}
    write(tmp_path, "fig06/losses.csv", **row, **bounds)
    found = claims.loss("trak", "beyond_random", claimed)(tmp_path)
    assert (found["ours"], found["low"], found["n"], found["verdict"]) == (0.2, low, 9, verdict)
    assert claims.loss("trak", "loss", claimed)(tmp_path)["verdict"] == "undecided"


def test_distances_and_monotone_flips(tmp_path):
    row = {"difference": [0.4, 0.3, 0.2], "low": [0.1] * 3, "high": [0.5] * 3, "n": [9] * 3, "verdict": ["agrees"] * 3}
    write(tmp_path, "distances/against_l2.csv", method=["esvm_unit", "esvm", "cosine"], **row)
    assert claims.fall("esvm", "l2", "better")(tmp_path)["ours"] == 0.3  # not that of the first name that begins so
    assert claims.fall("cosine", "l2", "alike")(tmp_path)["verdict"] == "disagrees"
    shares = {"what": ["of these: monotone"], "share": [0.5], "low": [0.2], "n": [6]}
    for high, verdict in ((0.9, "disagrees"), (1.0, "agrees")):
        write(tmp_path, "support/shares.csv", **shares, high=[high])
        assert claims.monotone()(tmp_path)["verdict"] == verdict


def test_a_claim_may_be_of_another_profile(tmp_path, monkeypatch):
    measure = claims.difference(claims.FIG_5, worse="trak:4")
    monkeypatch.setattr(claims, "CLAIMS", (claims.Claim("smaller", "Fig. 5", "smaller", measure, "imagenet"),))
    before = claims.table(tmp_path / "fashion", "fashion").iloc[0]
    assert (before["profile"], before["verdict"]) == ("imagenet", "not measured")
    (tmp_path / "imagenet").mkdir()
    row = {"worse": ["trak:4"], "difference": [0.2], "low": [0.1], "high": [0.3], "n": [9], "verdict": ["agrees"]}
    write(tmp_path / "imagenet", "fig05/claims.csv", **row)
    after = claims.table(tmp_path / "fashion", "fashion").iloc[0]
    assert (after["profile"], after["ours"], after["verdict"]) == ("imagenet", 0.2, "agrees")


def test_costs(tmp_path):
    write(tmp_path, "fig01/scaled.csv", method=["trak:100"], times_our_seconds=[0.5], times_our_bytes=[300])
    assert claims.cost("trak:100", "seconds")(tmp_path)["verdict"] == "disagrees"
    assert claims.cost("trak:100", "bytes")(tmp_path) == {
        "measured": "its bytes over ours",
        "ours": 300,
        "verdict": "agrees",
    }


def test_what_a_profile_lacks_is_not_measured_and_what_was_not_run_is_an_error(tmp_path, monkeypatch):
    write(tmp_path, "fig01/scaled.csv", method=["trak:10"], times_our_seconds=[0.5], times_our_bytes=[300])
    only = claims.Claim("cheap", "§1", "less", claims.cost("trak:100", "seconds"))
    monkeypatch.setattr(claims, "CLAIMS", (only,))
    assert claims.table(tmp_path, "smoke").iloc[0].dropna().to_dict() == {
        "claim": "cheap",
        "section": "§1",
        "paper": "less",
        "profile": "smoke",
        "verdict": "not measured",
    }
    with pytest.raises(FileNotFoundError):
        claims.table(tmp_path / "nowhere", "smoke")


def test_the_committed_table_is_that_of_the_committed_results():
    table = claims.table(RESULTS / "fashion", "fashion")
    committed = pd.read_csv(RESULTS / "claims.csv")
    assert committed["verdict"].tolist() == table["verdict"].tolist()
    assert (table.loc[table["verdict"] == "not measured", "profile"] != "fashion").all()
    assert committed["ours"].to_numpy() == pytest.approx(table["ours"].to_numpy(), rel=1e-5, nan_ok=True)
    assert table["claim"].is_unique
