"""What was computed, on disk: tidy tables and figures under results/, each with where it came from.

Files whose content has not changed are left alone.
"""

import json
from importlib.metadata import version

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib.data import RESULTS, replacing
from lib.profiles import PROFILES, class_sizes
from lib.report.paper import SETUPS

NO_KEYS = pd.DataFrame({"keys": []})


def status(study, tables: list[pd.DataFrame], wall_seconds: float) -> str:
    """One paragraph of Markdown for the head of a page: profile, device, cost, distance to the paper.

    tables: those of supports or margins that the page shows.
    """
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


def save(study, name: str, figure: Figure, tables: dict):
    """Write a figure and its tidy tables under results/, with their provenance; returns a table of it to show.

    Only what can be computed again to the same bytes is written, so that running a page anew changes no file.
    """
    folder = study.outputs(name)
    with replacing(folder / "figure.png") as path:
        figure.savefig(path, metadata={"Software": None})
    for key, table in tables.items():
        with replacing(folder / f"{key}.csv") as path:
            pd.DataFrame(table).drop(columns="keys", errors="ignore").to_csv(path, index=False, float_format="%.6g")
    trained = study.retrainings(pd.concat([table for table in tables.values() if "keys" in table] or [NO_KEYS]))
    provenance = {
        "figure": name,
        "profile": study.profile.content,
        "dataset": {"name": study.dataset.name, "checksum": study.dataset.checksum},
        "recipe": study.profile.recipe.hash,
        "retrainings": len(trained),
        "core_seconds": round(float(trained["seconds"].sum()), 1),
        "test_accuracy": round(float(trained["test_accuracy"].mean()), 4) if len(trained) else None,
        "machines": sorted(trained["machine"].unique()),
        "versions": {package: version(package) for package in ("torch", "lightly", "scikit-learn", "numpy", "scipy")},
    }
    with replacing(folder / "record.json") as path:
        path.write_text(json.dumps(provenance, indent=1) + "\n")
    shown = {
        "tables and figure": f"results/{folder.relative_to(RESULTS)}/",
        "dataset": f"{study.dataset.name}, sha256 {study.dataset.checksum[:16]}…",
        "recipe of the retrainings": provenance["recipe"],
        "versions": ", ".join(f"{package} {v}" for package, v in provenance["versions"].items()),
    }
    return pd.DataFrame(shown.items()).style.hide(axis="index").hide(axis="columns")
