"""The ledger as data: a record's ids come from the rankings, and make its key again."""

import pytest

from lib import profiles
from lib.chapters import changes
from lib.engine import FIELDS
from lib.methods import OURS
from lib.study import REMOVAL, Study


@pytest.fixture(scope="module")
def fashion() -> Study:
    return Study(profiles.load("fashion"), "cpu", n_jobs=1)


def test_every_field_of_a_record_is_described():
    assert tuple(changes.FIELDS) == FIELDS and all(changes.FIELDS.values())


def test_twenty_committed_records_have_their_ids_again(fashion):
    known = changes.behind(fashion, [(REMOVAL, OURS)], united=True)
    records = [record for record in fashion.driver.ledger.records if record["key"] in known][:20]
    rows = changes.table(records, known)
    assert len(rows) == 20 and rows["seed"].tolist() == [record["seed"] for record in records]
    for row, record in zip(rows.itertuples(), records, strict=True):
        assert known[row.key].key(fashion.dataset) == record["key"]
        assert len(row.removed_ids) == record["removed"] and len(row.relabelled_ids) == record["relabelled"]
    assert rows["removed_ids"].map(len).max() > 0


def test_names_that_only_a_chapter_knows_are_passed_over(fashion):
    assert [changes.is_known(fashion, name) for name in (OURS, "trak:20", "trak share 0.05 damping 0")] == [1, 1, 0]
