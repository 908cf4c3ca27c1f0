"""What is asked of a conversion, and what comes of it; shared by all writers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from gantry.errors import CallerError

MAX_VOLUME_BYTES = 16 << 30
"""Voxels of one volume. The largest 4D series in use are some gigabytes; more is a header that lies."""

MAX_ANIMATION_VALUES = 1 << 30
"""Pixels of all frames of one animation: its encoder holds them in memory."""

MAX_PICTURE_PIXELS = 100_000_000
"""Pixels of a picture that is asked for, as many as of a frame that is decoded."""

MAX_SIDE = 65_535
"""The longest side that is asked for: that of the largest DICOM image."""


MOST_SECONDS, MOST_SECONDS_OF_A_FRAME = 600.0, 20.0
"""A codec that runs wild is ended: 20 s are for the largest frame on a busy machine, 600 s for the largest
document."""


class Values(Enum):
    """Which numbers leave: as stored, or in the units of the Modality LUT (PS3.3 C.11.1)."""

    STORED = "stored"
    RESCALED = "rescaled"


@dataclass(frozen=True, slots=True)
class Options:
    """How to convert. `None` is what suits the format.

    `depth` in bits a sample (8: as displayed, 16: stored values); `window` is (center, width); `width` and
    `height` bound pictures, in pixels, 0 for as stored; `state` is a file with the presentation state that
    pictures are made by; `fps` frames a second; `series` joins the frames of a whole series in one file;
    `uneven` makes volumes of slices at unequal distances too; `sidecar` writes the JSON beside NIfTI;
    `columns` are keywords for CSV.
    """

    depth: int | None = None
    quality: int = 90
    window: tuple[float, float] | None = None
    width: int = 0
    height: int = 0
    state: Path | None = None
    frames: tuple[int, ...] | None = None
    fps: float | None = None
    series: bool = False
    values: Values | None = None
    uneven: bool = False
    sidecar: bool = True
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises CallerError for what cannot be."""
        _require(self.depth in (None, 8, 16), "depth is 8 or 16 bits")
        _require(1 <= self.quality <= 100, "quality is from 1 to 100")
        _require(self.window is None or _is_window(self.window), "a window is a center and a width above 0")
        _require(
            min(self.width, self.height) >= 0 and self.width * self.height <= MAX_PICTURE_PIXELS,
            f"width and height are pixels, not more than {MAX_PICTURE_PIXELS:,} of them",
        )
        _require(max(self.width, self.height) <= MAX_SIDE, f"width and height are at most {MAX_SIDE}")
        _require(self.frames is None or min(self.frames, default=0) >= 1, "frames are counted from 1")
        _require(self.fps is None or 0.01 <= self.fps <= 1000, "fps is from 0.01 to 1000")


def _require(is_so: bool, words: str) -> None:
    if not is_so:
        raise CallerError(words)


def _is_window(window: tuple[float, float]) -> bool:
    return all(math.isfinite(number) for number in window) and window[1] > 0


@dataclass(frozen=True, slots=True)
class Made:
    """What a writer made in its file: words on it, and files that belong beside it, by suffix."""

    notes: tuple[str, ...] = ()
    beside: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Piece:
    """One file to be written. `stem` is its name below the output folder without `suffix`; `source` says of
    what it is made. `make` writes to the path that it is given; another process must be able to take it.

    `uses_all_cores` where it does so itself. `runs_codec` where a library that is not ours reads or writes
    compressed pictures, and may take the process with it. It has so much time as its `frame_count` allows.
    """

    stem: str
    suffix: str
    source: str
    make: Callable[[Path], Made]
    uses_all_cores: bool = False
    runs_codec: bool = False
    frame_count: int = 1

    @property
    def deadline_s(self) -> float:
        """When another process is given up in which it is made."""
        return MOST_SECONDS + MOST_SECONDS_OF_A_FRAME * self.frame_count


@dataclass(frozen=True, slots=True)
class Converted:
    """What became of a piece, or of an input of which none was made: then `error` says why, and `is_other`
    that it is nothing of which such a file could be made, as a report is no picture.
    """

    source: str
    path: Path | None
    notes: tuple[str, ...] = ()
    error: str = ""
    beside: tuple[Path, ...] = ()
    is_other: bool = False
