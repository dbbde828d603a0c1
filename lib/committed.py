"""Results that came with the repository, for a page whose dataset is not on this machine.

missing = committed.missing(values)
study = None if missing else Study(values, device, n_jobs, scheduler)
supports = committed.supports(values, "fig05") if missing else study.supports(curves)
"""

import json

import pandas as pd

from lib import record
from lib.manifest import fetch, find
from lib.paths import RESULTS
from lib.profiles import Profile

COLUMNS = ("kind", "method", "target", "label", "wrong_label", "size", "reason", "low", "high", "votes", "trainings")


def missing(profile: Profile) -> str:
    """How to get the profile's dataset, where it is not here and cannot be downloaded; empty where it is here."""
    try:
        fetch(profile.dataset)
    except FileNotFoundError:
        return find(profile.dataset).manual
    return ""


def supports(profile: Profile, figure: str) -> pd.DataFrame:
    """The supports of a figure as they are under results/, without the ledger's keys; no row where there are none."""
    path = record.outputs(RESULTS / profile.name, profile, figure) / "supports.csv"
    found = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=list(COLUMNS))
    return found.astype({"size": "Int64", "low": "Int64", "high": "Int64"})


def status(profile: Profile, figure: str) -> str:
    """One paragraph of Markdown in the place of `lib.record.status`: what is shown, and how to compute it here."""
    path, how = record.outputs(RESULTS / profile.name, profile, figure) / "record.json", find(profile.dataset).manual
    if not path.exists():
        return (
            f"**Nothing to show yet**: the dataset `{profile.dataset}` of profile `{profile.name}` is not on this "
            f"machine, and no results of this figure came with the repository. {how}"
        )
    found = json.loads(path.read_text(encoding="utf-8"))
    return (
        f"**Profile** `{profile.name}`, as computed before: its dataset `{profile.dataset}` is not on this machine, so "
        f"that this page shows the results that came with the repository, of {found['retrainings']} distinct "
        f"retrainings, {found['core_seconds'] / 3600:.2f} core-hours ({', '.join(found['machines'])}). "
        f"To compute them here: {how}"
    )
