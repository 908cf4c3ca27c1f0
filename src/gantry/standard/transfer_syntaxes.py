"""Transfer syntaxes: how a Data Set is laid out in bytes, and how its Pixel Data is compressed.

PS3.5 Section 10 and Annex A, PS3.6 Table A-1, edition 2026c. Retired syntaxes are kept because archives hold
objects in them. Four questions decide how bytes are read (is the VR written, which byte comes first, is Pixel
Data in fragments, is the whole Data Set deflated); `lossy` answers the question that matters to a reader.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TransferSyntax:
    """One transfer syntax. `lossy` is None where the syntax allows both reversible and irreversible data.

    `known` is False for a UID that is not in the table: a private syntax, or one younger than this edition.
    """

    uid: str
    name: str
    implicit_vr: bool
    little_endian: bool
    encapsulated: bool
    deflated: bool
    lossy: bool | None
    retired: bool
    known: bool = True


def _native(
    uid: str,
    name: str,
    *,
    implicit_vr: bool = False,
    little_endian: bool = True,
    deflated: bool = False,
    lossy: bool | None = False,
    retired: bool = False,
) -> TransferSyntax:
    return TransferSyntax(uid, name, implicit_vr, little_endian, False, deflated, lossy, retired)


def _encapsulated(uid: str, name: str, *, lossy: bool | None, retired: bool = False) -> TransferSyntax:
    # PS3.5 A.4: encapsulated syntaxes are all Explicit VR Little Endian
    return TransferSyntax(uid, name, False, True, True, False, lossy, retired)


IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
ENCAPSULATED_UNCOMPRESSED_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1.98"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1.99"
EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"
JPEG_BASELINE_8_BIT = "1.2.840.10008.1.2.4.50"
JPEG_EXTENDED_12_BIT = "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.57"
JPEG_LOSSLESS_SV1 = "1.2.840.10008.1.2.4.70"
JPEG_LS_LOSSLESS = "1.2.840.10008.1.2.4.80"
JPEG_LS_NEAR_LOSSLESS = "1.2.840.10008.1.2.4.81"
JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
JPEG_2000 = "1.2.840.10008.1.2.4.91"
JPEG_2000_MC_LOSSLESS = "1.2.840.10008.1.2.4.92"
JPEG_2000_MC = "1.2.840.10008.1.2.4.93"
JPEG_XL_LOSSLESS = "1.2.840.10008.1.2.4.110"
JPEG_XL_JPEG_RECOMPRESSION = "1.2.840.10008.1.2.4.111"
JPEG_XL = "1.2.840.10008.1.2.4.112"
HTJ2K_LOSSLESS = "1.2.840.10008.1.2.4.201"
HTJ2K_LOSSLESS_RPCL = "1.2.840.10008.1.2.4.202"
HTJ2K = "1.2.840.10008.1.2.4.203"
RLE_LOSSLESS = "1.2.840.10008.1.2.5"
DEFLATED_IMAGE_FRAME_COMPRESSION = "1.2.840.10008.1.2.8.1"

# Not of the standard, but in many archives: Implicit VR Little Endian whose Pixel Data alone is big endian.
GE_PRIVATE_IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.113619.5.2"

_JPEG = "1.2.840.10008.1.2.4."

# PS3.5 A.4.5 to A.4.9: MPEG-2, H.264 and HEVC, those that may be fragmented with a .1 behind
_VIDEOS = frozenset(f"{_JPEG}{n}" for n in range(100, 109))

_TABLE = (
    _native(IMPLICIT_VR_LITTLE_ENDIAN, "Implicit VR Little Endian", implicit_vr=True),
    _native(EXPLICIT_VR_LITTLE_ENDIAN, "Explicit VR Little Endian"),
    _encapsulated(
        ENCAPSULATED_UNCOMPRESSED_EXPLICIT_VR_LITTLE_ENDIAN,
        "Encapsulated Uncompressed Explicit VR Little Endian",
        lossy=False,
    ),
    _native(DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, "Deflated Explicit VR Little Endian", deflated=True),
    _native(EXPLICIT_VR_BIG_ENDIAN, "Explicit VR Big Endian", little_endian=False, retired=True),
    _encapsulated(JPEG_BASELINE_8_BIT, "JPEG Baseline (Process 1)", lossy=True),
    _encapsulated(JPEG_EXTENDED_12_BIT, "JPEG Extended (Process 2 and 4)", lossy=True),
    _encapsulated(_JPEG + "52", "JPEG Extended (Process 3 and 5)", lossy=True, retired=True),
    _encapsulated(
        _JPEG + "53", "JPEG Spectral Selection, Non-Hierarchical (Process 6 and 8)", lossy=True, retired=True
    ),
    _encapsulated(
        _JPEG + "54", "JPEG Spectral Selection, Non-Hierarchical (Process 7 and 9)", lossy=True, retired=True
    ),
    _encapsulated(
        _JPEG + "55", "JPEG Full Progression, Non-Hierarchical (Process 10 and 12)", lossy=True, retired=True
    ),
    _encapsulated(
        _JPEG + "56", "JPEG Full Progression, Non-Hierarchical (Process 11 and 13)", lossy=True, retired=True
    ),
    _encapsulated(JPEG_LOSSLESS, "JPEG Lossless, Non-Hierarchical (Process 14)", lossy=False),
    _encapsulated(_JPEG + "58", "JPEG Lossless, Non-Hierarchical (Process 15)", lossy=False, retired=True),
    _encapsulated(_JPEG + "59", "JPEG Extended, Hierarchical (Process 16 and 18)", lossy=True, retired=True),
    _encapsulated(_JPEG + "60", "JPEG Extended, Hierarchical (Process 17 and 19)", lossy=True, retired=True),
    _encapsulated(
        _JPEG + "61", "JPEG Spectral Selection, Hierarchical (Process 20 and 22)", lossy=True, retired=True
    ),
    _encapsulated(
        _JPEG + "62", "JPEG Spectral Selection, Hierarchical (Process 21 and 23)", lossy=True, retired=True
    ),
    _encapsulated(
        _JPEG + "63", "JPEG Full Progression, Hierarchical (Process 24 and 26)", lossy=True, retired=True
    ),
    _encapsulated(
        _JPEG + "64", "JPEG Full Progression, Hierarchical (Process 25 and 27)", lossy=True, retired=True
    ),
    _encapsulated(_JPEG + "65", "JPEG Lossless, Hierarchical (Process 28)", lossy=False, retired=True),
    _encapsulated(_JPEG + "66", "JPEG Lossless, Hierarchical (Process 29)", lossy=False, retired=True),
    _encapsulated(
        JPEG_LOSSLESS_SV1,
        "JPEG Lossless, Non-Hierarchical, First-Order Prediction (Process 14 [Selection Value 1])",
        lossy=False,
    ),
    _encapsulated(JPEG_LS_LOSSLESS, "JPEG-LS Lossless Image Compression", lossy=False),
    _encapsulated(JPEG_LS_NEAR_LOSSLESS, "JPEG-LS Lossy (Near-Lossless) Image Compression", lossy=True),
    _encapsulated(JPEG_2000_LOSSLESS, "JPEG 2000 Image Compression (Lossless Only)", lossy=False),
    _encapsulated(JPEG_2000, "JPEG 2000 Image Compression", lossy=None),
    _encapsulated(
        JPEG_2000_MC_LOSSLESS,
        "JPEG 2000 Part 2 Multi-component Image Compression (Lossless Only)",
        lossy=False,
    ),
    _encapsulated(JPEG_2000_MC, "JPEG 2000 Part 2 Multi-component Image Compression", lossy=None),
    # PS3.5 A.6: the Pixel Data is elsewhere; what is sent is an Explicit VR Little Endian Data Set without it
    _native(_JPEG + "94", "JPIP Referenced", lossy=None),
    _native(_JPEG + "95", "JPIP Referenced Deflate", lossy=None, deflated=True),
    _encapsulated(_JPEG + "100", "MPEG2 Main Profile / Main Level", lossy=True),
    _encapsulated(_JPEG + "100.1", "Fragmentable MPEG2 Main Profile / Main Level", lossy=True),
    _encapsulated(_JPEG + "101", "MPEG2 Main Profile / High Level", lossy=True),
    _encapsulated(_JPEG + "101.1", "Fragmentable MPEG2 Main Profile / High Level", lossy=True),
    _encapsulated(_JPEG + "102", "MPEG-4 AVC/H.264 High Profile / Level 4.1", lossy=True),
    _encapsulated(_JPEG + "102.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.1", lossy=True),
    _encapsulated(_JPEG + "103", "MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1", lossy=True),
    _encapsulated(
        _JPEG + "103.1", "Fragmentable MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1", lossy=True
    ),
    _encapsulated(_JPEG + "104", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video", lossy=True),
    _encapsulated(
        _JPEG + "104.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video", lossy=True
    ),
    _encapsulated(_JPEG + "105", "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video", lossy=True),
    _encapsulated(
        _JPEG + "105.1", "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video", lossy=True
    ),
    _encapsulated(_JPEG + "106", "MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2", lossy=True),
    _encapsulated(
        _JPEG + "106.1", "Fragmentable MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2", lossy=True
    ),
    _encapsulated(_JPEG + "107", "HEVC/H.265 Main Profile / Level 5.1", lossy=True),
    _encapsulated(_JPEG + "108", "HEVC/H.265 Main 10 Profile / Level 5.1", lossy=True),
    _encapsulated(JPEG_XL_LOSSLESS, "JPEG XL Lossless", lossy=False),
    _encapsulated(JPEG_XL_JPEG_RECOMPRESSION, "JPEG XL JPEG Recompression", lossy=True),
    _encapsulated(JPEG_XL, "JPEG XL", lossy=None),
    _encapsulated(HTJ2K_LOSSLESS, "High-Throughput JPEG 2000 Image Compression (Lossless Only)", lossy=False),
    _encapsulated(
        HTJ2K_LOSSLESS_RPCL,
        "High-Throughput JPEG 2000 with RPCL Options Image Compression (Lossless Only)",
        lossy=False,
    ),
    _encapsulated(HTJ2K, "High-Throughput JPEG 2000 Image Compression", lossy=None),
    _native(_JPEG + "204", "JPIP HTJ2K Referenced", lossy=None),
    _native(_JPEG + "205", "JPIP HTJ2K Referenced Deflate", lossy=None, deflated=True),
    _encapsulated(RLE_LOSSLESS, "RLE Lossless", lossy=False),
    _native("1.2.840.10008.1.2.6.1", "RFC 2557 MIME encapsulation", retired=True),
    _native("1.2.840.10008.1.2.6.2", "XML Encoding", retired=True),
    _native("1.2.840.10008.1.2.7.1", "SMPTE ST 2110-20 Uncompressed Progressive Active Video"),
    _native("1.2.840.10008.1.2.7.2", "SMPTE ST 2110-20 Uncompressed Interlaced Active Video"),
    _native("1.2.840.10008.1.2.7.3", "SMPTE ST 2110-30 PCM Digital Audio"),
    _encapsulated(DEFLATED_IMAGE_FRAME_COMPRESSION, "Deflated Image Frame Compression", lossy=False),
    _native("1.2.840.10008.1.20", "Papyrus 3 Implicit VR Little Endian", implicit_vr=True, retired=True),
    _native(
        GE_PRIVATE_IMPLICIT_VR_LITTLE_ENDIAN,
        "GE Private Implicit VR Little Endian with Big Endian Pixel Data",
        implicit_vr=True,
    ),
)

TRANSFER_SYNTAXES: dict[str, TransferSyntax] = {syntax.uid: syntax for syntax in _TABLE}


def transfer_syntax(uid: str) -> TransferSyntax:
    """The syntax with this UID. One that nobody knows is taken for Explicit VR Little Endian, encapsulated.

    PS3.5 A.4 lays down that layout for every compressed syntax, which an unknown one nearly always is.
    """
    known = TRANSFER_SYNTAXES.get(uid)
    if known is not None:
        return known
    return TransferSyntax(uid, "Unknown", False, True, True, False, None, False, known=False)


def is_video(uid: str) -> bool:
    """Whether all frames of an object in this transfer syntax are one video stream (PS3.5 A.4.5 to A.4.9)."""
    return uid.removesuffix(".1") in _VIDEOS
