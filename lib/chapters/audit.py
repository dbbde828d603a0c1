"""Is what is stored what training gives? Every check, and some of the trainings, drawn at random, done again here.

    python -m lib.audit                           `lib.chapters.checks`, and 20 trainings of each profile
    python -m lib.audit --profile fashion -n 5    of one; of cifar10_full when it is named so
    python -m lib.audit -n 0                      the checks alone

A stored vote is a sample and not a constant: another kind of processor orders sums otherwise, and a training then takes
another course from the same seed. So a training that is done again passes where it is no further from the stored one
than another seed is. How far that is the ledger itself says.
"""

import argparse
import json
import sys
from collections import defaultdict
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from scipy.stats import binom, spearmanr

from lib import profiles
from lib.chapters import checks
from lib.data import RESULTS, entries, fetch, places, replacing
from lib.engine import Ledger, processor
from lib.lds import signed_inverse_l2
from lib.methods import FEATURES, RANDOM
from lib.report import committed, stats
from lib.retrain import Retraining, margins
from lib.study import BASE_SEED, Study

TRAININGS = RESULTS / "audit" / "trainings.csv"
PROFILES = ("fashion", "cifar10", "imagenet", "cifar10_full")  # whose ledgers came with the repository
COSTLY = "cifar10_full"  # of which no training is done again unless it is named: each takes more than a minute
ELSEWHERE = {COSTLY: sorted((RESULTS / "cifar10" / "scale").glob("*.csv"))}  # tables on other profiles' pages
NEAR = 200  # pairs of seeds by which one vote is judged
LEVEL = 0.001  # of the test that votes do not differ more often than by another seed
Stored = dict[str, tuple[Retraining, dict[int, float]]]  # by the ledger's key, with the margin of each target


def stored(study: Study, readings: dict) -> Stored:
    """The margins behind supports, by retraining. readings: of `checks.Replay`."""
    by_key, labels = {}, study.dataset.test_labels
    for (key, target), (retraining, logits) in sorted(readings.items(), key=lambda reading: reading[0]):
        by_key.setdefault(key, (retraining, {}))[1][target] = margins(logits[None], labels[[target]])[0]
    return by_key


def between_seeds(study: Study, known: Stored) -> np.ndarray:
    """Margins (n, 2) of one target after one change, of two seeds.

    Of the first two votes of every probe, which are both cast whatever the first one says; where probes have one vote,
    of every two base models, on the targets.
    """
    by_change = defaultdict(dict)
    for retraining, of_target in known.values():
        by_change[replace(retraining, seed=0)][retraining.seed] = of_target
    pairs = [
        (of[0][target], of[1][target])
        for of in by_change.values()
        if {0, 1} <= set(of)
        for target in of[0].keys() & of[1].keys()
    ]
    if pairs:
        return np.array(pairs)
    base = [Retraining(study.profile.recipe, BASE_SEED + i) for i in range(study.profile.n_base)]
    logits, labels = study.driver.logits([(one, study.targets.tolist()) for one in base]), study.dataset.test_labels
    of_model = [margins(of, labels[study.targets]) for of in logits]
    return np.concatenate([np.transpose(pair) for pair in combinations(of_model, 2)])


def again(study: Study, known: Stored, n: int, seed: int = 0) -> pd.DataFrame:
    """n of the retrainings at random, done again without the ledger; a row a vote.

    Columns: profile, stored_on (the ledger's machine), key, target, stored, now (margins), same_bits (of all logits, up
    to the ledger's four decimals). Raises ValueError where there are not so many.
    """
    if not 1 <= n <= len(known):
        raise ValueError(f"n={n} retrainings cannot be drawn; give 1 to {len(known)}")
    keys = [sorted(known)[i] for i in np.random.default_rng(seed).permutation(len(known))[:n]]
    machines = {record["key"]: record["machine"] for record in study.driver.ledger.records}
    with TemporaryDirectory() as folder:
        driver = replace(study.driver, ledger=Ledger(Path(folder)))
        fresh = driver.logits([(known[key][0], list(known[key][1])) for key in keys])
    rows = []
    for key, logits in zip(keys, fresh, strict=True):
        targets, before = zip(*known[key][1].items(), strict=True)
        kept = [study.driver.ledger.logits(key, target) for target in targets]
        row = {"profile": study.profile.name, "stored_on": machines[key], "key": key}
        row |= {"same_bits": bool((np.array(kept) == logits).all())}
        now = margins(logits, study.dataset.test_labels[list(targets)])
        rows += [row | {"target": t, "stored": s, "now": m} for t, s, m in zip(targets, before, now, strict=True)]
    return pd.DataFrame(rows)


