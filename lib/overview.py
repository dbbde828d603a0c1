"""The table of figures at the head of the README and of the book, made from results/: `python -m lib.overview`.

It replaces what stands between the two markers in README.md; a test fails while it is out of date.
"""

import json

import pandas as pd

from lib import paper
from lib.paths import RESULTS, ROOT
from lib.plots import label
from lib.profiles import PROFILES

PROFILE = "fashion"
BEGIN, END = "<!-- figures -->\n", "<!-- /figures -->\n"
HEADER = "| Figure | Reproduced? | Ours | Paper's | Cost | Command |\n|---|---|---|---|---|---|\n"


def table() -> str:
    """The table as Markdown, a row for each figure whose results are under results/fashion/."""
    return HEADER + "".join([_figure_1(), _figure_2(), _figure_3(), _table_1()])


def reproduced(verdicts: list[str]) -> str:
    """yes: every verdict agrees; no: none does and one disagrees; partly: some agree; else undecided."""
    if all(verdict == "agrees" for verdict in verdicts):
        return "yes"
    if "agrees" in verdicts:
        return "partly"
    return "no" if "disagrees" in verdicts else "undecided"


def update(text: str) -> str:
    """The README's text with the present table between its markers."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + table() + END + after


def _figure_1() -> str:
    scaled = pd.read_csv(RESULTS / PROFILE / "fig01" / "scaled.csv").set_index("method")
    shown = scaled.loc[["trak:20", "trak:100", "datamodels:300000"], ["times_our_seconds", "times_our_bytes"]]
    ours = [
        f"{label(name)} {time:,.1f} times our time, {size:,.0f} times our storage"
        for name, time, size in shown.itertuples()
    ]
    status = reproduced(["agrees" if ratio > 1 else "disagrees" for ratio in shown.to_numpy().flat])
    return _row("1: cost", status, "; ".join(ours), "ours least of both, by far", "fig01", _cost("fig01"))


def _figure_2() -> str:
    claims = pd.read_csv(RESULTS / PROFILE / "fig02" / "claims.csv").query("kind == 'removal'")
    ours = [
        f"{label(c.better)} against {label(c.worse)}: {c.difference:+.3f} [{c.low:+.3f}, {c.high:+.3f}], {c.verdict}"
        for c in claims.itertuples()
    ]
    ours = f"difference of removal AUC, n = {claims['n'].iloc[0]}: " + "; ".join(ours)
    papers = "MoCo finds smaller supports than supervised, the exemplar SVM smaller than L2"
    status = reproduced(claims["verdict"].tolist())
    return _row("2: features and distances", status, ours, papers, "fig02", _cost("fig02"))


def _figure_3() -> str:
    rows = pd.read_csv(RESULTS / PROFILE / "fig03" / "paper.csv")
    claims = pd.read_csv(RESULTS / PROFILE / "fig03" / "claims.csv")
    rivals = claims[claims["worse"].str.contains(":")]
    claims = claims[claims["worse"].isin([*rivals["worse"], "pixels_l2", "random"])]
    changed = {"removal": "removing", "mislabel": "mislabelling"}
    sizes = [f"{'≤' if '≤' in r.k else '<'} {r.share_of_class:.1%} of the class" for r in rows.itertuples()]
    ours = [
        f"{r.here:.0%} [{r.low:.0%}, {r.high:.0%}] flip by {changed[r.kind]} {size}"
        for r, size in zip(rows.itertuples(), sizes, strict=True)
    ]
    papers = "; ".join(f"{r.paper:.0%}" for r in rows.itertuples())
    better = "; ".join(f"{changed[c.kind]}, better than {label(c.worse)}: {c.verdict}" for c in claims.itertuples())
    status = f"{reproduced(rivals['verdict'].tolist())} ({better})"
    found = f"n = {rows['n'].iloc[0]}: {'; '.join(ours)}"
    return _row("3: support by ranking", status, found, papers, "fig03", _cost("fig03"))


def _table_1() -> str:
    rows = pd.read_csv(RESULTS / PROFILE / "table1" / "summary.csv")
    claims = pd.read_csv(RESULTS / PROFILE / "table1" / "claims.csv").query("worse == 'trak:5'")
    shown = rows[rows["method"].isin(["moco", "trak:5", "trak:20", "datamodels:2000"])]
    ours = [f"{label(r.method)} {r.lds:.2f} [{r.lds_low:.2f}, {r.lds_high:.2f}]" for r in shown.itertuples()]
    status = f"{claims['verdict'].iloc[0]} that ours is above {label('trak:5')}"
    numbers = [f"{label(name)} ({n}) {lds:.2f}" for name, n, lds in paper.table_1().itertuples(index=False)]
    profile = PROFILES[PROFILE]
    cost = f"{max(profile.subset_models) + profile.lds_models} models on halves, {max(profile.ensembles)} for TRAK"
    return _row(
        "Table 1: LDS", status, f"n = {rows['n'].iloc[0]}: {'; '.join(ours)}", "; ".join(numbers), "table1", cost
    )


def _cost(name: str) -> str:
    record = json.loads((RESULTS / PROFILE / name / "record.json").read_text())
    return f"{record['retrainings']} retrainings, {record['core_seconds'] / 3600:.1f} core-hours"


def _row(title: str, status: str, ours: str, papers: str, name: str, cost: str) -> str:
    return f"| {title} | {status} | {ours} | {papers} | {cost} | `make {name}` |\n"


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(update(readme.read_text(encoding="utf-8")), encoding="utf-8")
