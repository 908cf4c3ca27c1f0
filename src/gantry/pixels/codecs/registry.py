"""Which codec a transfer syntax has, and why some have none."""

from __future__ import annotations

from gantry.errors import CallerError
from gantry.pixels.codecs import htj2k, jpeg_2000, jpeg_xl
from gantry.pixels.codecs.codec import Codec, broken
from gantry.pixels.codecs.deflated_frame import DEFLATED_FRAME
from gantry.pixels.codecs.jpeg import JPEG
from gantry.pixels.codecs.jpeg_ls import JPEG_LS
from gantry.pixels.codecs.native import NATIVE
from gantry.pixels.codecs.rle import RLE
from gantry.standard.transfer_syntaxes import TRANSFER_SYNTAXES, TransferSyntax, is_video, transfer_syntax

CODECS: tuple[Codec, ...] = (
    NATIVE,
    DEFLATED_FRAME,
    RLE,
    JPEG,
    JPEG_LS,
    jpeg_2000.CODEC,
    jpeg_2000.MULTI_COMPONENT,
    htj2k.CODEC,
    jpeg_xl.CODEC,
)
_BY_SYNTAX = {uid: codec for codec in CODECS for uid in codec.syntaxes}
_UNWRITTEN = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (52, 53, 54, 55, 56)) | {"1.2.840.113619.5.2"}

NAMES: dict[str, str] = {
    "implicit": "1.2.840.10008.1.2",
    "explicit": "1.2.840.10008.1.2.1",
    "deflated": "1.2.840.10008.1.2.1.99",
    "big-endian": "1.2.840.10008.1.2.2",
    "encapsulated": "1.2.840.10008.1.2.1.98",
    "deflated-frames": "1.2.840.10008.1.2.8.1",
    "rle": "1.2.840.10008.1.2.5",
    "jpeg": "1.2.840.10008.1.2.4.50",
    "jpeg-extended": "1.2.840.10008.1.2.4.51",
    "jpeg-lossless-57": "1.2.840.10008.1.2.4.57",
    "jpeg-lossless": "1.2.840.10008.1.2.4.70",
    "jpeg-ls": "1.2.840.10008.1.2.4.80",
    "jpeg-ls-near": "1.2.840.10008.1.2.4.81",
    "jpeg2000-lossless": "1.2.840.10008.1.2.4.90",
    "jpeg2000": "1.2.840.10008.1.2.4.91",
    "jpegxl-lossless": "1.2.840.10008.1.2.4.110",
    "jpegxl-jpeg": "1.2.840.10008.1.2.4.111",
    "jpegxl": "1.2.840.10008.1.2.4.112",
    "htj2k-lossless": "1.2.840.10008.1.2.4.201",
    "htj2k-rpcl": "1.2.840.10008.1.2.4.202",
    "htj2k": "1.2.840.10008.1.2.4.203",
}
"""Names that people give the transfer syntaxes that can be written."""


def codec_of(syntax_uid: str) -> Codec:
    """The codec that decodes this transfer syntax. Raises DataSetError that says why there is none."""
    codec = _BY_SYNTAX.get(syntax_uid)
    if codec is None:
        raise broken(why_not(transfer_syntax(syntax_uid)))
    return codec


def can_decode(syntax_uid: str) -> bool:
    """Whether frames in this transfer syntax can be decoded."""
    return syntax_uid in _BY_SYNTAX


def can_encode(syntax_uid: str) -> bool:
    """Whether frames can be encoded in this transfer syntax."""
    codec = _BY_SYNTAX.get(syntax_uid)
    return codec is not None and codec.encode is not None and syntax_uid not in _UNWRITTEN


def is_lossy_encoder(syntax_uid: str) -> bool:
    """Whether to encode in this transfer syntax loses something."""
    codec = _BY_SYNTAX.get(syntax_uid)
    return codec is not None and syntax_uid in codec.lossy_syntaxes


def syntax_named(name: str) -> str:
    """The UID for a name of `NAMES`, or a UID that can be written. Raises CallerError."""
    uid = NAMES.get(name.lower(), name)
    if not can_encode(uid):
        known = ", ".join(NAMES)
        what = f"{TRANSFER_SYNTAXES[uid].name} cannot be written" if uid in TRANSFER_SYNTAXES else f"{name!r}"
        raise CallerError(f"{what}: one of {known}, or a UID of theirs")
    return uid


def why_not(syntax: TransferSyntax) -> str:
    """Why frames in this transfer syntax cannot be decoded."""
    if "JPIP" in syntax.name:
        return (
            f"{syntax.name}: the pixels are not in the object but with a JPIP server, at Pixel Data Provider "
            "URL (0028,7FE0), which is never fetched"
        )
    if is_video(syntax.uid):
        return f"{syntax.name} is a video: no frame of it has bytes of its own"
    if not syntax.known:
        return f"transfer syntax {syntax.uid} is not known, so its frames cannot be decoded"
    return f"frames in {syntax.name} cannot be decoded"
