"""Words of a peer in a log line: escaped, so that no peer writes lines of its own or hides what it wrote."""

from __future__ import annotations


def escaped(text: str) -> str:
    """`text` in printable ASCII: controls, line ends, backslashes and everything beyond ASCII as escapes."""
    return text.encode("unicode_escape").decode("ascii")
