"""Names of methods in figures and tables, and the verdicts at the head of a page."""

import pytest

from lib.report import plots


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("moco_esvm", "MoCo, exemplar SVM (ours)"),
        ("moco_esvm:all", "MoCo, exemplar SVM (ours), all classes"),
        ("random:all", "random, all classes"),
        ("trak:20", "TRAK (20)"),
        ("trak:5@vit", "TRAK (5) of ViT"),
        ("dino_esvm_c0.01", "DINO, exemplar SVM, C 0.01"),
        ("simclr", "SimCLR features"),
        ("k_reciprocal", "k-reciprocal"),
    ],
)
def test_names(method, name):
    assert plots.label(method) == name


def test_every_feature_and_distance_has_a_name():
    from lib.attribution import FEATURES
    from lib.distances import DISTANCES
    from lib.nets import ARCHITECTURES

    assert set(plots.FEATURES) == set(FEATURES) and set(plots.DISTANCES) == set(DISTANCES)
    assert set(plots.NETWORKS) == set(ARCHITECTURES)


def test_intervals_stand_beside_their_value():
    rows = [{"ours": 0.25, "ours_low": 0.125, "ours_high": 0.5}, {"ours": 2.0}, {}]
    shown = plots.table(rows).data["ours"].tolist()
    assert shown == ["0.250 [0.125,\N{NO-BREAK SPACE}0.500]", "2.000", "–"]


def row(kind: str, worse: str, verdict: str, **more) -> dict:
    return {"kind": kind, "better": "moco_l2", "worse": worse, "n": 9, "verdict": verdict} | more


def test_verdicts_are_grouped_and_say_where():
    rows = [
        row("removal", "trak:20", "agrees"),
        row("mislabel", "trak:20", "agrees"),
        row("removal", "random", "agrees"),
    ]
    text = plots.verdicts([*rows, row("mislabel", "random", "undecided")])
    assert text.startswith("**Verdict** by rule on the claim that the first finds smaller supports, n = 9:\n\n")
    assert (
        "- **agrees**: *MoCo, L2* against *TRAK (20)* (removal; mislabelling), *random in the class* (removal)" in text
    )
    assert "- **undecided**: *MoCo, L2* against *random in the class* (mislabelling)" in text
    on_networks = plots.verdicts([row("removal", "random", "agrees", network=name) for name in ("resnet9", "vit")])
    assert "*random in the class* (ResNet-9; ViT)" in on_networks
    assert plots.verdicts([]) == "**Verdict**: none, as there are no results."
