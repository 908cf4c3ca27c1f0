"""Headers that are not plain: 32-bit lengths, VRs that nobody knows; and the errors of a walk.

A VR that PS3.5 6.2 does not know is read in whichever of three forms leads to a good next element, in this
order: the 32-bit length that PS3.5 7.1.2 gives to all VRs to come, a 16-bit length, no VR at all. Bytes
that are no letters are first taken for an element without VR, since that is what they mostly are.
"""

from __future__ import annotations

from gantry.dataset.layout import (
    ITEM_DELIMITER,
    SEQUENCE_DELIMITER,
    UNDEFINED,
    Buffer,
    Layout,
)
from gantry.dataset.limits import MAX_ELEMENTS_OF_ONE_LEVEL
from gantry.errors import DataSetError
from gantry.standard.dictionary import vr_of


def long_header(
    buffer: Buffer, pos: int, end: int, layout: Layout, *, first: bool = False
) -> tuple[int, str, int, int]:
    """(tag, VR, offset of the value, length) of an explicit element that is no plain one."""
    group, element, code, _ = layout.four_words.unpack_from(buffer, pos)
    tag = group << 16 | element
    if group == 0xFFFE:
        raise stray(tag, pos)
    vr = layout.long_vrs[code]
    if vr is None:
        if first:
            raise DataSetError(
                "the Data Set is declared as Explicit VR but its first element has no known VR",
                tag=tag,
                offset=pos,
            )
        return _odd_header(buffer, pos, end, layout, tag)
    if pos + 12 > end:
        raise cut_header(pos, tag)
    length = layout.long.unpack_from(buffer, pos + 8)[0]
    if length == UNDEFINED and vr == "UN":
        vr = "SQ"  # PS3.5 6.2.2 note 2
    return tag, vr, pos + 12, length


def _odd_header(buffer: Buffer, pos: int, end: int, layout: Layout, tag: int) -> tuple[int, str, int, int]:
    """The header of an element whose VR is none of the standard's: the first form after which all is well."""
    _, _, code, short_length = layout.four_words.unpack_from(buffer, pos)
    letters = bytes(buffer[pos + 4 : pos + 6])
    short = (pos + 8, short_length, "UN")
    implicit = (pos + 8, layout.long.unpack_from(buffer, pos + 4)[0], vr_of(tag))
    forms = [short, implicit] if letters.isalpha() else [implicit, short]
    if short_length == 0 and pos + 12 <= end:  # the reserved bytes of a 32-bit length, PS3.5 7.1.2
        forms.insert(
            0 if letters.isalpha() else 1, (pos + 12, layout.long.unpack_from(buffer, pos + 8)[0], "UN")
        )
    for value, length, vr in forms:
        may_repeat = code if vr == "UN" and (value, length, vr) != implicit else None
        if _leads_on(buffer, value + length, end, layout, tag, may_repeat):
            return tag, vr, value, length
    raise DataSetError(
        f"VR {letters!r} is not known, and no way to read the element leads to a next one",
        tag=tag,
        offset=pos,
    )


def _leads_on(buffer: Buffer, pos: int, end: int, layout: Layout, tag: int, may_repeat: int | None) -> bool:
    """Whether a good explicit element, a delimiter, or the end is at `pos`."""
    if pos == end:
        return True
    if pos > end - 8:
        return False
    group, element, code, _ = layout.four_words.unpack_from(buffer, pos)
    following = group << 16 | element
    if following in (ITEM_DELIMITER, SEQUENCE_DELIMITER):
        return True
    known = layout.short_vrs[code] or layout.long_vrs[code] or code == may_repeat
    return bool(known) and following > tag


def overrun(tag: int, value: int, length: int, end: int, what: str = "value") -> DataSetError:
    """The error of a length that goes past the end."""
    return DataSetError(
        f"a {what} of {length} bytes where {max(end - value, 0)} are left", tag=tag, offset=value
    )


def cut_header(pos: int, tag: int | None) -> DataSetError:
    """The error of a header that the end cuts off."""
    return DataSetError("the Data Set is cut in the header of an element", tag=tag, offset=pos)


def full_level(pos: int) -> DataSetError:
    """The error of too many elements beside each other."""
    return DataSetError(f"more than {MAX_ELEMENTS_OF_ONE_LEVEL} elements in one Data Set or Item", offset=pos)


def stray(tag: int, pos: int) -> DataSetError:
    """The error of an item or delimiter tag outside of any sequence."""
    return DataSetError("an item or a delimiter that belongs to no sequence", tag=tag, offset=pos)
