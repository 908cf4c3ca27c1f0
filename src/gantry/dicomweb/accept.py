"""Which representation to answer with: the client's Accept against what can be offered (PS3.18 8.7).

An `Offer` is one form the server could send: a media type, the transfer syntax inside it, and whether
it is wrapped in multipart/related. A range of the Accept field covers an offer or not:

* ``multipart/related; type=T`` covers offers of T that are wrapped, a bare ``T`` those that are not.
* ``transfer-syntax=U`` covers that syntax alone, ``*`` any, and a missing one only the default of the
  media type (PS3.18 8.7.3: Explicit VR Little Endian for application/dicom and octet-stream).
* ``*/*`` and a bare ``multipart/related`` name no media type and so leave the syntax open: the server
  answers as stored.

Among covered offers the highest q wins; at equal q the server's own order decides, which puts the
form closest to the stored bytes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from gantry.dicomweb.media_types import MediaType, parse_media_types
from gantry.errors import WebRequestError

MULTIPART_RELATED = "multipart/related"
DICOM = "application/dicom"
DICOM_JSON = "application/dicom+json"
DICOM_XML = "application/dicom+xml"
JSON = "application/json"
OCTET_STREAM = "application/octet-stream"

_ANY = "*/*"


@dataclass(frozen=True, slots=True)
class Offer:
    """One form that could be sent. `transfer_syntax` is None where the notion does not apply."""

    media_type: str
    transfer_syntax: str | None = None
    multipart: bool = False
    default_syntax: bool = True
    """Whether a range without transfer-syntax parameter covers this offer."""


@dataclass(frozen=True, slots=True)
class AcceptRange:
    """One alternative of an Accept field. `essence` is that of the content, unwrapped."""

    essence: str
    transfer_syntax: str | None
    multipart: bool | None
    """True: wrapped; False: bare; None: either (``*/*``)."""
    q: float
    specificity: int

    def covers(self, offer: Offer) -> bool:
        if self.multipart is not None and self.multipart != offer.multipart:
            return False
        if not _essence_covers(self.essence, offer.media_type):
            return False
        if offer.transfer_syntax is None or self.transfer_syntax == "*":
            return True
        if self.transfer_syntax is None:
            return self.essence == _ANY or offer.default_syntax
        return self.transfer_syntax == offer.transfer_syntax


def _essence_covers(pattern: str, essence: str) -> bool:
    if pattern in (_ANY, essence):
        return True
    return pattern.endswith("/*") and essence.startswith(pattern[:-1])


@lru_cache(maxsize=256)
def parse_accept(text: str | None) -> tuple[AcceptRange, ...]:
    """The alternatives of an Accept field; none given means ``*/*``. Raises WebRequestError 400."""
    entries = parse_media_types(text or _ANY)
    return tuple(_range(entry) for entry in entries) or (_range(MediaType(_ANY)),)


def _range(entry: MediaType) -> AcceptRange:
    parameters = entry.parameters
    q = _quality(parameters.get("q"))
    syntax = parameters.get("transfer-syntax")
    if syntax is not None:
        syntax = syntax.strip()
    if entry.essence in (MULTIPART_RELATED, "multipart/*"):
        inner = parameters.get("type", _ANY).strip().lower()
        return AcceptRange(inner, syntax, True, q, _specificity(inner, syntax) + 1)
    multipart = None if entry.essence == _ANY else False
    return AcceptRange(entry.essence, syntax, multipart, q, _specificity(entry.essence, syntax))


def _specificity(essence: str, syntax: str | None) -> int:
    # RFC 9110 12.5.1: the most specific range that covers an offer gives its q.
    rank = 0 if essence == _ANY else 4 if essence.endswith("/*") else 8
    return rank + (2 if syntax not in (None, "*") else 0)


def _quality(text: str | None) -> float:
    if text is None:
        return 1.0
    # RFC 9110 12.4.2: 0 or 1 with at most three digits after the point.
    head, _, tail = text.partition(".")
    if head not in ("0", "1") or len(tail) > 3 or (tail and not (tail.isascii() and tail.isdigit())):
        raise WebRequestError(400, "Accept: a q value is not a number from 0 to 1")
    value = float(text)
    if value > 1:
        raise WebRequestError(400, "Accept: a q value is more than 1")
    return value


def choose(ranges: Sequence[AcceptRange], offers: Iterable[Offer]) -> Offer | None:
    """The offer to send, or None where the client takes none of them (answer 406)."""
    best: Offer | None = None
    best_q = 0.0
    for offer in offers:
        q = _quality_of(ranges, offer)
        if q > best_q:
            best, best_q = offer, q
    return best


def _quality_of(ranges: Sequence[AcceptRange], offer: Offer) -> float:
    q, specificity = 0.0, -1
    for entry in ranges:
        if entry.specificity > specificity and entry.covers(offer):
            q, specificity = entry.q, entry.specificity
    return q


def require(ranges: Sequence[AcceptRange], offers: Sequence[Offer], what: str) -> Offer:
    """As `choose`, raising WebRequestError 406 that lists what could have been had."""
    offer = choose(ranges, offers)
    if offer is None:
        forms = ", ".join(dict.fromkeys(describe(o) for o in offers))
        raise WebRequestError(
            406, f"{what} can be had as {forms or 'nothing'}; the request accepts none of these"
        )
    return offer


def describe(offer: Offer) -> str:
    """The offer as it would stand in an Accept field."""
    syntax = f"; transfer-syntax={offer.transfer_syntax}" if offer.transfer_syntax else ""
    if offer.multipart:
        return f'{MULTIPART_RELATED}; type="{offer.media_type}"{syntax}'
    return f"{offer.media_type}{syntax}"


METADATA_OFFERS = (
    Offer(DICOM_JSON),
    Offer(DICOM_XML, multipart=True),
    Offer(JSON),
    Offer(DICOM_JSON, multipart=True),
)
"""Metadata and search results (PS3.18 8.7.3.2). XML goes in parts, one document each."""

STORE_RESPONSE_OFFERS = (Offer(DICOM_JSON), Offer(DICOM_XML), Offer(JSON))
"""The Store Instances Response Module, one document (PS3.18 10.5.3)."""
