"""Recordings of spoken digits as a dataset of pictures: a zip of WAV -> log-mel pictures, and who spoke them.

Source of the recordings, and of their split: the Free Spoken Digit Dataset, see the manifest.
"""

import io
import re
import zipfile
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.io import wavfile
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from lib.data import Dataset

ENTRY, SPEAKERS = "free_spoken_digits", 6  # of the manifest
RATE, WINDOW, HOP, SIDE = 8000, 400, 200, 32  # Hz; samples; mel bands, and as many frames: 0.8 s
RANGE = 60.0  # decibels below a picture's loudest point that are told apart
MEMBER = re.compile(r"(?:.*/)?(\d)_(\w+)_(\d+)\.wav")
TESTED = 5  # recordings of each speaker and digit, the first ones: the dataset's own split


def mel(hertz: float) -> float:
    return 2595 * np.log10(1 + hertz / 700)


def row(hertz: float) -> float:
    """Where a frequency lies in a picture, from 0 at the top."""
    return SIDE - (SIDE + 1) * mel(hertz) / mel(RATE / 2)


@lru_cache(1)
def spectrum() -> tuple[ShortTimeFFT, np.ndarray]:
    """Of frames of a recording; and triangles (SIDE, frequencies), evenly spaced in mel from 0 to half of RATE.

    Source of the scale: O'Shaughnessy 1987.
    """
    frames = ShortTimeFFT(hann(WINDOW), HOP, RATE)
    mels = np.linspace(0, mel(RATE / 2), SIDE + 2)
    edges, at = 700 * (10 ** (mels / 2595) - 1), np.linspace(0, RATE / 2, frames.f_pts)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    return frames, np.clip(np.minimum((at - low) / (middle - low), (high - at) / (high - middle)), 0, None)


def picture(sound: np.ndarray) -> np.ndarray:
    """The log-mel picture (1, SIDE, SIDE) uint8 of a recording (n,): low tones below, its middle in the middle.

    What is longer than the picture is cut off on both sides; what is shorter stands in silence.
    """
    (frames, bank), n = spectrum(), HOP * SIDE
    sound = sound.astype(np.float64)[max(0, (len(sound) - n) // 2) :][:n]
    left = (n - len(sound)) // 2
    sound = np.pad(sound, (left, n - len(sound) - left))
    decibels = 10 * np.log10(np.maximum(bank @ frames.spectrogram(sound, p0=0, p1=SIDE), 1e-10))
    shades = np.clip(1 + (decibels - decibels.max()) / RANGE, 0, 1)
    return np.round(255 * shades[::-1]).astype(np.uint8)[None]


@dataclass(frozen=True)
class Recordings:
    """The pictures, and who spoke them: speakers of the training and of the test recordings, (n,) str."""

    dataset: Dataset
    train: np.ndarray
    test: np.ndarray


def read(path) -> Recordings:
    """A zip, by its path or opened, of WAV files DIGIT_SPEAKER_NUMBER.wav; numbers below TESTED are for testing.

    Nothing is extracted. Raises ValueError for a file of another rate, or a zip without recordings.
    """
    rows = []
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            if match := MEMBER.fullmatch(member):
                rate, sound = wavfile.read(io.BytesIO(archive.read(member)))
                if rate != RATE or sound.ndim != 1:
                    raise ValueError(f"{member} has {rate} Hz and shape {sound.shape}; give mono of {RATE} Hz")
                rows.append((int(match[1]), match[2], int(match[3]), picture(sound)))
    if not rows:
        raise ValueError(f"{path} has no recording named DIGIT_SPEAKER_NUMBER.wav; give the dataset's own zip")
    rows.sort(key=lambda row: row[:3])
    digits, speakers, numbers, pictures = map(np.array, zip(*rows, strict=True))
    tested, digits = numbers < TESTED, digits.astype(np.int64)
    splits = [(pictures[of], digits[of]) for of in (~tested, tested)]
    names = tuple(map(str, range(digits.max() + 1)))
    return Recordings(Dataset(ENTRY, *splits[0], *splits[1], names), speakers[~tested], speakers[tested])


def planted(n_digits: int = 5, n_speakers: int = 4, n: int = 15) -> io.BytesIO:
    """A zip of tones: the digit is how high, the speaker which of two overtones are loud; noise and length vary."""
    packed, rng = io.BytesIO(), np.random.default_rng(0)
    with zipfile.ZipFile(packed, "w") as archive:
        for digit, speaker, number in np.ndindex(n_digits, n_speakers, n):
            t, wav = np.arange(rng.integers(3000, 5000)) / RATE, io.BytesIO()
            louder = 1, 0.5 * (speaker % 2), 0.5 * (speaker // 2)
            tone = sum(a * np.sin(2 * np.pi * 200 * 1.3**digit * k * t) for k, a in enumerate(louder, start=1))
            wavfile.write(wav, RATE, (8000 * (tone + 0.1 * rng.standard_normal(len(t)))).astype(np.int16))
            archive.writestr(f"{digit}_s{speaker}_{number}.wav", wav.getvalue())
    return packed
