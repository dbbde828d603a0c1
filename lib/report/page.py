"""A page of the book: from its notebook's parameters to a profile and a study, and from tables to results on disk.

    page = Page("fig03", locals())  # below the parameters cell
    supports = page.supports(curves)
    page.status([supports])
    page.save(figure, {"supports": supports})

Here alone a page's study is opened (`open_study`) and its results are written (`write`, `Page.save`). Where the dataset
is not on this machine, what came with the repository stands in their place (`lib.report.committed`).
"""

import json
import time
from collections.abc import Mapping
from dataclasses import fields
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from types import NoneType

import numpy as np
import pandas as pd
from IPython.display import HTML, Markdown
from matplotlib.figure import Figure

from lib import profiles
from lib.data import replacing
from lib.features import FeatureRecipe
from lib.profiles import PROFILES, Profile, class_sizes
from lib.report import committed
from lib.report.paper import SETUPS
from lib.retrain import Recipe
from lib.study import Study

# Parameters that `lib.profiles.load` takes, and those that `Study` takes; any other one is the notebook's own.
OVERRIDES = profiles.SCALARS | {field.name for field in fields(Recipe)}
OVERRIDES |= {f"moco_{field.name}" for field in fields(FeatureRecipe)}
OPTIONS = {field.name for field in fields(Study)} - {"profile"}
PLAIN = (bool, int, float, str, NoneType)
LIBRARIES = ("torch", "lightly", "scikit-learn", "numpy", "scipy")
NO_KEYS = pd.DataFrame({"keys": []})


def chosen(parameters: Mapping, names: set[str]) -> dict:
    """The parameters of these names; what else is so named, as a function that the notebook imports, is none."""
    return {key: value for key, value in parameters.items() if key in names and isinstance(value, PLAIN)}


def open_study(profile: Profile, kind: type[Study] = Study, **options) -> Study:
    """The study of a page. options: arguments of `Study`, or of the `kind` of it."""
    return kind(profile, **options)


def write(path: Path, table: pd.DataFrame | list[dict]) -> None:
    """A table as CSV, without the ledger's keys. Untouched where it is the same already."""
    with replacing(path) as temporary:
        pd.DataFrame(table).drop(columns="keys", errors="ignore").to_csv(temporary, index=False, float_format="%.6g")


class Page:
    """One run of a notebook. values: its Profile. name: of the folder of its results.

    parameters: the notebook's variables, `locals()`; None leaves a value as the profile has it. values, kind, options:
    a profile that was made otherwise, and another kind of study with further arguments. Raises ValueError for a value
    that cannot be meant.
    """

    def __init__(
        self,
        name: str,
        parameters: Mapping,
        values: Profile | None = None,
        kind: type[Study] = Study,
        **options,
    ):
        self.started, self.name, self.kind = time.perf_counter(), name, kind
        self.values = values or profiles.load(parameters["profile"], **chosen(parameters, OVERRIDES))
        self.options = chosen(parameters, OPTIONS) | options

    @cached_property
    def missing(self) -> bool:
        """Whether the dataset is not on this machine and cannot be downloaded."""
        return committed.missing(self.values)

    @cached_property
    def study(self) -> Study:
        """Opened when first asked for."""
        return open_study(self.values, self.kind, **self.options)

    def supports(self, curves: list[tuple[str, str]], **options) -> pd.DataFrame:
        """Of `Study.supports`; those that came with the repository where the dataset is missing."""
        return committed.supports(self.values, self.name) if self.missing else self.study.supports(curves, **options)

    def status(self, tables: list[pd.DataFrame]) -> Markdown:
        """Head of the page: profile, device, cost, distance to the paper. tables: of supports or margins."""
        link = committed.link(self.values, tables)
        if self.missing:
            return Markdown(committed.status(self.values, self.name) + link)
        return Markdown(_status(self.study, tables, time.perf_counter() - self.started) + link)

    def tabs(self, figure: Figure) -> HTML:
        """The figure in a tab, beside those of other profiles."""
        return committed.tabs(self.values, self.name, figure)

    def save(self, figure: Figure, tables: dict[str, pd.DataFrame | list[dict]]):
        """Write a figure and its tidy tables under results/, with their provenance; returns a table of it to show.

        Only what can be computed again to the same bytes is written, so that running a page anew changes no file.
        """
        if self.missing:
            return Markdown("The tables shown are those that came with the repository, where there are any.")
        folder = self.study.outputs(self.name)
        with replacing(folder / "figure.png") as path:
            figure.savefig(path, metadata={"Software": None})
        for key, table in tables.items():
            write(folder / f"{key}.csv", table)
        record = _record(self.study, self.name, pd.concat([t for t in tables.values() if "keys" in t] or [NO_KEYS]))
        with replacing(folder / "record.json") as path:
            path.write_text(json.dumps(record, indent=1) + "\n")
        shown = {
            "tables and figure": f"results/{folder.relative_to(self.study.folder.parent)}/",
            "dataset": f"{record['dataset']['name']}, sha256 {record['dataset']['checksum'][:16]}…",
            "recipe of the retrainings": record["recipe"],
            "versions": ", ".join(f"{package} {v}" for package, v in record["versions"].items()),
        }
        return pd.DataFrame(shown.items()).style.hide(axis="index").hide(axis="columns")


def _record(study: Study, name: str, tables: pd.DataFrame) -> dict:
    """Where results came from. tables: those with the ledger's keys."""
    trained = study.retrainings(tables)
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
    }


def _status(study: Study, tables: list[pd.DataFrame], wall_seconds: float) -> str:
    profile, dataset, paper = study.profile, study.dataset, PROFILES[study.profile.paper]
    title, accuracy = SETUPS[paper.name]
    trained = study.retrainings(pd.concat(tables))
    class_size = np.bincount(dataset.train_labels).min()
    recipe = profile.recipe
    overridden = "" if study.outputs("x").name == "x" else ", with values overridden"
    return (
        f"**Profile** `{profile.name}`{overridden}: {dataset.name}, {len(dataset.train_labels)} training images. "
        f"{'**At the size** of' if profile == paper else '**Scaled down** from'} the paper's {title} setup: "
        f"{profile.n_targets} targets (paper {paper.n_targets}), k up to {profile.k_max} of {class_size} in a class "
        f"({paper.k_max} of {class_sizes(paper)[1]}), {profile.budget} bisection steps ({paper.budget}), "
        f"{profile.n_votes} votes ({paper.n_votes}), {recipe.arch} of width {recipe.width} for {recipe.epochs} epochs "
        f"({paper.recipe.width}, {paper.recipe.epochs}), mean test accuracy {trained['test_accuracy'].mean():.1%} over "
        f"all retrainings ({accuracy}, unmodified). "
        f"**Device** {study.driver.device}. **Wall time** of this page: {wall_seconds:.0f} s. **Behind it**: "
        f"{len(trained)} distinct retrainings, {trained['seconds'].sum() / 3600:.2f} core-hours "
        f"({', '.join(sorted(trained['machine'].unique()))})."
    )
