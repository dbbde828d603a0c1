"""Is what is stored what it should be? Checks that train nothing; each returns what is wrong, a line each.

checksums of files and records -> supports, from ledger and rankings -> summaries, claims, LDS -> explorer and pages
"""

import json
import subprocess
from collections.abc import Callable
from functools import partial
from io import StringIO
from pathlib import Path

import pandas as pd
import pooch

from lib.bisection import FOUND, LARGER, WRONG_AT_ZERO
from lib.data import BOOK, RESULTS, replacing
from lib.engine import damaged
from lib.profiles import FASHION, PROFILES
from lib.report import claims, execution, explorer, page
from lib.retrain import Recipe, Retraining, margins
from lib.study import MISLABEL, REMOVAL, Study

SUMS = "SHA256SUMS"  # under results/, as `sha256sum` writes it; a ledger grows, and has a checksum a record
OWN_TARGETS = ("repair",)  # pages of targets that are none of the study's, by rankings of their own
COLUMNS = ["size", "reason", "low", "high", "votes", "trainings"]


def seal(results: Path = RESULTS) -> None:
    """Vouch for the committed files as they are now: write the list of their checksums."""
    listed = subprocess.run(["git", "ls-files"], cwd=results, capture_output=True, text=True, check=True).stdout
    names = [name for name in listed.splitlines() if name != SUMS and not name.endswith(".jsonl")]
    with replacing(results / SUMS) as path:
        path.write_text("".join(f"{pooch.file_hash(results / name)}  {name}\n" for name in names))


def listed(results: Path = RESULTS) -> dict[str, str]:
    """The checksum of each file, by its name under results/."""
    lines = (results / SUMS).read_text().splitlines()
    return {name: stated for stated, _, name in (line.partition("  ") for line in lines)}


def file(name: str, stated: str | None, results: Path = RESULTS) -> list[str]:
    """What is wrong with one file. stated: its checksum; None: a ledger's, which has one a record."""
    if not (path := results / name).is_file():
        return [f"results/{name} is missing; restore it"]
    if stated is None:
        return [f"results/{name}: {why}; restore the file" for why in damaged(path)]
    return [] if pooch.file_hash(path) == stated else [f"results/{name} is not the file that came with the repository"]


def files() -> list[str]:
    """`file` for every one that is listed, and every ledger's."""
    if not listed():
        return [f"results/{SUMS} lists no file; restore it"]
    ledgers = [path.relative_to(RESULTS).as_posix() for path in sorted(RESULTS.glob("*/ledger/*.jsonl"))]
    return [why for name, stated in (listed() | dict.fromkeys(ledgers)).items() for why in file(name, stated)]


def plain(n: int, vote: Callable, k_max: int, budget: int, n_votes: int) -> list[list]:
    """Algorithm 1 once more, for n targets on the same trainings: COLUMNS of each.

    vote(ks, seed, i): whether target i is right when the first ks[j] of each target j's ranking are changed. Source:
    Paper App. A.4, and the departures that `lib.bisection` names, of which nothing else is used.
    """
    lows, highs, ks, votes, ended = [None] * n, [None] * n, [0] * n, [[] for _ in range(n)], {}
    while len(ended) < n:
        tested = list(ks)
        for i in set(range(n)) - set(ended):
            right = wrong = 0
            while 2 * right <= n_votes and 2 * wrong < n_votes:
                is_right = vote(tested, right + wrong, i)
                right, wrong = right + is_right, wrong + (not is_right)
            votes[i].append((tested[i], right, wrong))
            (lows if 2 * right > n_votes else highs)[i] = tested[i]
            low, high = lows[i], highs[i]
            if low is None:
                ended[i] = None, WRONG_AT_ZERO, None, 0
            elif low == k_max:
                ended[i] = None, LARGER, low, None
            elif high is None:
                ks[i] = k_max
            elif high - low == 1 or len(votes[i]) == budget + 2:
                ended[i], ks[i] = (high, FOUND, low, high), high
            else:
                ks[i] = (low + high) // 2
    in_words = [" ".join(f"{k}:{right}-{wrong}" for k, right, wrong in of_target) for of_target in votes]
    return [[*ended[i], in_words[i], sum(right + wrong for _, right, wrong in votes[i])] for i in range(n)]


def swept(table: pd.DataFrame) -> bool:
    """Whether its rows are of several values of a parameter, which a column names."""
    return not page.OVERRIDES.isdisjoint(table.columns)


