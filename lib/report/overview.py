"""The table of figures at the head of the README and of the book, from results/: `python -m lib.report.overview`.

It replaces what stands between the two markers in README.md; a test fails while it is out of date.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd

from lib.data import RESULTS, ROOT
from lib.methods import OURS, label
from lib.report.paper import FIGURES

BEGIN, END = "<!-- figures -->\n", "<!-- /figures -->\n"
HEADER = "| Figure | Claims of the paper | One finding | Command |\n|---|---|---|---|\n"


def table() -> str:
    """The table as Markdown, a row for each figure and profile, from the tables under results/."""
    verdicts, rows = pd.read_csv(RESULTS / "claims.csv"), ""
    for name, profile, finding in ROWS:
        figure = FIGURES[name]
        title = f"{figure.label}: {figure.title}" + (", CIFAR-10" if profile == "cifar10" else "")
        of_figure = verdicts["section"].str.endswith(f", {figure.label}") & (verdicts["profile"] == profile)
        folder = RESULTS / profile / name
        shown = finding(folder) if folder.exists() else "no results yet"
        command = f"make {name}" + (" PROFILE=cifar10" if profile == "cifar10" else "")
        rows += f"| {title} | {counted(verdicts.loc[of_figure, 'verdict'])} | {shown} | `{command}` |\n"
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


def _times(folder: Path) -> str:
    """What rivals cost, as multiples of ours."""
    times = pd.read_csv(folder / "scaled.csv").set_index("method")["times_our_seconds"]
    rivals = [f"{label(name)} {times[name]:,.1f}" for name in ("trak:20", "trak:100", "datamodels:300000")]
    return f"core-seconds, as multiples of ours: {', '.join(rivals)}"


def _difference(folder: Path, query: str) -> str:
    """The difference of AUC in the first row of a figure's table of claims that a query selects."""
    row = pd.read_csv(folder / "claims.csv").query(query).iloc[0]
    effect = f"{row['difference']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}]"
    return f"AUC {effect}: {label(row['better'])} against {label(row['worse'])}"


def _flipped(folder: Path) -> str:
    """The share that flips within the largest number of removed images that the paper states."""
    row = pd.read_csv(folder / "paper.csv").query("kind == 'removal'").iloc[-1]
    return (
        f"{row['here']:.0%} [{row['low']:.0%}, {row['high']:.0%}] flip by removal, k {row['k']}; "
        f"the paper's {row['paper']:.0%}"
    )


def _target_by_target(folder: Path) -> str:
    row = pd.read_csv(folder / "claims.csv").query("kind == 'removal' and worse.str.startswith('trak')").iloc[0]
    counts = f"{row['smaller']}, {row['equal']}, {row['larger']}"
    return f"removal support smaller, equal, larger than {label(row['worse'])}'s: {counts} targets"


def _overlap(folder: Path) -> str:
    """How many of the first ten images of ours are TRAK's too."""
    overlap = pd.read_csv(folder / "overlap.csv").set_index("method")
    rival = next(name for name in overlap if name.startswith(label("trak:1").split()[0]))
    return f"ours and {rival} share {overlap.loc[label(OURS), rival]:.1f} of their first ten images"


def _svm_against_l2(folder: Path) -> str:
    """With how many sets of features the exemplar SVM beats L2."""
    rows = pd.read_csv(folder / "claims.csv").query("better.str.replace('_esvm', '_l2') == worse")
    agree = rows.loc[rows["verdict"] == "agrees", "better"].map(lambda name: label(name).split(",")[0])
    return f"exemplar SVM beats L2 with {len(agree)} of {len(rows)} features: {', '.join(agree) or 'none'}"


def _lds(folder: Path) -> str:
    lds = pd.read_csv(folder / "summary.csv").set_index("method").loc[["moco", "trak:5"]]
    shown = [f"{label(name)} {row.lds:.2f} [{row.lds_low:.2f}, {row.lds_high:.2f}]" for name, row in lds.iterrows()]
    return f"LDS: {', '.join(shown)}"


MOCO = partial(_difference, query="kind == 'removal' and better == 'moco_l2'")
TRAK_4 = partial(_difference, query="worse == 'trak:4'")
TRANSFER = partial(_difference, query="network == 'mobilenetv2_shallow' and worse.str.startswith('trak')")
ALL_CLASSES = partial(_difference, query="kind == 'removal'")
ROWS: tuple[tuple[str, str, Callable], ...] = (  # figure, profile, what is said of it
    ("fig01", "fashion", _times),
    ("fig02", "fashion", MOCO),
    ("fig02", "cifar10", MOCO),
    ("fig03", "fashion", _flipped),
    ("fig03", "cifar10", _flipped),
    ("fig04", "fashion", _target_by_target),
    ("fig05", "imagenet", TRAK_4),
    ("fig06", "fashion", TRANSFER),
    ("fig07", "fashion", _overlap),
    ("fig08", "fashion", _svm_against_l2),
    ("fig09", "fashion", _svm_against_l2),
    ("fig10", "fashion", ALL_CLASSES),
    ("table1", "fashion", _lds),
)


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(update(readme.read_text(encoding="utf-8")), encoding="utf-8")
