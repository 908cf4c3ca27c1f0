"""Values of options that people write in a form of their own: windows, sizes, frames."""

from __future__ import annotations

from gantry.errors import CallerError

MOST_FRAME = 1_000_000
"""The highest frame number that can be asked for; ranges are written out."""


def window(text: str | None) -> tuple[float, float] | None:
    """Center and width. Raises CallerError."""
    if text is None:
        return None
    found = numbers(text, ",", 2)
    if found is None or found[1] <= 0:
        raise CallerError(f"--window takes center and width, as in 40,400, not {text!r}")
    return found[0], found[1]


def size(text: str | None) -> tuple[int, int]:
    """Width and height; 0 and 0 where nothing is said. Raises CallerError."""
    if text is None:
        return 0, 0
    found = numbers(text, "x", 2)
    if found is None or not all(1 <= number <= 65535 for number in found):
        raise CallerError(f"--size takes width and height, as in 512x512, not {text!r}")
    return int(found[0]), int(found[1])


def numbers(text: str, divider: str, count: int) -> list[float] | None:
    """So many numbers; None where it is not that."""
    try:
        found = [float(part) for part in text.split(divider)]
    except ValueError:
        return None
    return found if len(found) == count else None


def frames(text: str | None) -> tuple[int, ...] | None:
    """Frame numbers, from 1. Raises CallerError."""
    if text is None:
        return None
    chosen: list[int] = []
    try:
        for part in text.split(","):
            first, _, last = part.partition("-")
            begin, end = int(first), int(last or first)
            if not 1 <= begin <= end <= MOST_FRAME:
                raise ValueError
            chosen += range(begin, end + 1)
    except ValueError:
        raise CallerError(f"--frames takes numbers and ranges from 1, as in 1,3-5, not {text!r}") from None
    return tuple(chosen)
