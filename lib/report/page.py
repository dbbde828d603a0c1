"""A page of the book: from its notebook's parameters to a profile and a study, and from tables to results on disk.

    page = Page("fig03", locals())  # below the parameters cell
    supports = page.supports(curves)
    page.head([supports])  # the verdicts, above the figure
    page.show(figure, "what it shows, in words")
    page.status([supports])
    page.save(figure, {"supports": supports})
    page.foot()

Here alone a page's study is opened and its results are written. Where the dataset is not on this machine, what came
with the repository stands in their place (`lib.report.committed`); a dry run counts instead (`lib.report.plan`).
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cached_property
from html import escape
from importlib.metadata import version
from pathlib import Path
from types import NoneType

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import HTML, Markdown
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from lib import profiles
from lib.base import LIMITS, check
from lib.data import BOOK, find, replacing
from lib.features import FeatureRecipe
from lib.profiles import FASHION, PROFILES, Profile, class_sizes
from lib.report import claims, committed, plots, stats
from lib.report.paper import FIGURES, SETUPS
from lib.report.plan import DryStudy
from lib.retrain import Recipe
from lib.study import Study

# Parameters that `lib.profiles.load` takes, and those that `Study` takes; any other one is the notebook's own.
OVERRIDES = profiles.SCALARS | {field.name for field in fields(Recipe)}
OVERRIDES |= {f"moco_{field.name}" for field in fields(FeatureRecipe)}
OPTIONS = {field.name for field in fields(Study)} - {"profile"}
PLAIN = (bool, int, float, str, NoneType)
FOOT = """**Download**: {links}; <a href="../_sources/notebooks/{name}.ipynb" download>this page as a notebook</a>.

## Change it

```bash
papermill notebooks/{name}.ipynb mine.ipynb -p profile smoke     # a small example, into a file of yours
python -m lib.run {name} -p profile smoke -p seed 1              # the same into this page, with another seed
python -m lib.run {name} -p {example:<36} # a value of your own, on the data of this page
python -m lib.run {name} -p profile {paper} -p dry_run true        # what the paper's size would take, counted
```

