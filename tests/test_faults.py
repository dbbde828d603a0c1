"""Every input of the table in `faults.py` is met with its message; the page that counts them is that of the table."""

import re

import faults
import pytest

INPUTS = [(kind, given, said) for kind in faults.KINDS for given, said in kind.inputs]


@pytest.mark.parametrize(
    ("kind", "given", "said"), INPUTS, ids=[f"{kind.name}-{i}" for i, (kind, *_) in enumerate(INPUTS)]
)
def test_each_input_is_met_with_its_message(kind, given, said, tmp_path):
    message = faults.message(kind, given, tmp_path)
    assert re.search(said, message), message or "it passes unnoticed"


def test_there_are_many_and_of_many_kinds():
    assert len(faults.KINDS) >= 20 and len(INPUTS) >= 200
    assert len({kind.name for kind in faults.KINDS}) == len(faults.KINDS)


def test_the_page_is_that_of_the_table():
    assert faults.PAGE.read_text(encoding="utf-8") == faults.page(), "run `python tests/faults.py`"
