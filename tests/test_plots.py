"""Tables and the verdicts at the head of a page."""

from lib.report import plots


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