def compared(rows: pd.DataFrame, pairs: np.ndarray) -> dict:
    """One line: what trainings done again on one kind of processor say, beside what another seed does.

    rows: of `again`. pairs: of `between_seeds`. same_votes: with an interval over trainings, which have several votes
    each. expected: the share of these votes that would stay under another seed: of each, the share among the NEAR pairs
    of which either margin is nearest to its own. p: binomial, as if votes were independent: it errs towards failing.
    """
    first, second = np.concatenate([pairs, pairs[:, ::-1]]).T
    nearest = [np.abs(first - margin).argsort(kind="stable")[:NEAR] for margin in rows["stored"]]
    stay = [((second[near] > 0) == (margin > 0)).mean() for near, margin in zip(nearest, rows["stored"], strict=True)]
    same, off = (rows["stored"] > 0) == (rows["now"] > 0), (rows["now"] - rows["stored"]).abs()
    line = {"profile": rows["profile"].iloc[0], "stored_on": rows["stored_on"].iloc[0], "here": processor("cpu")}
    line |= {"trainings": rows["key"].nunique(), "same_bits": rows.groupby("key")["same_bits"].all().mean()}
    of_training = same.groupby(rows["key"]).agg(["sum", "size"])
    if same.nunique() == 1:  # all or none: resamples do not vary
        line |= stats.mean("same_votes", of_training["sum"] > 0, stats.share_interval)
    else:
        line |= stats.ratio("same_votes", of_training["sum"], of_training["size"])
    line |= {"votes": len(rows), "expected": np.mean(stay)}
    line |= {"p": float(binom.sf((~same).sum() - 1, len(rows), 1 - np.mean(stay)))}
    line |= {"margins_apart": off.median(), "largest_apart": off.max()}
    line |= {"seeds_same_votes": ((pairs[:, 0] > 0) == (pairs[:, 1] > 0)).mean()}
    return line | {"seeds_margins_apart": np.median(np.abs(first - second)), "seeds_pairs": len(pairs)}


def wrong(rows: pd.DataFrame, pairs: np.ndarray, p: float) -> list[str]:
    """Trainings that are further from the stored ones than another seed is, a line each."""
    profile, most = rows["profile"].iloc[0], np.abs(np.diff(pairs, axis=1)).max()
    far = rows[(rows["now"] - rows["stored"]).abs() > most]
    lines = [
        f"results/{profile}/ledger, {row.key}, target {row.target}: margin {row.stored:.2f}, again {row.now:.2f}"
        for row in far.itertuples()
    ]
    return lines + [f"{profile}: votes differ more often than between two seeds (p = {p:.2g})"] * (p < LEVEL)


def derived(folder: Path) -> list[str]:
    """Tables of a page that do not follow from its supports: summary.csv and, row by row, claims.csv."""
    k_max = profiles.PROFILES[folder.parent.name].k_max
    tables = {path.stem: pd.read_csv(path) for path in folder.glob("*.csv")}
    if "supports" not in tables or checks.swept(tables["supports"]):
        return []
    supports, wrong = tables["supports"], []
    by = supports.groupby("network", sort=False) if "network" in supports else [("", supports)]
    again = pd.concat(stats.summary(table, k_max) for _, table in by)
    if "summary" in tables and not checks.same(tables["summary"][list(again)], again):
        wrong.append(f"{checks.shown(folder)}/summary.csv does not follow from supports.csv")
    for number, row in enumerate(tables.get("claims", supports[:0]).to_dict("records"), start=1):
        of_row = tables.get("separate", supports) if row.get("tests") == "separate" else supports
        of_row = of_row[of_row["network"] == row["network"]] if "network" in row else of_row
        paired = stats.paired(of_row, row["kind"], row["better"], row["worse"], k_max)
        if not checks.same(pd.DataFrame([row])[list(paired)], pd.DataFrame([paired])):
            wrong.append(f"{checks.shown(folder)}/claims.csv, row {number} does not follow from the supports")
    return wrong


def lds(study: Study) -> list[str]:
    """Rows of Table 1's LDS that scipy, a target at a time, does not give from the scores and the models' margins."""
    path, attribution, wrong = study.outputs("table1") / "lds.csv", study.attribution, []
    if not path.exists():
        return []
    masks, observed = attribution.subset_margins(attribution.held_out)
    labels = study.dataset.test_labels[study.targets], study.dataset.train_labels
    for name, rows in pd.read_csv(path).groupby("method", sort=False):
        if name in FEATURES:
            vectors = attribution.features(name)
            scores = signed_inverse_l2(vectors.test[study.targets], vectors.train, *labels)
        else:
            scores = attribution.scores(name if name == RANDOM else f"{name}:all")
        predicted = masks @ np.where(np.isfinite(scores), scores, 0).T.astype(float)
        for target, stated, of_target in zip(rows["target"], rows["lds"], predicted.T, strict=True):
            if abs(spearmanr(of_target, observed[:, target]).statistic - stated) > 1e-5:
                wrong.append(f"{checks.shown(path)}: {name}, target {target} does not follow from scores and margins")
    return wrong


