"""Results that came with the repository: beside a page's own, and in their place where its dataset is not here."""

import base64
import json
import os
import re
import subprocess
import sys
from html import escape
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import HTML
from matplotlib.figure import Figure

from lib.data import RESULTS, fetch, find
from lib.methods import is_name
from lib.profiles import FASHION, PROFILES, Profile, class_sizes
from lib.report import plots
from lib.study import MISLABEL, REMOVAL

COLUMNS = ("kind", "method", "target", "label", "wrong_label", "size", "reason", "low", "high", "votes", "trainings")


def missing(profile: Profile) -> bool:
    """Whether the profile's dataset is not here and cannot be downloaded."""
    try:
        fetch(profile.dataset)
    except FileNotFoundError:
        return True
    return False


def exist(profile: Profile, figure: str) -> bool:
    """Whether there are results of a figure."""
    return (folder(profile, figure) / "record.json").exists()


def table(profile: Profile, figure: str, name: str) -> pd.DataFrame:
    """A table of a figure as it is under results/, of supports without the ledger's keys."""
    rows = pd.read_csv(folder(profile, figure) / f"{name}.csv")
    return rows.astype(dict.fromkeys(("size", "low", "high"), "Int64")) if "votes" in rows else rows


def supports(profile: Profile, figure: str) -> pd.DataFrame:
    """The supports of a figure; no row where there are none."""
    present = (folder(profile, figure) / "supports.csv").exists()
    return table(profile, figure, "supports") if present else pd.DataFrame(columns=list(COLUMNS))


def kept(texts: dict[Path, str]) -> str:
    """Why what came with the repository stays as it is, in Markdown; "" where `texts` may be written to their files.

    All stay where one of them would change, unless REPLACE is set in the environment.
    """
    changed = ", ".join(path.name for path, text in texts.items() if is_committed(path) and _read(path) != text)
    if not changed or os.environ.get("REPLACE"):
        return ""
    where = next(iter(texts)).parent.name
    said = f"{where}: the results that came with the repository are kept, though this run differs in {changed}"
    print(f"{said}; to replace them, run again with REPLACE=1", file=sys.stderr)
    return f"**Not written.** {said}; `REPLACE=1 make …` replaces them."


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def is_committed(path: Path) -> bool:
    """Whether git keeps the file; where there is no git to ask, whether it is there."""
    try:
        command = ["git", "ls-files", "--error-unmatch", path.name]
        return path.exists() and subprocess.run(command, cwd=path.parent, capture_output=True).returncode != 1
    except FileNotFoundError:
        return True


def status(profile: Profile, figure: str) -> str:
    """One paragraph of Markdown for the head of a page: what is shown, and how to compute it here."""
    how = escape(find(profile.dataset).manual)  # it may name <folders>
    record = json.loads(_read(folder(profile, figure) / "record.json"))
    return (
        f"**Profile** `{profile.name}`, as computed before: its dataset `{profile.dataset}`, or what else it needs, is "
        "not on this machine, so that this page shows the results that came with the repository, of "
        f"{record['retrainings']} distinct retrainings, {record['core_seconds'] / 3600:.2f} core-hours "
        f"({'; '.join(record['machines'])}). "
        f"To compute them here: {how}"
    )


def link(profile: Profile, tables: list[pd.DataFrame]) -> str:
    """HTML that leads from a page to its methods in the explorer, where that shows its profile. tables: of supports."""
    if profile != PROFILES.get(profile.name) or not (RESULTS / "explorer" / profile.name).exists():
        return ""
    kinds, names = (dict.fromkeys(value for table in tables for value in table[key]) for key in ("kind", "method"))
    if not (names := [name for name in names if is_name(name)]):  # else rankings of a chapter's own
        return ""
    kind = MISLABEL if list(kinds) == [MISLABEL] else REMOVAL
    query = escape(f"data={profile.name}&kind={kind}&methods={','.join(names)}")
    return f' <a href="../explorer.html#{query}">Look at single targets in the explorer</a>.'


def data(profile: Profile) -> str:
    """The name of a profile's data, or of a part of it: CIFAR-10, 1000 images per class."""
    name = re.split(",| as ", find(profile.dataset).title)[0] or profile.name
    return f"{name}, {profile.train_per_class} images per class" if profile.train_per_class else name


def tabs(profile: Profile, name: str, figure: Figure | None, description: str) -> HTML:
    """The page's own figure in a tab, and one for every other profile whose results came with the repository.

    The one nearest to the paper is open, or the own one where that is of another profile than the book's.
    figure: None where the page shows the one that came with the repository, too. description: what it shows, for those
    who cannot see it.

    The markup is that of the book's own tabs; where its style is missing, they stand one below the other.
    """
    if figure is None:
        own = _result(profile, name, description)
    else:
        own = picture(plots.png(figure), f"{data(profile)}, this page's run. {description}")
        plt.close(figure)  # else it is shown a second time, below
    others = [other for other in PROFILES.values() if other.name not in (profile.name, "smoke")]
    others = sorted(others, key=lambda other: -np.prod(class_sizes(other)[:2]))  # the most training images first
    contents = [(other, _result(other, name, description)) for other in others if exist(other, name)]
    if not contents:
        return HTML(own)
    contents.insert(len(contents) if profile == FASHION else 0, (profile, own))
    parts = []
    for i, (of, content) in enumerate(contents):
        key, title = f"{name}-{of.name}", f"{data(of)}{f', this run ({of.name})' * (of is profile)}"
        parts.append(
            f'<input type="radio" id="{key}" name="{name}-profiles"{"" if i else " checked"}>'
            f'<label class="sd-tab-label" for="{key}">{escape(title)}</label>'
            f'<div class="sd-tab-content">{content}</div>'
        )
    return HTML(f'<div class="sd-tab-set">{"".join(parts)}</div>')


def folder(profile: Profile, figure: str) -> Path:
    return RESULTS / profile.name / profile.folder(figure)


def _result(profile: Profile, name: str, description: str) -> str:
    """A figure as it is under results/, what it rests on, how to compute it, and its claims."""
    home = folder(profile, name)
    record = json.loads(_read(home / "record.json"))
    text = f"Profile {profile.name}, scaled down from the paper: {record['dataset']['name']}. "
    if record["retrainings"]:
        values = record["profile"] | record.get("own", {})
        text += (
            f"{values['n_targets']} targets, votes per probe {values['n_votes']}"
            f"{', united tests' if values['united'] else ''}: {record['retrainings']} distinct retrainings, mean test "
            f"accuracy {record['test_accuracy']:.1%} over them, {record['core_seconds'] / 3600:.2f} core-hours. "
        )
    text += f"To compute it here: make {name} PROFILE={profile.name}. {find(profile.dataset).manual}"
    claims = home / "claims.csv"
    table = plots.table(pd.read_csv(claims)).to_html() if claims.exists() else ""
    return (
        f"{picture((home / 'figure.png').read_bytes(), f'{data(profile)}. {description}')}<p>{escape(text)}</p>{table}"
    )


def picture(png: bytes, description: str) -> str:
    """A picture in HTML. description: what it shows, for those who cannot see it."""
    return f'<img alt="{escape(description)}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'
