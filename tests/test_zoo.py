"""Claims of Figures 8 and 9, on supports made up so that the answer is known."""

import pandas as pd

from lib.chapters import zoo


def test_each_claim_compares_what_it_says():
    """Ten targets; the k-th ranking, in the order of the panels, flips all of them at k + 1: earlier ones win."""
    rankings = [ranking for panel in zoo.PANELS.values() for ranking in panel]
    rows = [
        {"kind": "removal", "method": ranking, "target": target, "size": k + 1, "reason": "found"}
        for k, ranking in enumerate(rankings)
        for target in range(10)
    ]
    by_distance, by_features, by_moco = zoo.claims(pd.DataFrame(rows), "removal", k_max=100)
    assert [(row["better"], row["worse"]) for row in by_distance][0] == ("moco_esvm", "moco_l2")
    assert len(by_distance) == 5 and all(round(row["difference"], 6) == 0.01 for row in by_distance)
    assert {row["worse"] for row in by_features} == {"supervised_esvm", "supervised_l2"} and len(by_features) == 8
    assert [round(row["difference"], 2) for row in by_features] == [0.08, 0.06, 0.04, 0.02] * 2
    assert [(row["better"], row["worse"]) for row in by_moco] == [
        (f"moco_{distance}", f"{features}_{distance}")
        for distance in ("esvm", "l2")
        for features in ("byol", "simclr", "dino")
    ]
    assert all(row["n"] == 10 and row["verdict"] == "agrees" for row in by_distance + by_features + by_moco)
