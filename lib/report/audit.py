"""Are the stored votes what training gives? Some of them, drawn at random, trained again here and compared:

    python -m lib.audit fig03 --profile fashion -n 10

It reads which retrainings a figure's supports rest on from the tables and the ledger under results/, trains the drawn
ones anew without the ledger, and writes nothing. On the machine of the stored votes the logits are the same bits up to
the ledger's four decimals; on another one sums are ordered differently, and a vote of a margin near zero may differ.
"""

import argparse
import sys

import numpy as np
import pandas as pd
from tqdm import tqdm

from lib import profiles
from lib.report import committed
from lib.retrain import margins, retrain
from lib.study import Study


def curves(profile: profiles.Profile, figure: str) -> list[tuple[str, str]]:
    """Each (kind, method) of a figure's stored supports. Raises ValueError where there are none."""
    supports = committed.supports(profile, figure)
    if supports.empty:
        raise ValueError(f"there are no supports of {figure} in profile {profile.name} to audit; run it first")
    return list(supports[["kind", "method"]].drop_duplicates().itertuples(index=False, name=None))


def compare(study: Study, asked: list[tuple[str, str]], united: bool, n: int, seed: int = 0) -> pd.DataFrame:
    """n random retrainings behind `study.supports(asked, united)`, each trained again, a row each.

    Columns: seed, removed, relabelled (how many), votes (read off it), same_votes, largest_difference (of a logit).
    Raises ValueError where the ledger lacks some: there is nothing to compare with.
    """
    known = study.asked(asked, united)
    if not 1 <= n <= len(known):
        raise ValueError(f"n={n} retrainings cannot be drawn; give 1 to {len(known)}")
    rows = []
    for i in tqdm(np.random.default_rng(seed).permutation(len(known))[:n], unit="training", mininterval=5):
        retraining, targets, stored = known[i]
        labels = study.dataset.test_labels[targets]
        live = retrain(study.dataset, retraining, study.driver.device).logits[targets]
        same = (margins(live, labels) > 0) == (margins(stored, labels) > 0)
        row = {"seed": retraining.seed, "removed": len(retraining.removed)}
        row |= {"relabelled": len(retraining.relabelled), "votes": len(targets), "same_votes": int(same.sum())}
        rows.append(row | {"largest_difference": float(np.abs(live - stored).max())})
    return pd.DataFrame(rows)


def main(argv: list[str] | None = None) -> int:
    """The command line. Returns 0 where all votes are the same, 1 where some are not, 2 for wrong input."""
    parser = argparse.ArgumentParser("python -m lib.audit", description="Train some stored retrainings again.")
    parser.add_argument("figure", help="one with supports: fig03")
    parser.add_argument("--profile", choices=profiles.NAMES, default="fashion")
    parser.add_argument("--united", action="store_true", help="its tests are united, as in Figures 6, 8 and 9")
    parser.add_argument("-n", type=int, default=10, help="how many retrainings")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    args = parser.parse_args(argv)
    try:
        profile = profiles.load(args.profile)
        united = args.united or profile.united
        rows = compare(Study(profile), curves(profile, args.figure), united, args.n, args.seed)
    except (ValueError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(rows.to_string(index=False))
    n_votes, n_same = rows["votes"].sum(), rows["same_votes"].sum()
    print(f"{n_same} of {n_votes} votes of {len(rows)} retrainings are the same")
    return int(n_same < n_votes)
