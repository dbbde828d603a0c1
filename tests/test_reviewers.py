"""The page of answers: every number that it names is in a committed table, and every page that it links to is one."""

import json
import re

import pytest
from IPython.display import Markdown

from lib.data import ROOT

CELLS = json.loads((ROOT / "notebooks" / "reviewers.ipynb").read_text(encoding="utf-8"))["cells"]


@pytest.fixture(scope="module")
def answers() -> str:
    """The page's text: its cells, run one after the other as a notebook does."""
    names, texts = {}, []
    for cell in CELLS:
        source = "".join(cell["source"])
        before, call, said = f"\n{source}".partition("\nMarkdown(")
        if cell["cell_type"] == "code":
            exec(before, names)
        if call:
            texts.append(eval(f"Markdown({said}", names | {"Markdown": Markdown}).data)
    return "\n\n".join(texts)


def test_every_answer_is_of_three_sentences_with_a_number_and_a_link(answers):
    parts = re.split(r"^## ", answers, flags=re.M)[1:]
    assert len(parts) == 8
    for part in parts:
        title, text = part.split("\n\n")[:2]
        sentences = re.findall(r"[^.]+?[a-z)\]:][.:](?=\s|$)", " ".join(text.split()))
        assert 3 <= len(sentences) <= 5 and re.search(r"\d\.\d\d", text) and "](" in text, title


def test_every_link_leads_to_a_notebook(answers):
    linked = set(re.findall(r"\]\((\w+)\)", answers))
    assert linked and all((ROOT / "notebooks" / f"{name}.ipynb").exists() for name in linked)
