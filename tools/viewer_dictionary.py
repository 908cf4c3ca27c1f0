"""Write the VRs of public attributes for the viewer: `viewer/src/dicom/vrs.ts`, from the data dictionary.

Run after the dictionary has changed: `python tools/viewer_dictionary.py`. A test compares the two.
"""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

from gantry.standard.dictionary import VR_CHOICES, VR_OF_TAG
from gantry.standard.pydicom_tables import pydicom_table

TARGET = Path(__file__).resolve().parents[1] / "viewer" / "src" / "dicom" / "vrs.ts"

SHORT = {"US or SS": "xs", "US or OW": "xw"}
"""What other attributes decide; all other choices are OW in Implicit VR."""

HEAD = """/**
 * The VR of every public attribute (PS3.6 6), for what is written without one.
 *
 * Made by tools/viewer_dictionary.py.
 *
 * A line is a group and, for each of its elements, four digits and the VR. `xs` is US or SS, `xw` US or OW.
 * Overlays and curves stand for all groups that repeat them (60xx, 50xx).
 */
export const VRS = `
"""


def table() -> str:
    """The whole text of the file."""
    vrs = {tag: SHORT.get(VR_CHOICES.get(tag, ""), vr) for tag, vr in VR_OF_TAG.items() if tag >= 0x00080000}
    for pattern, (vr, *_) in pydicom_table("_dicom_dict").RepeatersDictionary.items():
        if re.fullmatch("[56]0xx[0-9A-F]{4}", pattern):
            vrs[int(pattern.replace("x", "0"), 16)] = "OW" if " or " in vr else vr
    lines = []
    for group, tags in groupby(sorted(vrs), key=lambda tag: tag >> 16):
        lines.append(f"{group:04X}" + "".join(f"{tag & 0xFFFF:04X}{vrs[tag]}" for tag in tags))
    return HEAD + "\n".join(lines) + "\n`;\n"


if __name__ == "__main__":
    TARGET.write_text(table())
