"""What was computed, on disk: arrays, tidy tables and figures under results/, each with where it came from.

Every file is written beside its place and moved there, so that a reader sees the old file or the new one, never half.
Files whose content has not changed are left alone.
"""

import json
import os
import zipfile
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib.paper import SETUPS
from lib.paths import RESULTS
from lib.profiles import PROFILES, Profile, class_sizes
from lib.retrain import short_hash

NO_KEYS = pd.DataFrame({"keys": []})


@contextmanager
def replacing(path: Path):
    """Yields a temporary path in the same folder; on success it becomes `path`, if its bytes differ."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix, delete=False) as file:
        temporary = Path(file.name)
    try:
        yield temporary
        if path.exists() and path.read_bytes() == temporary.read_bytes():
            return
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def arrays(folder: Path, name: str, identity: dict, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Arrays that `make` computes, kept in folder/name-HASH.npz under a hash of their identity.

    identity: everything that the arrays depend on, as JSON. Computed once, then read; deleting the file recomputes it.
    Raises ValueError where the file is damaged.
    """
    path = folder / f"{name}-{short_hash(identity)}.npz"
    if not path.exists():
        content = make()
        with replacing(path) as temporary:
            np.savez_compressed(temporary, identity=np.array(json.dumps(identity, sort_keys=True)), **content)
    try:
        with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
            stored = dict(file)
        if json.loads(str(stored.pop("identity"))) != json.loads(json.dumps(identity)):
            raise ValueError("it describes something else")
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is damaged ({error}); delete it to compute it again") from error
    return stored


def outputs(folder: Path, profile: Profile, name: str) -> Path:
    """Where the tables of figure `name` go: a folder of its own where values of the profile are overridden."""
    changed = profile != PROFILES[profile.name]
    return folder / (f"{name}-{short_hash(asdict(profile))}" if changed else name)


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
        "profile": asdict(study.profile),
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
