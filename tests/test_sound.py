"""Sound: recordings become pictures, the speaker of a target is found again, and what a speaker is worth is counted."""

import io
import zipfile
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.io import wavfile

from lib import profiles
from lib.chapters import sound, spoken
from lib.methods import OURS, RANDOM
from lib.report import committed
from lib.study import REMOVAL

METHODS = (OURS, "pixels_l2", "trak:2", RANDOM)


def zipped(**recordings: tuple[int, np.ndarray]) -> io.BytesIO:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, (rate, samples) in recordings.items():
            wav = io.BytesIO()
            wavfile.write(wav, rate, samples)
            archive.writestr(f"recordings/{name}.wav", wav.getvalue())
    return packed


def tone(hertz: float, n: int) -> np.ndarray:
    return (8000 * np.sin(2 * np.pi * hertz * np.arange(n) / spoken.RATE)).astype(np.int16)


@pytest.fixture(scope="module")
def tones() -> spoken.Recordings:
    return spoken.read(spoken.planted(n_digits=3, n_speakers=2, n=9))


def test_a_low_tone_is_bright_below_and_a_high_one_above():
    rows = [spoken.picture(tone(hertz, 6400))[0].mean(axis=1).argmax() for hertz in (300, 1000, 3000)]
    assert rows[0] > rows[1] > rows[2]


def test_short_recordings_stand_in_silence_and_long_ones_are_cut_on_both_sides():
    short, long = spoken.picture(tone(500, 1600))[0], spoken.picture(tone(500, 16000))[0]
    assert short.shape == long.shape == (32, 32)
    assert not short[:, :10].any() and not short[:, -10:].any() and short[:, 14:18].any()
    assert long.any(axis=0).all()


def test_loudness_does_not_matter():
    soft = tone(500, 4000)
    np.testing.assert_allclose(spoken.picture(soft), spoken.picture(2.0 * soft), atol=1)


def test_the_first_five_of_each_speaker_and_digit_are_for_testing(tones):
    dataset = tones.dataset
    assert dataset.train_images.shape == (24, 1, 32, 32) and dataset.test_images.shape == (30, 1, 32, 32)
    assert np.bincount(dataset.train_labels).tolist() == [8, 8, 8]
    assert tones.train[:5].tolist() == ["s0"] * 4 + ["s1"] and tones.test[:6].tolist() == ["s0"] * 5 + ["s1"]


def test_other_rates_and_other_zips_are_refused():
    with pytest.raises(ValueError, match="16000 Hz and shape .*; give mono of 8000 Hz"):
        spoken.read(zipped(**{"3_ann_0": (16000, tone(500, 4000))}))
    with pytest.raises(ValueError, match="has no recording named DIGIT_SPEAKER_NUMBER.wav"):
        spoken.read(zipped(three=(8000, tone(500, 4000))))


def test_values_fit_the_recordings_and_the_tones_are_of_profile_smoke():
    own = sound.values("fashion")
    assert (own.dataset, own.n_targets, own.selfsupervised.flip) == ("free_spoken_digits", 20, False)
    assert own.folder("sound") == "sound"
    assert sound.values("fashion", k_max=64).folder("sound").startswith("sound-")
    assert sound.values("smoke") == profiles.PROFILES["smoke"]


@pytest.fixture
def study(tones, quick) -> SimpleNamespace:
    """The first image of each class as target; ours ranks its own speaker first, and nothing is kept."""
    targets, dataset = np.array([0, 10, 20]), tones.dataset
    ours = [[*range(8 * c, 8 * c + 8)] for c in range(3)]
    rankings = {method: np.array(ours) for method in METHODS} | {RANDOM: np.array([row[::-1] for row in ours])}
    keep = {"kept": lambda name, identity, n, make, made_up: make(), "ranking": rankings.get}
    profile = SimpleNamespace(recipe=quick)
    made = {"dataset": dataset, "targets": targets, "recordings": tones, "profile": profile}
    return SimpleNamespace(**made, driver=SimpleNamespace(device="cpu"), attribution=SimpleNamespace(**keep))


def test_shares_by_the_own_speaker(study, monkeypatch):
    monkeypatch.setattr(sound, "methods", lambda profile: METHODS)
    monkeypatch.setattr(sound, "FIRST", 4)
    rows = [(REMOVAL, method, 0, 5) for method in METHODS]
    supports = pd.DataFrame(rows, columns=["kind", "method", "target", "size"]).astype({"size": "Int64"})
    shares = sound.by_own_speaker(study, supports).set_index("method")
    assert shares.loc[OURS, "first"] == 1 and shares.loc[RANDOM, "first"] == 0 and (shares["chance"] == 0.5).all()
    assert shares.loc[OURS, "support"] == pytest.approx(0.8) and (shares["n_supports"] == 1).all()


