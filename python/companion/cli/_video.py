"""Pictures that follow each other, as a file: mp4 by PyAV, or gif by Pillow."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

SUFFIXES = (".gif", ".mp4")
COLOURS = 255
"""Of a gif's 256; the last one stands for "as in the picture before"."""
SAMPLES = 6
"""Pictures, spread over the whole video, that a gif's colours are chosen from."""
QUALITY = "24"
"""x264's constant rate factor: 18 looks like the pictures, 28 is coarse."""
CAPTION_SHARE = 0.046
"""Of a picture's height, for letters."""

Picture = NDArray[np.uint8]


def check_path(path: Path) -> None:
    """Refuse what can't become a video, before anything is played.

    Raises:
        ValueError: on another ending, or an mp4 without what writes it.
    """
    if path.suffix not in SUFFIXES:
        raise ValueError(f"--out {path}: name a file that ends in {' or '.join(SUFFIXES)}")
    if path.suffix == ".mp4":
        try:
            import av  # noqa: F401
        except ImportError:
            how = "pip install -c constraints.txt av"
            raise ValueError(f"--out {path}: mp4 needs PyAV; {how}, or choose a .gif") from None


def write(path: Path, count: int, picture: Callable[[int], Picture], fps: int) -> None:
    """Write a video of so many pictures, asked for by number; whole, or not at all.

    Raises:
        OSError: if it can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.stem}.unfinished{path.suffix}")
    try:
        (_write_gif if path.suffix == ".gif" else _write_mp4)(unfinished, count, picture, fps)
        os.replace(unfinished, path)
    finally:
        with suppress(FileNotFoundError):
            unfinished.unlink()


def band_height(height: int) -> int:
    """Pixels at the foot of a picture of this height that hold its caption."""
    return round(1.7 * _letters(height))


def captioned(picture: Picture, text: str, height: int) -> Picture:
    """The picture with a line of text below it, which makes it so high."""
    band = Image.new("RGB", (picture.shape[1], height - picture.shape[0]), (28, 30, 34))
    letters = _letters(height)
    font = ImageFont.load_default(letters)
    ImageDraw.Draw(band).text((letters // 2, band.height / 2), text, (235, 235, 235), font, "lm")
    return np.concatenate((picture, np.asarray(band)))


def _letters(height: int) -> int:
    return max(9, round(CAPTION_SHARE * height))


def _write_gif(path: Path, count: int, picture: Callable[[int], Picture], fps: int) -> None:
    palette = _palette(
        [picture(number) for number in np.unique(np.linspace(0, count - 1, SAMPLES).round().astype(int))]
    )

    def images() -> Iterator[Image.Image]:
        for number in range(count):
            yield Image.fromarray(picture(number)).quantize(palette=palette, dither=Image.Dither.NONE)

    following = images()
    first = next(following)
    # A gif counts in hundredths of a second; rounding the moments, not the pauses, keeps its speed.
    moments = np.round(np.arange(count + 1) * 100 / fps).astype(int) * 10
    first.save(path, save_all=True, append_images=following, duration=np.diff(moments).tolist(), loop=0)


def _palette(pictures: Sequence[Picture]) -> Image.Image:
    """One table of colours for all pictures: what does not move stays the same to the bit, and costs nothing."""
    return Image.fromarray(np.concatenate(pictures)).quantize(COLOURS, Image.Quantize.MEDIANCUT)


def _write_mp4(path: Path, count: int, picture: Callable[[int], Picture], fps: int) -> None:
    import av

    with av.open(str(path), "w", options={"movflags": "faststart"}) as file:
        stream = file.add_stream("h264", rate=fps, options={"crf": QUALITY})
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            if number == 0:
                stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p"
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
