"""The table of figures at the head of the README and of the book, made from results/: `python -m lib.overview`.

It replaces what stands between the two markers in README.md; a test fails while it is out of date.
"""

import json

import pandas as pd

from lib.paths import RESULTS, ROOT
from lib.plots import label

PROFILE = "fashion"
BEGIN, END = "<!-- figures -->\n", "<!-- /figures -->\n"
HEADER = "| Figure | Reproduced? | Ours | Paper's | Cost | Command |\n|---|---|---|---|---|---|\n"


def table() -> str:
    """The table as Markdown, a row for each figure whose results are under results/fashion/."""
    return HEADER + "".join([_figure_2(), _figure_3()])


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


def _figure_2() -> str:
    claims = pd.read_csv(RESULTS / PROFILE / "fig02" / "claims.csv").query("kind == 'removal'")
    ours = [
        f"{label(c.better)} against {label(c.worse)}: {c.difference:+.3f} [{c.low:+.3f}, {c.high:+.3f}], {c.verdict}"
        for c in claims.itertuples()
    ]
    ours = f"difference of removal AUC, n = {claims['n'].iloc[0]}: " + "; ".join(ours)
    paper = "MoCo finds smaller supports than supervised, the exemplar SVM smaller than L2"
    return _row("2: features and distances", reproduced(claims["verdict"].tolist()), ours, paper, "fig02")


def _figure_3() -> str:
    rows = pd.read_csv(RESULTS / PROFILE / "fig03" / "paper.csv")
    claims = pd.read_csv(RESULTS / PROFILE / "fig03" / "claims.csv").query("worse in ['random', 'pixels_l2']")
    changed = {"removal": "removing", "mislabel": "mislabelling"}
    sizes = [f"{'≤' if '≤' in r.k else '<'} {r.share_of_class:.1%} of the class" for r in rows.itertuples()]
    ours = [
        f"{r.here:.0%} [{r.low:.0%}, {r.high:.0%}] flip by {changed[r.kind]} {size}"
        for r, size in zip(rows.itertuples(), sizes, strict=True)
    ]
    paper = [f"{r.paper:.0%}" for r in rows.itertuples()]
    controls = "; ".join(f"{changed[c.kind]}, better than {label(c.worse)}: {c.verdict}" for c in claims.itertuples())
    status = f"ours only, no TRAK or Datamodels yet ({controls})"
    return _row(
        "3: support by ranking", status, f"n = {rows['n'].iloc[0]}: " + "; ".join(ours), "; ".join(paper), "fig03"
    )


def _row(title: str, status: str, ours: str, paper: str, name: str) -> str:
    record = json.loads((RESULTS / PROFILE / name / "record.json").read_text())
    cost = f"{record['retrainings']} retrainings, {record['core_seconds'] / 3600:.1f} core-hours"
    return f"| {title} | {status} | {ours} | {paper} | {cost} | `make {name}` |\n"


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(update(readme.read_text(encoding="utf-8")), encoding="utf-8")
