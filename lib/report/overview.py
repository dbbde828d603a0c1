"""The table of figures at the head of the README and of the book, from results/: `python -m lib.report.overview`.

It replaces what stands between the two markers in README.md; a test fails while it is out of date.
"""

from pathlib import Path

import pandas as pd

from lib.data import RESULTS, ROOT
from lib.methods import OURS, label
from lib.report.paper import FIGURES

BEGIN, END = "<!-- figures -->\n", "<!-- /figures -->\n"
HEADER = "| Figure | Claims of the paper | One finding | Command |\n|---|---|---|---|\n"
TIMES = ("scaled", "{method} {times_our_seconds:,.1f}", "core-seconds, as multiples of ours: ")
AUC = ("claims", "AUC {difference:+.2f} [{low:+.2f}, {high:+.2f}]: {better} against {worse}", "")
FLIPPED = ("paper", "{here:.0%} [{low:.0%}, {high:.0%}] flip by removal, k {k}; the paper's {paper:.0%}", "")
COUNTS = ("claims", "{smaller}, {equal}, {larger} targets", "removal support smaller, equal, larger than TRAK (20)'s: ")
LDS = ("summary", "{method} {lds:.2f} [{lds_low:.2f}, {lds_high:.2f}]", "LDS: ")
FINDINGS = {  # of a figure: its table, a row of it in words, what stands before; and the rows, each by a query
    "fig01": (TIMES, "method == 'trak:20'", "method == 'trak:100'", "method == 'datamodels:300000'"),
    "fig02": (AUC, "kind == 'removal' and better == 'moco_l2'"),
    "fig03": (FLIPPED, "kind == 'removal' and share_of_class == 0.256"),
    "fig04": (COUNTS, "kind == 'removal' and worse == 'trak:20'"),
    "fig05": (AUC, "worse == 'trak:4'"),
    "fig06": (AUC, "network == 'mobilenetv2_shallow' and worse == 'trak:20'"),
    "fig10": (AUC, "kind == 'removal'"),
    "table1": (LDS, "method == 'moco'", "method == 'trak:5'"),
}
PROFILES = {"fig02": ("fashion", "cifar10"), "fig03": ("fashion", "cifar10"), "fig05": ("imagenet",)}  # else fashion


def table() -> str:
    """The table as Markdown, a row for each figure and profile, from the tables under results/."""
    verdicts, rows = pd.read_csv(RESULTS / "claims.csv"), ""
    for name, figure in FIGURES.items():
        for profile in PROFILES.get(name, ("fashion",)):
            title, command = f"{figure.label}: {figure.title}", f"make {name}"
            if profile == "cifar10":
                title, command = f"{title}, CIFAR-10", f"{command} PROFILE=cifar10"
            of_figure = verdicts["section"].str.endswith(f", {figure.label}") & (verdicts["profile"] == profile)
            counts = counted(verdicts.loc[of_figure, "verdict"])
            rows += f"| {title} | {counts} | {_finding(name, RESULTS / profile / name)} | `{command}` |\n"
    return HEADER + rows


def counted(verdicts: pd.Series) -> str:
    """How many claims agree, disagree and are undecided, those that occur."""
    counts = verdicts.value_counts()
    words = {"agrees": "agree", "disagrees": "disagree", "undecided": "undecided"}
    return ", ".join(f"{counts[verdict]} {word}" for verdict, word in words.items() if verdict in counts) or "–"


def update(text: str) -> str:
    """The README's text with the present table between its markers."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + table() + END + after


def _finding(figure: str, folder: Path) -> str:
    if not folder.exists():
        return "no results yet"
    if figure == "fig07":
        shared = pd.read_csv(folder / "overlap.csv").set_index("method").loc[label(OURS), label("trak:20")]
        return f"ours and {label('trak:20')} share {shared:.1f} of their first ten images"
    if figure in ("fig08", "fig09"):
        rows = pd.read_csv(folder / "claims.csv").query("better.str.replace('_esvm', '_l2') == worse")
        agree = rows.loc[rows["verdict"] == "agrees", "better"].map(lambda name: label(name).split(",")[0])
        return f"exemplar SVM beats L2 with {len(agree)} of {len(rows)} features: {', '.join(agree) or 'none'}"
    (name, words, before), *queries = FINDINGS[figure]
    rows = [pd.read_csv(folder / f"{name}.csv").query(query).iloc[0].to_dict() for query in queries]
    labels = [{key: label(row[key]) for key in ("method", "better", "worse") if key in row} for row in rows]
    return before + ", ".join(words.format(**row | names) for row, names in zip(rows, labels, strict=True))


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(update(readme.read_text(encoding="utf-8")), encoding="utf-8")