def record(folder: Path, study: Study) -> list[str]:
    """What the record of a page's results says otherwise than the profile, as far as both name it, and the dataset."""
    stated = json.loads((folder / "record.json").read_text())
    expected = {"figure": folder.name, "recipe": study.profile.recipe.hash}
    expected |= {"dataset": {"name": study.dataset.name, "checksum": study.dataset.checksum}}
    values = {f"profile {key}": value for key, value in stated.pop("profile").items()}
    expected |= {key: value for name, value in study.profile.content.items() if (key := f"profile {name}") in values}
    differ = ", ".join(key for key, value in expected.items() if (stated | values)[key] != value)
    return [f"{checks.shown(folder)}/record.json: {differ} is not what it is now"] if differ else []


def manifest() -> list[str]:
    """Files of the manifest that are here and have another checksum."""
    wrong = []
    for entry in entries().values():
        if entry.file and any((folder / entry.file).is_file() for folder in places().values()):
            try:
                fetch(entry)
            except ValueError as error:
                wrong.append(str(error))
    return wrong


def audit(study: Study, n: int, seed: int) -> tuple[list[str], list[dict]]:
    """What is wrong with the results of a profile, and a line of `compared` for each kind of processor."""
    replay, problems, lines = checks.Replay(study), lds(study), []
    for path in sorted(study.folder.glob("*/record.json")):
        problems += record(path.parent, study) + derived(path.parent)
        problems += [line for table in sorted(path.parent.glob("*.csv")) for line in replay.wrong(table)]
    problems += [line for table in ELSEWHERE.get(study.profile.name, []) for line in replay.wrong(table)]
    known = stored(study, replay.readings)
    print(f"{study.profile.name}: {len(replay.readings)} votes of {len(known)} trainings read, {counted(problems)}")
    if n:
        pairs = between_seeds(study, known)
        for _, rows in again(study, known, n, seed).groupby("stored_on"):
            lines.append(compared(rows, pairs))
            problems += wrong(rows, pairs, lines[-1]["p"])
    return problems, lines


def counted(problems: list[str]) -> str:
    return f"{len(problems)} problem{'s' * (len(problems) != 1)}"


def write(table: pd.DataFrame) -> None:
    """Keep the lines of `compared` for the page, in place of those of the same profiles."""
    if TRAININGS.exists():
        before = pd.read_csv(TRAININGS)
        table = pd.concat([before[~before["profile"].isin(table["profile"])], table])
    table = table.sort_values("profile", key=lambda names: names.map(PROFILES.index), kind="stable")
    with replacing(TRAININGS) as path:
        table.to_csv(path, index=False, float_format="%.4g")


def main(argv: list[str] | None = None) -> int:
    """The command line. Returns 0 where all is well, 1 where something is wrong or stale, 2 for wrong input."""
    parser = argparse.ArgumentParser("python -m lib.audit", description="Check what is stored; do some of it again.")
    parser.add_argument("--profile", choices=PROFILES, help="one of them; else all")
    parser.add_argument("-n", type=int, default=20, help="how many trainings of each profile; 0: none")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--write", action="store_true", help="keep the table under results/audit/, for the page")
    parser.add_argument("--seal", action="store_true", help="instead: take the committed results for right as they are")
    args = parser.parse_args(argv)
    if args.n < 0 or args.seed < 0:
        parser.error(f"-n {args.n} --seed {args.seed}: give numbers from 0 on")
    if args.seal:
        return checks.seal() or 0
    lines, problems = [], checks.files() + manifest() + checks.across()
    print(f"files, manifest, claims, pages: {counted(problems)}")
    try:
        for name in [args.profile] if args.profile else PROFILES:
            if committed.missing(profiles.PROFILES[name]):
                print(f"{name}: its images are not here; only its files were checked")
                continue
            n = args.n if args.profile or name != COSTLY else 0
            of_profile = audit(Study(profiles.load(name)), n, args.seed)
            problems, lines = problems + of_profile[0], lines + of_profile[1]
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    table = pd.DataFrame(lines)
    print("\n".join([table.to_string(index=False) if lines else "", *problems, counted(problems)]))
    if args.write and lines:
        write(table)
    return int(bool(problems))
