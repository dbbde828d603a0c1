"""What the paper states: `paper.yaml`, read and checked, and set beside ours. None of it is typed elsewhere."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from lib.report import stats

FILE = Path(__file__).with_name("paper.yaml")  # says what the fields below mean


@dataclass(frozen=True)
class Value:
    """One number that the paper states."""

    value: float
    method: str = "ours"
    kind: str | None = None
    bound: str | None = None
    k: int | None = None
    outcome: str | None = None
    models: int | None = None

    def __post_init__(self):
        if not isinstance(self.value, int | float):
            raise TypeError(f"{self.value!r} is not a number")


@dataclass(frozen=True)
class Figure:
    """A figure or a table: where it is discussed, and what is stated of it."""

    label: str
    title: str
    sections: list[str]
    unit: str = ""
    n: int | None = None
    class_size: int | None = None
    tests: str = ""
    values: list[Value] = field(default_factory=list)
    models: dict[str, list[int]] = field(default_factory=dict)

    def select(self, keys: dict) -> Value:
        """The one value with these keys. ValueError where none has them, or several have."""
        selected = [value for value in self.values if keys.items() <= vars(value).items()]
        if len(selected) != 1:
            raise ValueError(f"{len(selected)} values of {self.label} have {keys}; name one by its keys")
        return selected[0]


@dataclass(frozen=True)
class Claim:
    """A statement to be tested, how, and on which page's tables."""

    claim: str
    section: str
    page: str = ""
    measure: str = ""
    of: dict = field(default_factory=dict)
    paper: str = ""
    states: list[dict] = field(default_factory=list)
    profiles: list[str] = field(default_factory=lambda: ["fashion"])
    main: str = ""
    models: int | None = None
    note: str = ""
    not_tested: str = ""


def load(path: Path = FILE) -> tuple[dict[str, tuple[str, str]], dict[str, Figure], list[Claim]]:
    """The file's setups, each (dataset, accuracy), figures and claims. ValueError that names a wrong entry, and why."""
    whole, figures = yaml.safe_load(path.read_text(encoding="utf-8")), {}
    for name, entry in whole["figures"].items():
        where = f"figures, {name}"
        values = [_entry(Value, value, f"{where}, value {i}") for i, value in enumerate(entry.pop("values", []), 1)]
        figures[name] = _entry(Figure, entry | {"values": values}, where)
    claims = [_claim(entry, f"claims, number {i}", figures) for i, entry in enumerate(whole["claims"], 1)]
    setups = {name: (setup["dataset"], setup["accuracy"]) for name, setup in whole["setups"].items()}
    return setups, figures, claims


def _entry(kind: type, entry: dict, where: str):
    try:
        return kind(**entry)
    except TypeError as error:
        keys = ", ".join(kind.__dataclass_fields__)
        raise ValueError(f"{FILE.name}: {where}: {error}; the keys are {keys}") from None


def _claim(entry: dict, where: str, figures: dict[str, Figure]) -> Claim:
    claim = _entry(Claim, entry, where)
    figure = figures.get(claim.page)
    try:
        if figure and claim.section not in figure.sections:
            sections = ", ".join(figure.sections)
            raise ValueError(f"{figure.label} is discussed in {sections}, not {claim.section}")
        if bool(claim.paper) == bool(claim.states) or (claim.states and not figure):
            raise ValueError("give either paper, or states of a figure's page")
        if bool(claim.measure and claim.page) == bool(claim.not_tested):
            raise ValueError("give either a page and a measure, or why it is not_tested")
        for keys in claim.states:
            figure.select(keys)
    except ValueError as error:
        raise ValueError(f"{FILE.name}: {where}, {claim.claim!r}: {error}") from None
    return claim


SETUPS, FIGURES, CLAIMS = load()
FIGURE_3, FIGURE_5 = FIGURES["fig03"], FIGURES["fig05"]


def beside(supports: pd.DataFrame, method: str, class_size: int, k_max: int, figure: Figure = FIGURE_3) -> pd.DataFrame:
    """The numbers of a figure beside our share of flipped targets at the same share of the class, up to k_max.

    Columns: kind, share_of_class, k, here, low, high, n, then the paper's ours, rivals and source.
    """
    rows = []
    for ours in (value for value in figure.values if value.method == "ours"):
        targets = supports[(supports["kind"] == ours.kind) & (supports["method"] == method)]
        k = (ours.k * class_size + (figure.class_size - 1) * (below := ours.bound == "<")) // figure.class_size
        if targets.empty or k - below > k_max:
            continue
        here = stats.share(stats.flipped_by(stats.usable(targets), np.array([k - below]))[:, 0])
        rivals = [v for v in figure.values if (v.kind, v.bound, v.k) == (ours.kind, ours.bound, ours.k) and v != ours]
        rows.append(
            {"kind": ours.kind, "share_of_class": round(ours.k / figure.class_size, 4), "k": f"{ours.bound} {k}"}
            | {"here" if key == "share" else key: number for key, number in here.items()}
            | {"paper": ours.value / figure.n}
            | {"paper_rivals": ", ".join(f"{v.method}: {v.value / figure.n:.0%}" for v in rivals) or "–"}
            | {"source": f"Paper {figure.sections[0]}"}
        )
    return pd.DataFrame(rows)
