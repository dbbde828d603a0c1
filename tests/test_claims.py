"""Claims and their verdicts: the rules on tables made up for each case, and that every claim finds its row."""

import pandas as pd
import pytest

from lib import claims
from lib.paths import RESULTS


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
    missing = table.loc[table["verdict"] == "not measured", "section"]
    assert missing.str.endswith("Fig. 5").all()  # of profile imagenet, whose images do not come with the repository
    assert committed["ours"].to_numpy() == pytest.approx(table["ours"].to_numpy(), rel=1e-5)
    assert table["claim"].is_unique
