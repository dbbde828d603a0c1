"""The report: one file of no more than it says, that asks nothing of anyone and runs nothing, wherever it is opened."""

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from lib import profiles
from lib.bisection import FOUND, LARGER
from lib.chapters import answers, handout, own
from lib.data import Dataset

EVIL = "test/cat/<script>alert(1)</script>&\"'.png"


@pytest.fixture
def study(monkeypatch) -> SimpleNamespace:
    """Ten targets of photographs of 224 pixels, as the report asks of a study; nothing is trained."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (60, 3, 14, 14), dtype=np.uint8).repeat(16, axis=2).repeat(16, axis=3)
    dataset = Dataset("mine", pixels[:40], np.repeat([0, 1], 20), pixels[40:], np.repeat([0, 1], 10), ("cat", "<b>"))
    ranking = {name: rng.permuted(np.tile(np.arange(40), (10, 1)), axis=1)[:, :10] for name in own.RANKED}
    monkeypatch.setattr(answers, "cost", lambda *_: pd.DataFrame({"what": ["features"], "core_seconds": [3.25]}))
    attribution = SimpleNamespace(ranking=ranking.get)
    profile = profiles.load("smoke")
    return SimpleNamespace(profile=profile, dataset=dataset, targets=np.arange(10), attribution=attribution)


def text(study, doubts: list[str]) -> str:
    names = own.Files([f"train/c/{i}.png" for i in range(40)], [EVIL, *(f"test/c/{i}.png" for i in range(1, 20))])
    rows = [
        {"kind": "removal", "method": method, "target": i, "label": i // 10, "wrong_label": 1, "size": 3, "low": 2}
        | {"high": 3, "reason": FOUND if method != "random" else LARGER, "votes": "0:2-0 10:0-2 3:0-2 2:2-1"}
        for method in own.METHODS
        for i in range(10)
    ]
    shares = {"test_accuracy": 0.75, "test_accuracy_low": 0.5, "test_accuracy_high": 0.9, "n": 20}
    accuracies = pd.DataFrame([{"classifier": "retrained model"} | shares])
    return handout.html(study, names, pd.DataFrame(rows), accuracies, doubts)


def test_it_holds_everything_and_no_more_than_three_megabytes(study):
    shown = text(study, ["Raise <epochs>."])
    assert len(shown.encode()) < 3e6 and text(study, ["Raise <epochs>."]) == shown
    assert shown.count("<section>") == 10 and shown.count("<img") == 10 + 10 * 2 * 10
    assert shown.count('class="removed"') == 10 * 2 * 3, "the first three of each ranking"
    assert "Support: 3 (15% of the class)" in shown and "Support: more than 2" in shown
    votes = re.findall(r"<tr>((?:<td class=.number.>\d+</td>){3})</tr>", shown)
    assert re.findall(r"\d+", "".join(votes[:4])) == ["0", "2", "0", "2", "2", "1", "3", "0", "2", "10", "0", "2"]
    assert "75%" in shown and "50% to 90%" in shown and "3.2" in shown and "k_max" in shown
    assert "None that was looked for" in text(study, [])


def test_names_are_escaped_and_nothing_runs_or_is_fetched(study):
    shown = text(study, ["Raise <epochs>."])
    assert "<script" not in shown and "&lt;script&gt;alert(1)&lt;/script&gt;&amp;" in shown
    assert "Raise &lt;epochs&gt;." in shown and "<b>." not in shown and "class &lt;b&gt;" not in shown.replace("x", "")
    assert not re.findall(r"(?:src|href)=.(?!data:image/(?:png|jpeg);base64,)", shown)
    assert "://" not in shown and not re.findall(r"\son\w+=", shown) and "default-src 'none'" in shown


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1300])
def test_it_reads_on_a_telephone_and_on_a_screen(study, browser, tmp_path, width, scheme):
    (tmp_path / "report.html").write_text(text(study, ["Raise epochs."]), encoding="utf-8")
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((tmp_path / "report.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    assert [url for url in asked if not url.startswith("data:")] == [page.url]
    back = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (back == "rgb(255, 255, 255)") == (scheme == "light")
    page.close()
