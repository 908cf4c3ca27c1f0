"""The query string, taken apart with limits.

Percent-decoding as RFC 3986 with ``+`` for a space, which is what browsers and HTTP libraries send;
text is UTF-8 (PS3.18 8.3.2). Names keep their case, as PS3.18 writes them.
"""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from gantry.errors import WebRequestError

MAX_QUERY_CHARS = 32_768
"""As the header block: the request line is part of it."""

MAX_PARAMETERS = 1000
"""Most name=value pairs; all keys of the study level together are under 150."""


def split_query(text: str) -> list[tuple[str, str]]:
    """The pairs of a raw query string in their order. Raises WebRequestError 400 (414 when too long)."""
    if len(text) > MAX_QUERY_CHARS:
        raise WebRequestError(414, f"the query is longer than {MAX_QUERY_CHARS} characters")
    fields = [field for field in text.split("&") if field]
    if len(fields) > MAX_PARAMETERS:
        raise WebRequestError(400, f"the query has more than {MAX_PARAMETERS} parameters")
    pairs: list[tuple[str, str]] = []
    for field in fields:
        name, _, value = field.partition("=")
        pairs.append((decode_component(name), decode_component(value)))
    return pairs


def decode_component(text: str) -> str:
    """One name or value without its escapes. Raises WebRequestError 400 where it is not UTF-8."""
    if text.isalnum() and text.isascii():
        return text
    try:
        return unquote_to_bytes(text.replace("+", " ")).decode("utf-8")
    except UnicodeError:
        raise WebRequestError(400, "a query parameter is not UTF-8") from None


def single(pairs: list[tuple[str, str]], name: str) -> str | None:
    """The value of a parameter that may stand once. Raises WebRequestError 400 where it stands twice."""
    values = [value for key, value in pairs if key == name]
    if len(values) > 1:
        raise WebRequestError(400, f"the parameter {name} is given {len(values)} times")
    return values[0] if values else None


def unsigned(name: str, text: str, *, maximum: int = (1 << 63) - 1) -> int:
    """A parameter that is an unsigned integer. Raises WebRequestError 400."""
    if not (text.isascii() and text.isdigit()) or len(text) > 19:
        raise WebRequestError(400, f"{name}={text[:40]!r} is not an unsigned integer")
    value = int(text)
    if value > maximum:
        raise WebRequestError(400, f"{name}={value} is more than {maximum}")
    return value


def boolean(name: str, text: str) -> bool:
    """A parameter that is ``true`` or ``false``. Raises WebRequestError 400."""
    if text not in ("true", "false"):
        raise WebRequestError(400, f"{name}={text[:40]!r} is neither true nor false")
    return text == "true"
