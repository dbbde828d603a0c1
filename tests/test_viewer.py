"""Images are read as a viewer shows them, or refused by name: of a folder, a zip and a list alike."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib import data
from lib.chapters import listing, own

SHAPE = (24, 20)  # of every image: what stands on its side is seen
NAME = "train/a/odd"


def shown() -> np.ndarray:
    """Bands of colour, and a bright corner above to the left, which no turning or mirroring leaves where it is."""
    rows, columns = np.indices(SHAPE)
    pixels = np.stack([rows * 4, columns * 5, 60 + 0 * rows], axis=2).astype(np.uint8)
    pixels[:8, :8] = 250
    return pixels


def grey() -> np.ndarray:
    return np.asarray(Image.fromarray(shown()).convert("L"))


def palette(transparent: bool = False) -> bytes:
    image = Image.fromarray(shown() // 64 * 64).convert("P", palette=Image.Palette.ADAPTIVE, colors=256)
    return as_bytes(image, "PNG", **({"transparency": 0} if transparent else {}))


def rotated(suffix: str) -> bytes:
    """Stored on its side, with the note that a camera leaves."""
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.fromarray(shown()).transpose(Image.Transpose.ROTATE_90)
    return as_bytes(stored, suffix, exif=exif, **({"quality": 100, "subsampling": 0} if suffix == "JPEG" else {}))


def as_bytes(image: Image.Image, kind: str, **options) -> bytes:
    image.save(file := io.BytesIO(), kind, **options)
    return file.getvalue()


def of(mode: str) -> bytes:
    return as_bytes(Image.fromarray(shown()).convert(mode), "JPEG" if mode == "CMYK" else "PNG")


READ = {
    "grey": (lambda: of("L"), np.repeat(grey()[..., None], 3, axis=2)),
    "black and white": (lambda: of("1"), np.asarray(Image.fromarray(shown()).convert("1").convert("RGB"))),
    "colour": (lambda: of("RGB"), shown()),
    "palette": (palette, shown() // 64 * 64),
    "turned PNG": (lambda: rotated("PNG"), shown()),
    "turned JPEG": (lambda: rotated("JPEG"), shown()),
}
REFUSED = {
    "alpha": (lambda: of("RGBA"), "of mode RGBA"),
    "grey with alpha": (lambda: of("LA"), "of mode LA"),
    "transparent palette": (lambda: palette(transparent=True), "of mode P"),
    "16 bits": (lambda: as_bytes(Image.fromarray(grey().astype(np.uint16) * 257), "PNG"), "of mode I;16"),
    "four inks": (lambda: of("CMYK"), "of mode CMYK"),
}


def dataset_of(form: str, raw: bytes, folder: Path) -> data.Dataset:
    """Two classes of colour images, of which the last of the first class is `raw`, as a folder, a zip or a list."""
    pictures = folder / "pictures"
    names = [f"{split}/{c}/0.png" for split in ("train", "test") for c in "ab"] + [f"{NAME}.png"]
    for name in names:
        (pictures / name).parent.mkdir(parents=True, exist_ok=True)
        (pictures / name).write_bytes(raw if name.startswith(NAME) else of("RGB"))
    if form == "zip":
        return data.load(own.entry(shutil.make_archive(str(pictures), "zip", pictures)))
    if form == "list":
        rows = [f"{name},{name.split('/')[1]},{name.split('/')[0]}" for name in names]
        (pictures / "labels.csv").write_text("\n".join(["path,label,split", *rows]), encoding="utf-8")
        return data.load(own.entry(str(pictures / "labels.csv")))
    return data.load(own.entry(str(pictures)))


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(listing, "WRITTEN", tmp_path / "results")


@pytest.mark.parametrize("form", ["folder", "zip", "list"])
@pytest.mark.parametrize("kind", READ)
def test_read_as_a_viewer_shows_it(tmp_path, kind, form):
    make, expected = READ[kind]
    image = dataset_of(form, make(), tmp_path).train_images[1].transpose(1, 2, 0)
    assert image.shape == (*SHAPE, 3) and np.abs(image.astype(int) - expected).max() <= (12 if "JPEG" in kind else 0)


@pytest.mark.parametrize("form", ["folder", "zip", "list"])
@pytest.mark.parametrize("kind", REFUSED)
def test_refused_by_name(tmp_path, kind, form):
    make, message = REFUSED[kind]
    with pytest.raises(ValueError, match=rf"1 {message}, to be saved as 8-bit .*{NAME.replace('/', '.+')}.png\)"):
        dataset_of(form, make(), tmp_path)
