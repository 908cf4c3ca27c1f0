"""Wildcard patterns of PS3.4 C.2.2.2.4: ``*`` stands for any run of characters, none included, ``?`` for one.

No regular expression is ever made from input. A pattern is cut at its stars; each piece is searched from
where the piece before it ended, which for this kind of pattern finds a match whenever there is one. The
time is that of `str.find` for pieces without ``?``, and linear in the text for the others, because the
number of wildcards has a cap.
"""

from __future__ import annotations

from gantry.errors import QueryError

MAX_PATTERN = (
    64  # longer than any value of the VRs that take wildcards, but for texts nobody searches by pattern
)
MAX_WILDCARDS = 8  # people use one to three; what is beyond this is an attempt to make us work


def has_wildcards(text: str) -> bool:
    """True where the text holds ``*`` or ``?``."""
    return "*" in text or "?" in text


def check_pattern(pattern: str) -> None:
    """Raises `QueryError` for a pattern above the caps."""
    if len(pattern) > MAX_PATTERN:
        raise QueryError(f"a pattern with wildcards may have {MAX_PATTERN} characters, not {len(pattern)}")
    wildcards = pattern.count("*") + pattern.count("?")
    if wildcards > MAX_WILDCARDS:
        raise QueryError(f"a pattern may have {MAX_WILDCARDS} wildcards, not {wildcards}")


def _fits(piece: str, text: str, start: int) -> bool:
    """Whether `piece` (with ``?``) lies in `text` at `start`; the text is long enough for it."""
    position = start
    for part in piece.split("?"):
        if not text.startswith(part, position):
            return False
        position += len(part) + 1
    return True


def _find(piece: str, text: str, start: int, end: int) -> int:
    """Where `piece` first lies in ``text[start:end]``; -1 if nowhere."""
    if "?" not in piece:
        return text.find(piece, start, end)
    literal = max(piece.split("?"), key=len)
    lead = piece.index(literal) if literal else 0
    last = end - len(piece)
    while start <= last:
        if literal:
            found = text.find(literal, start + lead, end)
            if found < 0 or found - lead > last:
                return -1
            start = found - lead
        if _fits(piece, text, start):
            return start
        start += 1
    return -1


def glob(pattern: str, text: str) -> bool:
    """Whether the whole text is what the pattern says. Case counts; normalise both where it should not."""
    first, *rest = pattern.split("*")
    if len(text) < len(first) or not _fits(first, text, 0):
        return False
    if not rest:
        return len(text) == len(first)
    *middle, last = rest
    position, end = len(first), len(text) - len(last)
    if end < position or not _fits(last, text, end):
        return False
    for piece in middle:
        found = _find(piece, text, position, end)
        if found < 0:
            return False
        position = found + len(piece)
    return True


def like_pattern(pattern: str, escape: str = "\\") -> str:
    """The pattern for SQL's LIKE, that language's own signs escaped; name `escape` in the ESCAPE clause."""
    for sign in (escape, "%", "_"):
        pattern = pattern.replace(sign, escape + sign)
    return pattern.replace("*", "%").replace("?", "_")
