"""The table of figures at the head of the README and of the book, made from results/: `python -m lib.overview`.

It replaces what stands between the two markers in README.md; a test fails while it is out of date.
"""

import json
from collections.abc import Callable

import pandas as pd

from lib.data import RESULTS, ROOT
from lib.methods import label
from lib.profiles import PROFILES
from lib.report import paper
from lib.report.plots import CHANGES

PROFILE = "fashion"
BEGIN, END = "<!-- figures -->\n", "<!-- /figures -->\n"
HEADER = "| Figure | The paper's claims | Ours | Paper's | Cost | Command |\n|---|---|---|---|---|---|\n"


def table() -> str:
    """The table as Markdown, a row for each figure, from the tables under results/."""
    verdicts = pd.read_csv(RESULTS / "claims.csv")
    rows = ""
    for profile, name, title, found, papers in FIGURES:
        figure = "Table 1" if name == "table1" else f"Fig. {int(name[3:])}"
        here = verdicts["section"].str.endswith(f", {figure}") & (verdicts["profile"] == profile)
        there = (RESULTS / profile / name).exists()
        ours, cost = (found(), _cost(profile, name)) if there else ("no results yet", "–")
        command = f"make {name}" + ("" if profile in (PROFILE, "imagenet") else f" PROFILE={profile}")
        rows += f"| {title} | {counted(verdicts.loc[here, 'verdict'])} | {ours} | {papers()} | {cost} | `{command}` |\n"
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


def _figure_1() -> str:
    scaled = _read("fig01", "scaled").set_index("method")
    shown = scaled.loc[["trak:20", "trak:100", "datamodels:300000"], ["times_our_seconds", "times_our_bytes"]]
    ours = [
        f"{label(name)} {time:,.1f} times our time, {size:,.0f} times our storage"
        for name, time, size in shown.itertuples()
    ]
    return "; ".join(ours)


def _differences(name: str, query: str, profile: str = PROFILE) -> Callable[[], str]:
    """Differences of AUC, of the rows of a figure's table of claims that a query selects."""

    def found() -> str:
        rows = _read(name, "claims", profile).query(query)
        kinds = rows["kind"].map(lambda kind: f"{CHANGES[kind]}: " if rows["kind"].nunique() > 1 else "")
        shown = [
            f"{kind}{label(r.better)} against {label(r.worse)} {r.difference:+.3f} [{r.low:+.3f}, {r.high:+.3f}]"
            for kind, r in zip(kinds, rows.itertuples(), strict=True)
        ]
        return f"difference of AUC, n = {rows['n'].iloc[0]}: {'; '.join(shown)}"

    return found


def _figure_3() -> str:
    rows = _read("fig03", "paper")
    changed = {"removal": "removing", "mislabel": "mislabelling"}
    sizes = [f"{'≤' if '≤' in r.k else '<'} {r.share_of_class:.1%} of the class" for r in rows.itertuples()]
    ours = [
        f"{r.here:.0%} [{r.low:.0%}, {r.high:.0%}] flip by {changed[r.kind]} {size}"
        for r, size in zip(rows.itertuples(), sizes, strict=True)
    ]
    return f"n = {rows['n'].iloc[0]}: {'; '.join(ours)}"


def _paper_3() -> str:
    return "; ".join(f"{row.paper:.0%}" for row in _read("fig03", "paper").itertuples())


def _figure_4() -> str:
    shown = [
        f"{CHANGES[row.kind]}, against {label(row.worse)}: {row.smaller} / {row.equal} / {row.larger}"
        for row in _read("fig04", "claims").itertuples()
        if ":" in row.worse
    ]
    return "our support smaller / equal / larger: " + "; ".join(shown)


def _table_1() -> str:
    rows = _read("table1", "summary")
    shown = rows[rows["method"].isin(["moco", "trak:5", "trak:20", "datamodels:2000"])]
    ours = [f"{label(r.method)} {r.lds:.2f} [{r.lds_low:.2f}, {r.lds_high:.2f}]" for r in shown.itertuples()]
    return f"n = {rows['n'].iloc[0]}: {'; '.join(ours)}"


def _paper_table_1() -> str:
    return "; ".join(f"{label(name)} ({n}) {lds:.2f}" for name, n, lds in paper.table_1().itertuples(index=False))


def _read(name: str, key: str, profile: str = PROFILE) -> pd.DataFrame:
    return pd.read_csv(RESULTS / profile / name / f"{key}.csv")


def _cost(profile: str, name: str) -> str:
    if name == "table1":
        values = PROFILES[profile]
        return f"{max(values.subset_models) + values.lds_models} models on halves, {max(values.ensembles)} for TRAK"
    record = json.loads((RESULTS / profile / name / "record.json").read_text())
    return f"{record['retrainings']} retrainings, {record['core_seconds'] / 3600:.1f} core-hours"


def _says(text: str) -> Callable[[], str]:
    return lambda: text


SVM_AGAINST_L2 = "better.str.replace('_esvm', '_l2') == worse"
FEATURES = _says("MoCo finds smaller supports than supervised, the exemplar SVM smaller than L2")
FIGURES = (  # profile, name, title, what was found, what the paper says
    (PROFILE, "fig01", "1: cost", _figure_1, _says("ours least of both, by far")),
    (PROFILE, "fig02", "2: features and distances", _differences("fig02", "kind == 'removal'"), FEATURES),
    ("cifar10", "fig02", "2: on CIFAR-10", _differences("fig02", "kind == 'removal'", "cifar10"), FEATURES),
    (PROFILE, "fig03", "3: support by ranking", _figure_3, _paper_3),
    (
        "cifar10",
        "fig03",
        "3: on CIFAR-10",
        _differences("fig03", "kind == 'removal' and tests == 'united'", "cifar10"),
        _says("ours smaller than TRAK (20)"),
    ),
    (
        PROFILE,
        "fig04",
        "4: target by target",
        _figure_4,
        _says("removal: smaller than Datamodels' for 16 %, equal for 44 %"),
    ),
    (
        "imagenet",
        "fig05",
        "5: ImageNet",
        _differences("fig05", "kind == 'removal'", "imagenet"),
        _says("ours smaller than TRAK (1) and TRAK (4)"),
    ),
    (
        PROFILE,
        "fig06",
        "6: another network",
        _differences("fig06", "network == 'mobilenetv2_shallow'"),
        _says("ours smaller than TRAK (100) and Datamodels (50k) on MobileNetV2"),
    ),
    (PROFILE, "fig07", "7: most similar images", _says("a gallery"), _says("ours look alike, the others' vary")),
    (
        PROFILE,
        "fig08",
        "8: other features, removal",
        _differences("fig08", SVM_AGAINST_L2),
        _says("the exemplar SVM smaller than L2, in all cases"),
    ),
    (
        PROFILE,
        "fig09",
        "9: other features, mislabelling",
        _differences("fig09", SVM_AGAINST_L2),
        _says("the exemplar SVM smaller than L2, in all cases"),
    ),
    (
        PROFILE,
        "fig10",
        "10: own class or all",
        _differences("fig10", "kind == kind"),
        _says("the own class more effective"),
    ),
    (PROFILE, "table1", "Table 1: LDS", _table_1, _paper_table_1),
)


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(update(readme.read_text(encoding="utf-8")), encoding="utf-8")
