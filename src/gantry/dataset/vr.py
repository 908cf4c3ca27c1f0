"""The VR of an element whose bytes do not say: Implicit VR, and UN written by somebody who did not know.

PS3.5 6.2.2 and A.1. The walk takes the dictionary's VR, or UN, because it must not look at values. Here the
rest of the Data Set decides: Pixel Representation between US and SS, LUT Descriptor between US and OW, the
private creator among the attributes that vendors have published.
"""

from __future__ import annotations

from gantry.dataset.scan import DataSet, Element
from gantry.standard.dictionary import (
    VR_CHOICES,
    is_private,
    is_private_creator,
    private_vr,
    vr_choice,
)

_PIXEL_REPRESENTATION = 0x00280103
_LUT_DESCRIPTOR = 0x00283002
_MOST_UNKNOWN_BYTES = (
    0xFFFF  # a public attribute longer than this was made UN because its VR has 16-bit lengths
)


def is_open(tag: int) -> bool:
    """Whether the dictionary's VR of an element in Implicit VR is not the last word: `element_vr` has it."""
    return tag in VR_CHOICES or tag & 0x1FFFF == 0x10000  # the latter: group lengths of private groups


def element_vr(ds: DataSet, element: Element) -> str:
    """The VR to read this element with; the element's own where it is written and not UN."""
    tag, vr, _, length, _ = element
    if vr == "SQ" or (vr != "UN" and not ds.syntax.implicit_vr):
        return vr
    if is_private(tag):
        return _private_vr(ds, tag)
    if vr == "UN" and length >= _MOST_UNKNOWN_BYTES:
        return vr
    choice = vr_choice(tag)
    if len(choice) == 2:
        return choice
    if choice == "US or SS":
        return "SS" if _is_signed(ds) else "US"
    if choice == "US or OW":
        return "US" if ds.ints(_LUT_DESCRIPTOR)[:1] == [1] else "OW"
    return "OW"


def _is_signed(ds: DataSet) -> bool:
    """Whether pixel values are signed where this Data Set or Item stands."""
    level: DataSet | None = ds
    while level is not None:
        values = level.ints(_PIXEL_REPRESENTATION)
        if values:
            return values[0] != 0
        level = level.parent
    return False


def _private_vr(ds: DataSet, tag: int) -> str:
    if is_private_creator(tag):
        return "LO"
    if not tag & 0xFF00:
        return "UN"  # no block: PS3.5 7.8.1 has no such element
    creator = ds.text(tag & 0xFFFF0000 | (tag & 0xFF00) >> 8)
    return private_vr(creator, tag) if creator else "UN"
