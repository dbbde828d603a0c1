"""Results that came with the repository: beside a page's own, and in their place where its dataset is not here.

`lib.report.page` asks for them.
"""

import base64
import io
import json
from html import escape
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import HTML
from matplotlib.figure import Figure

from lib.data import RESULTS, fetch, find
from lib.profiles import PROFILES, Profile, outputs
from lib.report import plots

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
    path = outputs(profile, figure) / "supports.csv"
    found = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=list(COLUMNS))
    return found.astype({"size": "Int64", "low": "Int64", "high": "Int64"})


def status(profile: Profile, figure: str) -> str:
    """One paragraph of Markdown in the place of `record.status`: what is shown, and how to compute it here."""
    path = outputs(profile, figure) / "record.json"
    how = escape(find(profile.dataset).manual)  # it may name <folders>
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


def tabs(profile: Profile, name: str, figure: Figure) -> HTML:
    """The page's own figure in a tab, and one for every other profile whose results came with the repository.

    The markup is that of the book's own tabs; where its style is missing, they stand one below the other.
    """
    image = io.BytesIO()
    figure.savefig(image)
    plt.close(figure)  # else it is shown a second time, below
    shown = {profile.name: _picture(image.getvalue(), f"this page's run, profile {profile.name}")}
    others = [other for other in PROFILES.values() if other.name not in (profile.name, "smoke")]
    shown |= {other.name: _result(other, name) for other in others if _record(other, name).exists()}
    parts = []
    for i, (title, content) in enumerate(shown.items()):
        key = f"{name}-{title}"
        parts.append(
            f'<input type="radio" id="{key}" name="{name}-profiles"{"" if i else " checked"}>'
            f'<label class="sd-tab-label" for="{key}">{escape(title)}</label>'
            f'<div class="sd-tab-content">{content}</div>'
        )
    return HTML(f'<div class="sd-tab-set">{"".join(parts)}</div>')


def _record(profile: Profile, name: str) -> Path:
    return RESULTS / profile.name / name / "record.json"


def _result(profile: Profile, name: str) -> str:
    """A figure as it is under results/, what it rests on, how to compute it, and its claims."""
    path = _record(profile, name)
    found, claims = json.loads(path.read_text(encoding="utf-8")), path.parent / "claims.csv"
    values, told = (
        found["profile"],
        [f"Profile {profile.name}, scaled down from the paper: {found['dataset']['name']}."],
    )
    if found["retrainings"]:
        told.append(
            f"{values['n_targets']} targets, {values['n_votes']} training(s) a probe at most"
            f"{', united tests' if values['united'] else ''}: {found['retrainings']} distinct retrainings, mean test "
            f"accuracy {found['test_accuracy']:.1%}, {found['core_seconds'] / 3600:.2f} core-hours."
        )
    told.append(f"To compute it here: make {name} PROFILE={profile.name}. {find(profile.dataset).manual}")
    picture = _picture((path.parent / "figure.png").read_bytes(), f"profile {profile.name}")
    table = plots.table(pd.read_csv(claims)).to_html() if claims.exists() else ""
    return f"{picture}<p>{escape(' '.join(told))}</p>{table}"


def _picture(png: bytes, what: str) -> str:
    return f'<img alt="{escape(what)}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'
