"""United and separate tests: how far they agree, on margins and supports made up so that the answer is known."""

import pandas as pd
import pytest

from lib.chapters import united
from lib.methods import OURS
from lib.study import REMOVAL


def margins(by_target: dict[int, tuple[float, float]], k: int = 4) -> pd.DataFrame:
    """Of two seeds, by target."""
    rows = [(REMOVAL, k, target, seed, m) for target, of in by_target.items() for seed, m in enumerate(of)]
    return pd.DataFrame(rows, columns=["kind", "k", "target", "seed", "margin"])


def test_agreement_beside_that_of_two_seeds():
    separate, together = margins({0: (1, 1), 1: (1, -1), 2: (-1, -1)}), margins({0: (2, 2), 1: (2, 0.5), 2: (-1, 1)})
    one, seeds = united.agreements(separate, together).to_dict("records")
    assert (one["n"], one["same_sign"]) == (6, pytest.approx(4 / 6)) and one["difference"] == pytest.approx(6.5 / 6)
    assert (seeds["n"], seeds["same_sign"]) == (3, pytest.approx(2 / 3))
    assert one["less_than_seeds"] == pytest.approx((0 + (1 / 2 - 0) + (1 / 2 - 1)) / 3)


def supports(sizes: list[int | None], keys: str) -> pd.DataFrame:
    rows = {"kind": REMOVAL, "method": OURS, "target": range(len(sizes)), "size": sizes, "reason": "", "keys": [*keys]}
    return pd.DataFrame(rows).astype({"size": "Int64"})


def test_costs_and_finding():
    tables = {"separate": supports([2, 4, None], "abc"), "united": supports([4, None, None], "aab")}
    row = united.costs(tables, REMOVAL, OURS, 8)
    assert row["auc_separate"] == pytest.approx((6 / 8 + 4 / 8) / 3) and row["saving"] == 1.5
    assert row["difference"] == pytest.approx(row["auc_united"] - row["auc_separate"]) and row["n"] == 3
    few, most = margins({0: (1, 1), 1: (1, -1)}), margins({0: (1, 1), 1: (1, -1)}, k=8)
    agreed = united.agreements(pd.concat([few, most]), pd.concat([few, most.assign(margin=most["margin"] + 1)]))
    said = united.finding(agreed, pd.DataFrame([row]), 8)
    assert said.startswith("**Up to k = 4, no bias") and "at k = 8 they move margins of removal by 1.00" in said
    assert f"moves by {row['difference']:.2f}" in said and "2 times fewer" in said


def test_what_united_tests_do_to_another_ranking_beside_ours():
    """Ours loses 2 of 8 on two of three targets, the other nothing; a target with one kind of test is left out."""
    ours = {"separate": supports([2, 4, 4, 4], "abcd"), "united": supports([4, 6, 4, 4], "abcd")}
    other = {"separate": supports([2, 4, 4], "abc"), "united": supports([2, 4, 4, 1], "abcd")}
    tables = {tests: pd.concat([ours[tests], other[tests].assign(method="other")]) for tests in ours}
    (row,) = united.against_ours(tables, REMOVAL, 8).to_dict("records")
    assert (row["method"], row["n"], row["mean"]) == ("other", 3, 0)
    assert row["difference"] == pytest.approx((2 + 2 + 0) / 8 / 3)


def test_partner_is_the_rival_of_the_group(monkeypatch):
    class Made:
        targets = [5, 6, 7]
        base_logits = pd.DataFrame({i: [3.0, 1.0, 2.0] for i in range(8)}).T.to_numpy()

        class dataset:
            test_labels = pd.Series({5: 0, 6: 1, 7: 2}).reindex(range(8), fill_value=0).to_numpy()

    assert united.partner(Made, [0, 1, 2], 0, -1) == 2 and united.partner(Made, [0, 1, 2], 0, 0) == 1