class Replay:
    """Supports of a study once more, by `plain`, from its ledger and rankings. readings: the votes that were read."""

    def __init__(self, study: Study):
        self.study, self.readings, self._answers = study, {}, {}

    def wrong(self, path: Path) -> list[str]:
        """Rows of a table of supports that do not follow; each curve has to by separate tests or by united ones."""
        wrong, profile, table = [], self.study.profile, pd.read_csv(path)
        if "votes" not in table:
            return []
        if "images" in table:  # several sizes of the training set: those of the study's
            table = table[table["images"] == len(self.study.dataset.train_labels)].drop(columns="k_max")
        if swept(table) or path.parent.name in OWN_TARGETS:
            return []
        if table["method"].str.contains(" ").any():  # rankings that a chapter makes
            return []
        table = table.assign(network=table.get("network", profile.recipe.arch))
        counts = table["votes"].str.findall(r"\d+(?=-)|(?<=-)\d+")  # of "k:right-wrong", both
        agreeing = int(counts.map(lambda of: max(map(int, of))).median())  # that end a probe: most of its votes
        for (kind, method, arch), rows in table.groupby(["kind", "method", "network"]):
            recipe, differ = profile.network(None if arch == profile.recipe.arch else arch), []
            for united in (False, True):
                answers = self._curve(kind, method, recipe, united, 2 * agreeing - 1)
                every = [answers.get(target, [None] * len(COLUMNS)) for target in rows["target"]]
                again = pd.DataFrame(every, rows.index, COLUMNS)
                differ.append(rows.loc[again.ne(rows[COLUMNS]).where(rows[COLUMNS].notna(), again.notna()).any(axis=1)])
                if differ[-1].empty:
                    break
            for target in min(differ, key=len)["target"]:
                wrong.append(f"{shown(path)}: {kind}, {method}, target {target} does not follow from the ledger")
        return wrong

    def _curve(self, kind: str, method: str, recipe: Recipe, united: bool, n_votes: int) -> dict[int, list]:
        """By target; empty where the ledger lacks a vote."""
        if (curve := (kind, method, recipe, united, n_votes)) not in self._answers:
            study, profile, answers = self.study, self.study.profile, {}
            ranking = study.attribution.ranking(method, study.wrong_labels if kind == MISLABEL else None).tolist()
            for group in study.groups(united):
                vote = partial(self._vote, kind, recipe, group, [ranking[i] for i in group])
                try:
                    of_group = plain(len(group), vote, profile.k_max, profile.budget, n_votes)
                except LookupError:
                    of_group = [[None] * len(COLUMNS)] * len(group)
                answers |= zip(study.targets[group].tolist(), of_group, strict=True)
            self._answers[curve] = answers
        return self._answers[curve]

    def _vote(self, kind: str, recipe: Recipe, group: list, rankings: list, ks: list[int], seed: int, i: int) -> bool:
        study, target = self.study, int(self.study.targets[group[i]])
        firsts = zip(rankings, ks, study.wrong_labels[group].tolist(), strict=True)
        changed = tuple((image, label) for ranking, k, label in firsts for image in ranking[:k])
        removal = tuple(image for image, _ in changed), ()
        retraining = Retraining(recipe, seed, *(removal if kind == REMOVAL else ((), changed)))
        logits = study.driver.ledger.logits(key := study.driver.key(retraining), target)
        if logits is None:
            raise LookupError(key)
        self.readings[key, target] = retraining, logits
        return bool(margins(logits[None], study.dataset.test_labels[[target]])[0] > 0)


def same(stored: pd.DataFrame, again: pd.DataFrame) -> bool:
    """Whether a table says what it was read to say, numbers up to the six digits that are written."""
    again = pd.read_csv(StringIO(again.to_csv(index=False, float_format="%.6g")))
    stored = pd.read_csv(StringIO(stored.to_csv(index=False)))
    try:
        pd.testing.assert_frame_equal(stored, again, check_dtype=False, rtol=1e-4)
    except AssertionError:
        return False
    return True


def across() -> list[str]:
    """What does not follow from the tables of several pages: claims, explorer; and generated pages that are stale."""
    wrong, verdicts = [], claims.table(RESULTS / FASHION.name, FASHION.name)
    if not same(pd.read_csv(RESULTS / "claims.csv"), verdicts):
        wrong.append("results/claims.csv does not follow from the figures' tables; run `make verdicts`")
    for name in explorer.SHOWN:
        stamp, path = explorer.stamp(explorer.supports(PROFILES[name])), RESULTS / "explorer" / name / "data.js"
        if stamp not in path.read_text(encoding="utf-8")[:100]:
            wrong.append(f"{shown(path)} shows other supports; run `python -m lib.report.explorer {name}`")
    for path in sorted((BOOK / "notebooks").glob("*.ipynb")):
        try:
            values = json.loads(path.read_text(encoding="utf-8"))["metadata"]["companion"]["parameters"]
        except (ValueError, KeyError):
            values = {}
        if path.stem not in execution.names() or not execution.is_current(path.stem, values):
            wrong.append(f"book/notebooks/{path.name} is stale; run `python -m lib.run {path.stem}`")
    return wrong


def shown(path: Path) -> str:
    """How a file under results/ is called."""
    return f"results/{path.relative_to(RESULTS).as_posix()}" if path.is_relative_to(RESULTS) else path.name
