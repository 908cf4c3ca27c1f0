"""What is asked of a conversion, and what comes of it; shared by all writers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

MAX_VOLUME_BYTES = 16 << 30
"""Voxels of one volume. The largest 4D series in use are some gigabytes; more is a header that lies."""

MAX_PICTURES_BYTES = 4 << 30
"""Frames of one animation, video or multi-page file, uncompressed: encoders hold most of them in memory."""


class Values(Enum):
    """Which numbers leave: as stored, or in the units of the Modality LUT (PS3.3 C.11.1)."""

    STORED = "stored"
    RESCALED = "rescaled"


@dataclass(frozen=True, slots=True)
class Options:
    """How to convert. `None` is what suits the format.

    `depth` in bits a sample (8: as displayed, 16: stored values); `window` is (center, width); `width` and
    `height` bound pictures, in pixels, 0 for as stored; `fps` frames a second; `series` joins the frames of a
    whole series in one file; `uneven` makes volumes of slices at unequal distances too; `sidecar` writes the
    JSON beside NIfTI; `columns` are keywords for CSV.
    """

    depth: int | None = None
    quality: int = 90
    window: tuple[float, float] | None = None
    width: int = 0
    height: int = 0
    frames: tuple[int, ...] | None = None
    fps: float | None = None
    series: bool = False
    values: Values | None = None
    uneven: bool = False
    sidecar: bool = True
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Made:
    """What a writer made in its file: words on it, and files that belong beside it, by suffix."""

    notes: tuple[str, ...] = ()
    beside: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Piece:
    """One file to be written. `stem` is its name below the output folder without `suffix`; `source` says of
    what it is made. `make` writes to the path that it is given. `is_parallel` where it uses all cores itself.
    """

    stem: str
    suffix: str
    source: str
    make: Callable[[Path], Made]
    is_parallel: bool = False


@dataclass(frozen=True, slots=True)
class Converted:
    """What became of a piece, or of an input of which none was made: then `error` says why."""

    source: str
    path: Path | None
    notes: tuple[str, ...] = ()
    error: str = ""
    beside: tuple[Path, ...] = ()