The first two take a core about two minutes, and their intervals are as wide as the plot: they show that it runs. The
third trains what is not in the ledger yet; this page rests on {behind}, and `-p dry_run true`
counts what a change takes beforehand. All values are on the page of
[parameters](parameters).
"""
LIBRARIES = ("torch", "lightly", "scikit-learn", "numpy", "scipy")


def chosen(parameters: Mapping, names: set[str]) -> dict:
    """The parameters of these names; what else is so named, as a function that the notebook imports, is none."""
    return {key: value for key, value in parameters.items() if key in names and isinstance(value, PLAIN)}


class Page:
    """One run of a notebook. values: its Profile. name: of the folder of its results.

    parameters: the notebook's variables, `locals()`; None leaves a value as the profile has it, a Tally as `dry_run`
    counts instead of computing and writing. values, kind, options: a profile that was made otherwise, and another kind
    of study with further arguments. Raises ValueError for a value that cannot be meant.
    """

    def __init__(
        self, name: str, parameters: Mapping, values: Profile | None = None, kind: type[Study] = Study, **options
    ):
        self.started, self.name, self.kind, self.tally = time.perf_counter(), name, kind, parameters.get("dry_run")
        if isinstance(self.tally, bool):
            raise ValueError(
                f"dry_run={self.tally} is for `python -m lib.run {name} -p dry_run true` alone; leave it out"
            )
        for key, value in chosen(parameters, set(LIMITS)).items():
            check(key, value)
        self.values = values or profiles.load(parameters["profile"], **chosen(parameters, OVERRIDES))
        self.options = chosen(parameters, OPTIONS) | options
        halved = [f"{key} {getattr(self.values, key) // 2}" for key in ("k_max", "lds_models") if key in parameters]
        self.example = [*halved, "seed 1"][0]
        find(self.values.dataset)

    @cached_property
    def missing(self) -> bool:
        """Whether the dataset can not be had here, and results that came with the repository are shown instead."""
        return self.tally is None and committed.exist(self.values, self.name) and committed.missing(self.values)

    @cached_property
    def study(self) -> Study:
        """Opened when first asked for."""
        if self.tally is not None:
            known = {key: value for key, value in self.options.items() if key in OPTIONS}
            return DryStudy(self.values, **known, tally=self.tally)
        return self.kind(self.values, **self.options)

    def supports(self, curves: list[tuple[str, str]], **options) -> pd.DataFrame:
        """Of `Study.supports`; those that came with the repository where the dataset is missing."""
        table = self.table("supports", lambda: self.study.supports(curves, **options))
        if len(table) and stats.usable(table).empty:
            raise ValueError(f"n_targets={self.values.n_targets}: all are wrong with no image changed; give more")
        return table

    def table(self, name: str, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        """What `make` computes; where the dataset is missing, the table of that name that came with the repository."""
        return committed.table(self.values, self.name, name) if self.missing else make()

    def head(self, tables: list[pd.DataFrame]) -> Markdown | None:
        """How many of the paper's claims about this figure agree; a link to the explorer. tables: of supports."""
        if self.tally is not None:
            return None
        rows, text = claims.of_figure(self.name), "**The paper's claims about this figure** ([rules](verdicts)):\n"
        for name in sorted(rows["profile"].unique(), key=[*PROFILES].index, reverse=True):
            of_profile = rows[rows["profile"] == name]
            n = of_profile["verdict"].isin(claims.COUNTED).sum()
            counted = [claims.counted(of_profile["verdict"])] * bool(n)
            rest = {word: (of_profile["verdict"] == word).sum() for word in claims.LEFT_OUT}
            counted += [f"{m} {word}" for word, m in rest.items() if m]
            line = f"- {committed.data(PROFILES[name])}: {', '.join(counted)}"
            first = " The first: {}; paper: {}; here: {}: {}.".format(*claims.first(of_profile)) * bool(n)
            text += f"\n{line}.{first}"
        if self.values != FASHION:
            text += (
                f"\n\n**This run is of profile `{self.values.name}`**, with its values or yours. Verdicts, *What to "
                "see* and what stands beside the paper's are of the data that they name, from the repository's results."
            )
        return Markdown(f"{text}\n\n{committed.link(self.values, tables) if tables else ''}")

    def said(self, claim: str, profile: str = FASHION.name) -> str:
        """What was measured of one of the paper's claims about this figure, for a sentence; see `claims.said`."""
        return claims.said(claims.of_figure(self.name), claim, profile)

    def status(self, tables: list[pd.DataFrame], study: Study | None = None) -> Markdown | None:
        """Profile, device, cost, what differs from the paper. tables: of a study's supports or margins."""
        if self.tally is not None:
            return None
        more = "" if self.name in FIGURES else committed.link(self.values, tables)
        if self.missing:
            return Markdown(committed.status(self.values, self.name) + more)
        return Markdown(_status(study or self.study, tables, time.perf_counter() - self.started) + more)

    def show(self, figure: Figure | None, description: str) -> HTML | None:
        """The figure, in tabs where other profiles have one, too; None: the one that came with the repository.

        description: what it shows, for those who cannot see it.
        """
        return committed.tabs(self.values, self.name, figure, description) if self.tally is None else None

    def foot(self) -> Markdown | None:
        """What can be downloaded, and how to change the page."""
        if self.tally is not None:
            return None
        folder = committed.folder(self.values, self.name) if self.missing else self.study.outputs(self.name)
        files = sorted(path for path in folder.glob("*.*") if path.suffix in (".csv", ".png", ".svg"))
        links = ", ".join(f"[{path.name}]({os.path.relpath(path, BOOK / 'notebooks')})" for path in files)
        record, name = json.loads((folder / "record.json").read_text(encoding="utf-8")), self.name
        trained = f"{record['retrainings']} retrainings, {record['core_seconds']:.0f} seconds of one core from nothing"
        own = f"{record['networks']} networks of its own, whose results are kept" if record.get("networks") else ""
        scored = "no retraining, but on what scores are made from, whose cost is on [Figure 1](fig01)"
        behind = " and ".join(filter(None, [trained * bool(record["retrainings"]), own])) or scored
        texts = {"name": name, "links": links, "paper": self.values.paper, "example": self.example, "behind": behind}
        return Markdown(FOOT.format(**texts))

    def save(
        self, figure: Figure, tables: dict[str, pd.DataFrame | list[dict]], study: Study | None = None
    ) -> Markdown | Styler | None:
        """Write a figure and its tidy tables under results/, with their provenance; returns what of it is to be shown.

        study: of the tables, where it is not the page's own; the record names what values it has of its own. Only what
        can be computed again to the same bytes is written, so that running a page anew changes no file; and nothing
        where that would change tables that came with the repository (`committed.kept`), whose figure stays too.
        """
        if self.missing:
            return Markdown("The tables shown are those that came with the repository, where there are any.")
        if self.tally is not None:
            return None
        folder = self.study.outputs(self.name)
        texts = {folder / f"{key}.csv": _csv(table) for key, table in tables.items()}
        if said := committed.kept(texts):
            return Markdown(said)
        keyed = pd.concat([table for table in tables.values() if "keys" in table] or [pd.DataFrame({"keys": []})])
        record, other = _record(self.study, self.name, keyed), (study or self.study).profile.content
        if own := {key: value for key, value in other.items() if record["profile"][key] != value}:
            record["own"] = own
        if os.environ.get("REPLACE") or not committed.is_committed(folder / "figure.png"):  # machines round otherwise
            with replacing(folder / "figure.png") as path:
                path.write_bytes(plots.png(figure))
        with replacing(folder / "figure.svg") as path, plt.rc_context({"svg.hashsalt": self.name}):
            figure.savefig(path, metadata={"Date": None})
        for path, text in (texts | {folder / "record.json": json.dumps(record, indent=1) + "\n"}).items():
            _write(path, text)
        shown = {
            "tables and figure": f"results/{folder.relative_to(self.study.folder.parent)}/",
            "dataset": f"{record['dataset']['name']}, sha256 {record['dataset']['checksum'][:16]}…",
            "recipe of the retrainings": record["recipe"],
            "versions": ", ".join(f"{package} {v}" for package, v in record["versions"].items()),
        }
        return plots.table(pd.DataFrame(shown.items())).hide(axis="columns")

    def write(self, path: Path, table: pd.DataFrame) -> None:
        """A single table, as `save` writes it."""
        if self.tally is None and not committed.kept({path: _csv(table)}):
            _write(path, _csv(table))


