"""The ledger as data: which images each retraining lacked or mislabelled.

A record says how many images were removed and relabelled, and its key is a hash of which. The ids come from what asked
for it: a ranking and the search, played again on the records.

    tables of supports and margins, rankings -> `behind` -> {key: Retraining} -> `table`
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd

from lib.bisection import UnitedProbe
from lib.chapters import comparison
from lib.engine import retrainings
from lib.methods import parse
from lib.report import Page
from lib.retrain import Recipe, Retraining
from lib.study import REMOVAL, Curve, Study

FIELDS = {  # of a record: what it is, and in which unit
    "key": "16 hexadecimal digits: a hash of dataset, recipe, seed, removed and relabelled ids",
    "recipe": "16 hexadecimal digits: a hash of how the network was built and trained",
    "seed": "of initialisation, order and augmentation; 0, 1, … are votes, from 1000 on base models, others rivals'",
    "removed": "training images left out, a number; their ids: see below",
    "relabelled": "training images given another label, a number",
    "targets": "test ids whose logits were read, a list",
    "logits": "(targets, classes), rounded to 4 decimals; the margin is the correct one less the highest other",
    "test_accuracy": "share of all test images that are predicted right",
    "seconds": "of training and testing: of one core on a CPU, of the clock on a GPU",
    "machine": "processor and device",
}


def behind(study: Study, curves: Iterable[Curve], united: bool, recipe: Recipe | None = None) -> dict[str, Retraining]:
    """The retrainings behind the supports of these curves, by the ledger's key, as far as the ledger has them.

    recipe: as for `Study.supports`.
    """
    profile, driver, known = study.profile, replace(study.driver, recipe=recipe or study.profile.recipe), {}
    for kind, method in curves:
        for group in study.questions([[(kind, method, i) for i in group] for group in study.groups(united)]):
            try:
                asked = driver.asked([group], profile.budget, profile.n_votes)
            except ValueError:  # this group was tested in another way, or its rankings cannot be united
                continue
            known |= {driver.key(retraining): retraining for retraining, _, _ in asked}
    return known


def at_fixed_k(study: Study, methods: Iterable[str], ks: Iterable[int], n_seeds: int) -> dict[str, Retraining]:
    """The retrainings that remove the first k images of all rankings of a group, by key."""
    recipe, known = study.profile.recipe, {}
    for method in methods:
        tests = [[(REMOVAL, method, i) for i in group] for group in study.groups(parse(method).same_class)]
        for group, k in product(study.questions(tests), ks):
            for one in retrainings(group, recipe, UnitedProbe((k,) * len(group), range(n_seeds), 1)):
                known[study.driver.key(one)] = one
    return known


def of_profile(study: Study) -> dict[str, Retraining]:
    """What the profile's tables of supports lead to, and the fixed k of the page of methods, by key. Takes a minute."""
    names = comparison.methods(study.profile)
    known = at_fixed_k(study, names, [0, *comparison.ks(study.profile)], comparison.N_SEEDS)
    for path in sorted(study.folder.glob("*/supports.csv")):
        table = pd.read_csv(path)
        curves = table[["kind", "method"]].drop_duplicates().itertuples(index=False, name=None)
        curves = [(kind, method) for kind, method in curves if is_known(study, method)]
        recipes = (study.profile.recipe, *study.profile.transfer) if "network" in table else (study.profile.recipe,)
        for united, recipe in product((False, True), recipes):
            known |= behind(study, curves, united, recipe)
    return known


def is_known(study: Study, name: str) -> bool:
    """Whether the study can rank by that name; a chapter's own rankings have names that only it knows."""
    try:
        study.attribution.parse(name)
    except ValueError:
        return False
    return True


def table(records: list[dict], known: Mapping[str, Retraining]) -> pd.DataFrame:
    """The records whose changes are known: key, seed, removed_ids, relabelled_ids, new_labels, lists of numbers."""
    rows = []
    for record in records:
        if one := known.get(record["key"]):
            ids, labels = zip(*one.relabelled, strict=True) if one.relabelled else ((), ())
            rows.append((record["key"], record["seed"], sorted(one.removed), list(ids), list(labels)))
    return pd.DataFrame(rows, columns=["key", "seed", "removed_ids", "relabelled_ids", "new_labels"])


def coverage(page: Page) -> pd.DataFrame:
    """How many records there are and of how many the ids are known: changed, records, with_ids, core_hours.

    changed: what was done to the training images. A dry run has no records.
    """
    study = page.study
    if page.tally is not None:
        return pd.DataFrame({"targets": study.targets})
    records, known = pd.DataFrame(study.driver.ledger.records), of_profile(study)
    removed, relabelled = records["removed"] > 0, records["relabelled"] > 0
    changed = np.select([removed, relabelled], ["images removed", "images relabelled"], "nothing")
    rows = records.assign(changed=changed, with_ids=records["key"].isin(known) | (changed == "nothing"))
    grouped = rows.groupby("changed").agg(
        records=("key", "size"), with_ids=("with_ids", "sum"), core_hours=("seconds", lambda s: s.sum() / 3600)
    )
    return grouped.reset_index()


def finding(covered: pd.DataFrame) -> str:
    """The page's first line, in Markdown. covered: of `coverage`."""
    if "records" not in covered:
        return ""
    n, with_ids = covered[["records", "with_ids"]].sum()
    return (
        f"**{n} records of {covered['core_hours'].sum():.1f} core-hours; of {with_ids} ({with_ids / n:.0%}) the "
        "ids of the changed images follow from what is committed.**"
    )