def test_a_speaker_left_out_is_not_trained_on_and_the_control_is_as_large(study, monkeypatch):
    asked, labels = [], study.dataset.test_labels

    def answer(dataset, training, device):
        asked.append(training.removed)
        gone = study.recordings.train[list(training.removed)]
        wrong = (study.recordings.test == gone[0]) & (len(set(gone)) == 1) if len(gone) else np.zeros(30, bool)
        return SimpleNamespace(logits=np.eye(3)[(labels + wrong) % 3])

    monkeypatch.setattr(sound, "retrain", answer)
    rows = sound.by_speaker(study).set_index("speaker")
    assert (rows["with"] == 1).all() and (rows["without"] == 0).all() and (rows["n"] == 15).all()
    assert len(asked) == sound.SEEDS * 5 and {len(removed) for removed in asked} == {0, 12}
    control = [removed for removed in asked[1:] if set(study.recordings.train[list(removed)]) == {"s0"}]
    assert control, "with two speakers the control is the other one"


def test_what_is_lost_is_less_what_the_control_loses():
    gaps = {"control": [0.9, 0.9, 1.0], "without": [0.4, 0.4, 0.5], "margin, control": [3.0, 2, 1]}
    row = sound.lost(pd.DataFrame(gaps | {"margin, without": [1.0, 1, 1]}))
    assert row["accuracy"] == pytest.approx(0.5) == row["accuracy_low"]
    assert row["margin"] == pytest.approx(1) and row["margin_low"] < 0 < 1 < row["margin_high"]


def test_the_page_says_and_draws_what_the_tables_hold(study):
    shares = pd.DataFrame(
        {"method": METHODS, "n": 3, "n_speakers": 2, "first": 0.5, "first_low": 0.4, "first_high": 0.6, "chance": 0.25}
    )
    areas = pd.DataFrame({"kind": REMOVAL, "method": METHODS, "n": 2, "auc": 0.3, "auc_low": 0.1, "auc_high": 0.4})
    areas = areas.assign(flipped=[0.5, 0.5, 0.5, 0.0], flipped_high=0.84)
    speakers = pd.DataFrame({"speaker": ["s0", "s1"], "n": 15, "with": 1.0, "without": 0.2, "control": 0.9})
    speakers = speakers.assign(**{f"margin, {kind}": 1.0 for kind in sound.KEPT})
    tables = {"shares": shares, "summary": areas, "speakers": speakers, "pictures": sound.pictures(study)}
    said = sound.finding(tables)
    assert "ours 0.500 [0.400, 0.600]" in said and "chance is 0.25** (n = 3 targets of 2 speakers;" in said
    assert "costs 0.700 [0.700, 0.700] of accuracy" in said and "n = 2 speakers" in said
    assert "random 0 (0 of 2 flip, a share of at most 0.84)" in said
    drawn = sound.figure(tables, "title")
    assert drawn.get_suptitle() == "title" and len(tables["pictures"]) == 1 + sound.SHOWN


def test_an_interval_over_speakers_knows_that_targets_share_one():
    speakers, values = np.repeat(["a", "b", "c"], 20), np.repeat([0.0, 0.5, 1.0], 20)
    low, high = sound.over_speakers(values, speakers)
    assert low == pytest.approx(0) and high == pytest.approx(1)
    assert sound.over_speakers(np.tile([0.0, 1.0], 30), speakers) == (0.5, 0.5)


def test_a_frequency_lies_where_its_tone_is_bright():
    for hertz in (300, 1000, 3000):
        assert abs(spoken.picture(tone(hertz, 6400))[0].mean(axis=1).argmax() - spoken.row(hertz)) < 1


def test_without_the_archive_the_page_shows_what_came_with_the_repository(monkeypatch):
    monkeypatch.setattr(committed, "missing", lambda profile: True)
    page = sound.open_page({"profile": "fashion"})
    tables = sound.measured(page, "fashion")
    assert page.missing and list(tables) == list(sound.TABLES) and len(tables["pictures"]) == 1 + sound.SHOWN
    assert "by ours; raw pixels, L2; TRAK (5): of the first 10" in sound.finding(tables)
