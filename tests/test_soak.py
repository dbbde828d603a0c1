"""The soak, for seconds: campaigns of which a worker is killed end as undisturbed ones, and the watch sees it."""

import pandas as pd
from test_driver import campaign

from benchmarks import soak


def test_campaigns_whose_workers_are_killed_end_as_undisturbed_ones():
    same, notes = soak.soak(lambda folder: campaign(folder / "ledger", n_jobs=2), seconds=5, every=2)
    assert same and all(same)
    assert notes["workers_killed"].max() >= 1 and (notes["driver_mb"] > 10).all() and notes["worker_mb"].max() > 10
    table = soak.by_minute(notes, same)
    assert table["minute"].tolist() == [0] and table["same_supports"].item() == table["campaigns"].item() == len(same)


def test_a_campaign_that_fails_otherwise_is_an_error():
    calls = iter([None, RuntimeError("k is 3")])

    def run(folder):
        if (outcome := next(calls)) is not None:
            raise outcome

    try:
        soak.soak(run, seconds=2)
    except RuntimeError as error:
        assert str(error) == "k is 3"
    else:
        raise AssertionError("it went on")


def test_notes_become_a_row_a_minute():
    notes = pd.DataFrame(
        {"seconds": [1, 59, 61], "workers_killed": [0, 1, 1], "driver_mb": [5, 7, 6.4], "worker_mb": 3}
    )
    rows = soak.by_minute(notes, [True, False])
    assert rows.to_numpy().tolist() == [[0, 1, 7, 3, 2, 1], [1, 1, 6, 3, 2, 1]]
