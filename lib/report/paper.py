"""What the paper states: `paper.yaml`, read and checked, and set beside ours. None of it is typed elsewhere."""

from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from lib.report import stats

FILE = Path(__file__).with_name("paper.yaml")


@dataclass(frozen=True)
class Setup:
    """One of the paper's two experiments. accuracy: of the unmodified model on test images."""

    section: str
    dataset: str
    accuracy: str


@dataclass(frozen=True)
class Value:
    """One number that the paper states; what the keys mean stands in the file."""

    value: float
    method: str = "ours"
    kind: str | None = None
    bound: str | None = None
    k: int | None = None
    outcome: str | None = None
    models: int | None = None


@dataclass(frozen=True)
class Figure:
    """A figure or a table: where it is discussed, and what is stated of it."""

    label: str
    title: str
    sections: list[str]
    unit: str = ""
    n: int | None = None
    class_size: int | None = None
    values: list[Value] = field(default_factory=list)
    models: dict[str, list[int]] = field(default_factory=dict)

    def select(self, keys: dict) -> Value:
        """The one value with these keys. ValueError where none has them, or several have."""
        selected = [v for v in self.values if all(getattr(v, key, None) == wanted for key, wanted in keys.items())]
        if len(selected) != 1:
            raise ValueError(f"{len(selected)} values of {self.label} have {keys}; name one by its keys")
        return selected[0]


@dataclass(frozen=True)
class Claim:
    """A statement to be tested, how, and on which page's tables; what the keys mean stands in the file."""

    claim: str
    section: str
    page: str
    measure: str
    of: dict = field(default_factory=dict)
    paper: str = ""
    states: list[dict] = field(default_factory=list)
    profile: str | None = None


@dataclass(frozen=True)
class Paper:
    """The whole file."""

    setups: dict[str, Setup]
    figures: dict[str, Figure]
    claims: list[Claim]


@cache
def load(path: Path = FILE) -> Paper:
    """The file, checked. ValueError that names the entry, and what is wrong with it."""
    whole = _entry(Paper, yaml.safe_load(path.read_text(encoding="utf-8")), path.name)
    setups = {name: _entry(Setup, entry, f"setups, {name}") for name, entry in whole.setups.items()}
    figures = {name: _figure(entry, f"figures, {name}") for name, entry in whole.figures.items()}
    claims = [_claim(entry, f"claims, number {i}", figures) for i, entry in enumerate(whole.claims, start=1)]
    return Paper(setups, figures, claims)


def _entry(kind: type, entry: object, where: str):
    """An entry as a `kind`; ValueError where a key is unknown or missing."""
    if not isinstance(entry, dict):
        raise ValueError(f"{FILE.name}: {where}: {entry!r} is not a mapping of keys to values")
    keys = {f.name: f.default is MISSING and f.default_factory is MISSING for f in fields(kind)}
    problems = [f"unknown {key}" for key in entry if key not in keys]
    problems += [f"missing {key}" for key, needed in keys.items() if needed and key not in entry]
    if problems:
        raise ValueError(f"{FILE.name}: {where}: {', '.join(problems)}; the keys are {', '.join(keys)}")
    return kind(**entry)


def _figure(entry: object, where: str) -> Figure:
    figure = _entry(Figure, entry, where)
    values = [_entry(Value, value, f"{where}, value {i}") for i, value in enumerate(figure.values, start=1)]
    for i, value in enumerate(values, start=1):
        if not isinstance(value.value, int | float):
            raise ValueError(f"{FILE.name}: {where}, value {i}: {value.value!r} is not a number")
    return Figure(**entry | {"values": values})


def _claim(entry: object, where: str, figures: dict[str, Figure]) -> Claim:
    claim = _entry(Claim, entry, where)
    where = f"{FILE.name}: {where}, {claim.claim!r}"
    figure = figures.get(claim.page)
    if figure and claim.section not in figure.sections:
        raise ValueError(f"{where}: {figure.label} is discussed in {', '.join(figure.sections)}, not {claim.section}")
    if bool(claim.paper) == bool(claim.states) or (claim.states and not figure):
        raise ValueError(f"{where}: give either paper, or states of a figure's page")
    try:
        for keys in claim.states:
            figure.select(keys)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    return claim


PAPER = load()
FIGURES = PAPER.figures
FIGURE_1, FIGURE_3, FIGURE_5 = FIGURES["fig01"].models, FIGURES["fig03"], FIGURES["fig05"]
SETUPS = {name: (setup.dataset, setup.accuracy) for name, setup in PAPER.setups.items()}


def table_1() -> pd.DataFrame:
    """The paper's Table 1: method, models, lds."""
    rows = [(value.method, value.models, value.value) for value in FIGURES["table1"].values]
    return pd.DataFrame(rows, columns=["method", "models", "lds"])


def beside(supports: pd.DataFrame, method: str, class_size: int, figure: Figure = FIGURE_3) -> pd.DataFrame:
    """The numbers of a figure beside our share of flipped targets at the same share of the class, where computed.

    Columns: kind, share_of_class, k, here, low, high, n, then the paper's ours, rivals and source.
    """
    statements, rows = {}, []
    for value in figure.values:
        statements.setdefault((value.kind, value.bound, value.k), {})[value.method] = value.value / figure.n
    for (kind, bound, papers_k), shares in statements.items():
        ours = supports[(supports["kind"] == kind) & (supports["method"] == method)]
        if ours.empty:
            continue
        k = papers_k * class_size // figure.class_size
        flipped = stats.flipped_by(stats.usable(ours), np.array([k - (bound == "<")]))[:, 0]
        rivals = [f"{name}: {share:.0%}" for name, share in shares.items() if name != "ours"]
        rows.append(
            {"kind": kind, "share_of_class": round(papers_k / figure.class_size, 4), "k": f"{bound} {k}"}
            | {"here" if key == "share" else key: number for key, number in stats.share(flipped).items()}
            | {"paper": shares["ours"], "paper_rivals": ", ".join(rivals) or "–"}
            | {"source": f"Paper {figure.sections[0]}"}
        )
    return pd.DataFrame(rows)