def _csv(table: pd.DataFrame | list[dict]) -> str:
    """Without the ledger's keys."""
    return pd.DataFrame(table).drop(columns="keys", errors="ignore").to_csv(index=False, float_format="%.6g")


def _write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))  # names of files can be any bytes


def _record(study: Study, name: str, tables: pd.DataFrame) -> dict:
    """Where results came from. tables: those with the ledger's keys."""
    trained, networks = study.retrainings(tables), sum(study.attribution.networks)
    return {
        "figure": name,
        "profile": study.profile.content,
        "dataset": {"name": study.dataset.name, "checksum": study.dataset.checksum},
        "recipe": study.profile.recipe.hash,
        "retrainings": len(trained),
        "core_seconds": round(float(trained["seconds"].sum()), 1),
        "test_accuracy": round(float(trained["test_accuracy"].mean()), 4) if len(trained) else None,
        "machines": sorted(trained["machine"].unique()),
        "versions": {package: version(package) for package in LIBRARIES},
    } | ({"networks": networks} if networks else {})


def _status(study: Study, tables: list[pd.DataFrame], wall_seconds: float) -> str:
    profile, dataset, paper = study.profile, study.dataset, PROFILES[study.profile.paper]
    title, accuracy = SETUPS[paper.name]
    trained = study.retrainings(pd.concat(tables))
    class_size = np.bincount(dataset.train_labels).min()
    recipe = profile.recipe
    changed = "" if study.outputs("x").name == "x" else ", with values overridden"
    return (
        f"**Profile** `{profile.name}`{changed}: {escape(dataset.name)}, {len(dataset.train_labels)} training images. "
        f"{'**At the size** of' if profile == paper else '**Scaled down** from'} the paper's {title} setup: "
        f"{profile.n_targets} targets (paper {paper.n_targets}), k up to {profile.k_max} of {class_size} in a class "
        f"({paper.k_max} of {class_sizes(paper)[1]}), {profile.budget} bisection steps ({paper.budget}), "
        f"votes per probe {profile.n_votes} ({paper.n_votes}), {recipe.arch} of width {recipe.width} for "
        f"{recipe.epochs} epochs ({paper.recipe.width}, {paper.recipe.epochs}), mean test accuracy "
        f"{trained['test_accuracy'].mean():.1%} over all retrainings ({accuracy}, unmodified). "
        f"**Device** {study.driver.device}. **Wall time** of this page: {wall_seconds:.0f} s. **Behind it**: "
        f"{len(trained)} distinct retrainings, {trained['seconds'].sum() / 3600:.2f} core-hours "
        f"({'; '.join(sorted(trained['machine'].unique()))})."
    )
