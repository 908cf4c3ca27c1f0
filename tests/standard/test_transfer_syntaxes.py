"""The table of transfer syntaxes against pydicom's dictionary, and what an unknown one is taken for."""

from __future__ import annotations

import pydicom.uid
import pytest
from pydicom._uid_dict import UID_dictionary

from gantry.standard import transfer_syntaxes
from gantry.standard.transfer_syntaxes import TRANSFER_SYNTAXES, transfer_syntax

_OF_PYDICOM = {uid: entry for uid, entry in UID_dictionary.items() if entry[1] == "Transfer Syntax"}


def test_every_syntax_pydicom_knows_is_there_with_its_name() -> None:
    assert {uid: (entry[0], bool(entry[3])) for uid, entry in _OF_PYDICOM.items()} == {
        uid: (TRANSFER_SYNTAXES[uid].name, TRANSFER_SYNTAXES[uid].retired) for uid in _OF_PYDICOM
    }


def test_what_is_younger_than_pydicom_is_there() -> None:
    assert set(TRANSFER_SYNTAXES) - set(_OF_PYDICOM) <= {
        transfer_syntaxes.JPEG_XL_LOSSLESS,
        transfer_syntaxes.JPEG_XL_JPEG_RECOMPRESSION,
        transfer_syntaxes.JPEG_XL,
        transfer_syntaxes.DEFLATED_IMAGE_FRAME_COMPRESSION,
        transfer_syntaxes.GE_PRIVATE_IMPLICIT_VR_LITTLE_ENDIAN,
    }
    assert transfer_syntax(transfer_syntaxes.JPEG_XL).encapsulated
    assert transfer_syntax(transfer_syntaxes.DEFLATED_IMAGE_FRAME_COMPRESSION).encapsulated
    assert not transfer_syntax(transfer_syntaxes.DEFLATED_IMAGE_FRAME_COMPRESSION).deflated


# Retired syntaxes of which pydicom says nothing
_UNTOLD = ("1.2.840.10008.1.20", "1.2.840.10008.1.2.6.1", "1.2.840.10008.1.2.6.2")


@pytest.mark.parametrize("uid", [uid for uid in _OF_PYDICOM if uid not in _UNTOLD])
def test_layout_is_what_pydicom_says(uid: str) -> None:
    theirs, ours = pydicom.uid.UID(uid), transfer_syntax(uid)
    assert ours.implicit_vr == theirs.is_implicit_VR
    assert ours.little_endian == theirs.is_little_endian
    if ".4.94" in uid or ".4.95" in uid or ".4.204" in uid or ".4.205" in uid or ".1.2.7." in uid:
        assert not ours.encapsulated  # the pixels are elsewhere; pydicom counts these as compressed
        assert ours.deflated == uid.endswith(("95", "205"))
    else:
        assert ours.encapsulated == theirs.is_encapsulated
        assert ours.deflated == theirs.is_deflated


@pytest.mark.parametrize(
    ("uid", "lossy"),
    [
        (transfer_syntaxes.EXPLICIT_VR_LITTLE_ENDIAN, False),
        (transfer_syntaxes.JPEG_BASELINE_8_BIT, True),
        (transfer_syntaxes.JPEG_LOSSLESS_SV1, False),
        (transfer_syntaxes.JPEG_LS_NEAR_LOSSLESS, True),
        (transfer_syntaxes.JPEG_2000, None),
        (transfer_syntaxes.HTJ2K_LOSSLESS_RPCL, False),
        (transfer_syntaxes.RLE_LOSSLESS, False),
        ("1.2.840.10008.1.2.4.102.1", True),
    ],
)
def test_lossy_says_whether_pixels_came_through_whole(uid: str, lossy: bool | None) -> None:
    assert TRANSFER_SYNTAXES[uid].lossy is lossy


def test_an_unknown_syntax_is_read_as_a_compressed_one() -> None:
    syntax = transfer_syntax("1.2.3.4")
    assert (syntax.uid, syntax.name, syntax.known) == ("1.2.3.4", "Unknown", False)
    assert (syntax.implicit_vr, syntax.little_endian, syntax.encapsulated) == (False, True, True)
    assert all(known.known for known in TRANSFER_SYNTAXES.values())
