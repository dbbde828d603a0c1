"""What was computed elsewhere joins the results that are here: `python -m lib.chapters.merge FOLDER`.

FOLDER is what COMPANION_RESULTS named there, by profile. Records of ledgers are appended where they are lacking, with
the name of their machine, and so are margins of models on subsets; features, rankings and scores are copied where they
are lacking. What is here stays as it is, so that merging twice is merging once.
"""

import shutil
import sys
from pathlib import Path

import numpy as np

from lib.chapters import mislabelled, network
from lib.data import RESULTS, replacing
from lib.engine import Ledger, cache, subsets
from lib.profiles import PROFILES, Profile, class_sizes

ARRAYS = ("features", "rankings", "scores")


def ledgers(into: Ledger, other: Ledger) -> int:
    """Append what another ledger knows of more targets or retrainings; returns how many records that are."""
    added = 0
    for record in other.records:
        if any(into.logits(record["key"], target) is None for target in record["targets"]):
            into.append(record)
            added += 1
    return added


def margins(into: Path, other: Path, profile: Profile) -> int:
    """Append what another folder of the profile knows of models on subsets; returns of how many models that is."""
    added = 0
    for family in sorted(path for path in (other / "subsets").glob("margins-*") if path.is_dir()):
        n_classes, _, test = class_sizes(profile)
        here, there = (subsets.Store(folder / "subsets" / family.name, n_classes * test) for folder in (into, other))
        lacking = sorted(there.known.keys() - here.known.keys())
        for i in lacking:
            here.append(i, there.known[i])
        added += len(lacking)
    return added


def arrays(folder: Path) -> list[Path]:
    """The files of arrays of a profile's folder, those of unfinished ensembles too. ValueError where one is damaged."""
    files = [path for part in ARRAYS for path in sorted((folder / part).rglob("[!.]*.np[yz]"))]
    for path in files:
        try:
            with open(path, "rb") as raw:
                content = np.load(raw, allow_pickle=False)
                for name in getattr(content, "files", ()):
                    content[name]  # reads it, and checks its sum
        except cache.DAMAGED as error:
            raise ValueError(f"{path} is damaged ({error}); compute it again there, or delete it") from error
    return files


def _is_there(path: Path) -> bool:
    """Whether there is that file, or the scores that it is a part of."""
    whole = path.parent.with_suffix(".npz")
    return path.exists() or (path.parent.suffix == ".checkpoint" and whole.exists())


def results(folder: Path, into: Path = RESULTS) -> list[str]:
    """Merges every profile in a folder; returns a line each. ValueError, before anything is written, where there is
    none, a ledger is damaged, or a recipe is none of the profile's.
    """
    names = [name for name in PROFILES if (folder / name).is_dir()]
    if not names:
        raise ValueError(
            f"{folder} has no folder of a profile; name what COMPANION_RESULTS named where it was computed"
        )
    if folder.resolve() == into.resolve():
        raise ValueError(f"{folder} is where results are merged into; name another folder")
    pairs = {name: (Ledger(into / name / "ledger"), Ledger(folder / name / "ledger")) for name in names}
    for name, (here, there) in pairs.items():
        profile = PROFILES[name]
        recipes = (*network.recipes(profile.recipe), *mislabelled.recipes(profile.recipe), *profile.transfer)
        known = {recipe.hash for recipe in recipes}
        known |= {record["recipe"] for record in here.records}
        if foreign := {record["recipe"] for record in there.records} - known:
            raise ValueError(
                f"{folder / name / 'ledger'} has retrainings by the recipe {min(foreign)}, which is none of profile "
                f"{name}: they were made with values of their own, and are found from there alone"
            )
    lines, of_arrays = [], {name: arrays(folder / name) for name in names}
    for name, (here, there) in pairs.items():
        files = of_arrays[name]
        lacking = [path for path in files if not _is_there(into / path.relative_to(folder))]
        for path in lacking:
            with replacing(into / path.relative_to(folder)) as temporary:
                shutil.copyfile(path, temporary)
        records = f"{ledgers(here, there)} of {len(there.records)} records"
        models = f"{margins(into / name, folder / name, PROFILES[name])} models on subsets"
        lines.append(f"{name}: {records}, {models} and {len(lacking)} of {len(files)} files of arrays joined")
    return lines


def main(argv: list[str] | None = None) -> int:
    """The command line. Returns 0, or 2 for wrong input."""
    arguments = sys.argv[1:] if argv is None else argv
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python -m lib.chapters.merge FOLDER", file=sys.stderr)
        return 2
    try:
        print("\n".join(results(Path(arguments[0]))))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
