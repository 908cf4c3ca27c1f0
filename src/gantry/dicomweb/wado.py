"""WADO-RS: what a retrieve request asks for, and in which forms a stored object can be had (PS3.18 10.4).

Stored objects have one transfer syntax. From it follow the forms that can be offered: the object as it
is, the same as Explicit VR Little Endian (native data re-encoded, or decompressed where a decoder is
present), its frames one by one, or a rendering. `accept.choose` picks among them.

Tables 8.7.3-2 to 8.7.3-5 tie a media type to transfer syntaxes. A request for a compressed media type
without transfer-syntax parameter is covered by every syntax of that type, with the table's default
preferred: the answer's Content-Type names the syntax, and the letter (only the default) would refuse
``image/jpeg`` for the JPEG baseline objects that are most of what is asked for so.
"""

from __future__ import annotations

from collections.abc import Sequence

from gantry.dicomweb.accept import DICOM, OCTET_STREAM, Offer
from gantry.errors import WebRequestError
from gantry.standard.transfer_syntaxes import transfer_syntax

EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"

MAX_FRAMES_ASKED = 10_000
"""Most frame numbers in one list."""

_JPEG = "image/jpeg"
_MEDIA_TYPES_OF_SYNTAX: dict[str, tuple[str, ...]] = {
    "1.2.840.10008.1.2.4.50": (_JPEG,),
    "1.2.840.10008.1.2.4.51": (_JPEG,),
    "1.2.840.10008.1.2.4.53": (_JPEG,),
    "1.2.840.10008.1.2.4.55": (_JPEG,),
    "1.2.840.10008.1.2.4.57": (_JPEG,),
    "1.2.840.10008.1.2.4.70": (_JPEG, "image/jll"),
    "1.2.840.10008.1.2.5": ("image/dicom-rle", "image/x-dicom-rle"),
    "1.2.840.10008.1.2.4.80": ("image/jls", "image/x-jls"),
    "1.2.840.10008.1.2.4.81": ("image/jls", "image/x-jls"),
    "1.2.840.10008.1.2.4.90": ("image/jp2", "image/j2c"),
    "1.2.840.10008.1.2.4.91": ("image/jp2", "image/j2c"),
    "1.2.840.10008.1.2.4.92": ("image/jpx",),
    "1.2.840.10008.1.2.4.93": ("image/jpx",),
    "1.2.840.10008.1.2.4.201": ("image/jphc", "image/jph"),
    "1.2.840.10008.1.2.4.202": ("image/jphc", "image/jph"),
    "1.2.840.10008.1.2.4.203": ("image/jphc", "image/jph"),
    "1.2.840.10008.1.2.4.110": ("image/jxl",),
    "1.2.840.10008.1.2.4.111": ("image/jxl",),
    "1.2.840.10008.1.2.4.112": ("image/jxl",),
    "1.2.840.10008.1.2.4.100": ("video/mpeg", "video/mpeg2"),
    "1.2.840.10008.1.2.4.100.1": ("video/mpeg", "video/mpeg2"),
    "1.2.840.10008.1.2.4.101": ("video/mpeg", "video/mpeg2"),
    "1.2.840.10008.1.2.4.101.1": ("video/mpeg", "video/mpeg2"),
    "1.2.840.10008.1.2.4.102": ("video/mp4",),
    "1.2.840.10008.1.2.4.102.1": ("video/mp4",),
    "1.2.840.10008.1.2.4.103": ("video/mp4",),
    "1.2.840.10008.1.2.4.103.1": ("video/mp4",),
    "1.2.840.10008.1.2.4.104": ("video/mp4",),
    "1.2.840.10008.1.2.4.104.1": ("video/mp4",),
    "1.2.840.10008.1.2.4.105": ("video/mp4",),
    "1.2.840.10008.1.2.4.105.1": ("video/mp4",),
    "1.2.840.10008.1.2.4.106": ("video/mp4",),
    "1.2.840.10008.1.2.4.106.1": ("video/mp4",),
    "1.2.840.10008.1.2.4.107": ("video/h265", "video/mp4"),
    "1.2.840.10008.1.2.4.108": ("video/h265", "video/mp4"),
}
"""PS3.18 Table 8.7.3-5, with the names that earlier editions and other servers use behind the current one."""


_DEFAULT_SYNTAXES = frozenset(
    {
        "1.2.840.10008.1.2.4.70",
        "1.2.840.10008.1.2.5",
        "1.2.840.10008.1.2.4.80",
        "1.2.840.10008.1.2.4.90",
        "1.2.840.10008.1.2.4.110",
        "1.2.840.10008.1.2.4.201",
    }
)
"""What a compressed media type means without a transfer-syntax parameter (PS3.18 Table 8.7.3-5)."""


def media_types_of(syntax_uid: str) -> tuple[str, ...]:
    """Media types that carry frames of a compressed transfer syntax, the current name first."""
    return _MEDIA_TYPES_OF_SYNTAX.get(syntax_uid, ())


def syntaxes_of(media_type: str) -> tuple[str, ...]:
    """Transfer syntaxes that a compressed media type can carry (the reverse of `media_types_of`), its default
    first."""
    found = [uid for uid, types in _MEDIA_TYPES_OF_SYNTAX.items() if media_type in types]
    return tuple(sorted(found, key=lambda uid: uid not in _DEFAULT_SYNTAXES))


def can_reencode(syntax_uid: str) -> bool:
    """Whether the syntax is native little endian: to Explicit VR needs no pixel to be touched."""
    syntax = transfer_syntax(syntax_uid)
    return syntax.known and not syntax.encapsulated and syntax.little_endian


def instance_offers(
    stored_syntax: str, others: Sequence[str] = (), *, single_part: bool
) -> tuple[Offer, ...]:
    """Forms of a whole object (PS3.18 8.7.3.1): its own transfer syntax, and the others it can be had in."""
    syntaxes = (stored_syntax, *others)
    wrappings = (True, False) if single_part else (True,)
    return tuple(
        Offer(DICOM, uid, multipart, default_syntax=uid == EXPLICIT_VR_LITTLE_ENDIAN)
        for uid in syntaxes
        for multipart in wrappings
    )


def frame_offers(
    stored_syntax: str | None, others: Sequence[str] = (), *, decodable: bool, single_part: bool
) -> tuple[Offer, ...]:
    """Forms of frames and of Pixel Data as bulk data (PS3.18 Tables 8.7.3-4 and 8.7.3-5).

    `others` are the compressed syntaxes that frames can be had in besides the stored one, which is None for a
    video: its frames are in no stream of their own.
    """
    wrappings = (True, False) if single_part else (True,)
    native = stored_syntax is not None and not transfer_syntax(stored_syntax).encapsulated
    offers: list[Offer] = []
    if stored_syntax is not None and not native:
        offers += [Offer(m, stored_syntax, w) for m in media_types_of(stored_syntax) for w in wrappings]
        offers += [Offer(OCTET_STREAM, stored_syntax, w, default_syntax=False) for w in wrappings]
    if native or decodable:
        offers += [Offer(OCTET_STREAM, EXPLICIT_VR_LITTLE_ENDIAN, w) for w in wrappings]
    for uid in others:
        default = uid in _DEFAULT_SYNTAXES
        offers += [Offer(m, uid, w, default_syntax=default) for m in media_types_of(uid) for w in wrappings]
    return tuple(offers)


def video_offers(syntax_uid: str) -> tuple[Offer, ...]:
    """Forms of the Pixel Data that is a video: as it is, for nothing else could hold it (PS3.18 8.7.3.3).

    As plain octets where the client names the transfer syntax: else they would be uncompressed pixels.
    """
    types = ((name, True) for name in media_types_of(syntax_uid))
    return tuple(
        Offer(media_type, syntax_uid, multipart, default)
        for media_type, default in (*types, (OCTET_STREAM, False))
        for multipart in (False, True)
    )


def playable_offers(media_types: Sequence[str]) -> tuple[Offer, ...]:
    """Forms in which a video is played (PS3.18 Table 8.7.4-1): a player wants no parts around it."""
    return tuple(Offer(media_type) for media_type in media_types)


def bulk_offers(media_type: str, *, single_part: bool = True) -> tuple[Offer, ...]:
    """Forms of a bulk value that is not Pixel Data: its own media type, or plain octets."""
    types = dict.fromkeys((media_type, OCTET_STREAM))
    wrappings = (True, False) if single_part else (True,)
    return tuple(Offer(t, EXPLICIT_VR_LITTLE_ENDIAN, w) for t in types for w in wrappings)


def parse_frame_list(text: str) -> tuple[int, ...]:
    """Frame numbers, from 1, of ``1,2,5``. Raises WebRequestError 400."""
    parts = text.split(",", MAX_FRAMES_ASKED)
    if len(parts) > MAX_FRAMES_ASKED:
        raise WebRequestError(400, f"more than {MAX_FRAMES_ASKED} frames in one request")
    frames = []
    for part in parts:
        if not (part.isascii() and part.isdigit()) or len(part) > 10 or int(part) < 1:
            raise WebRequestError(400, f"{part[:40]!r} is not a frame number: they count from 1")
        frames.append(int(part))
    return tuple(frames)
