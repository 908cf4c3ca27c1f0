"""Words of a peer in a log line: escaped, so that no peer writes lines of its own or hides what it wrote."""

from __future__ import annotations

import codecs

# Looked up now: Python reads a codec from a file, and a process may have no file left to open when it logs
_ESCAPE = codecs.getencoder("unicode_escape")


def escaped(text: str) -> str:
    """`text` in printable ASCII: controls, line ends, backslashes and everything beyond ASCII as escapes."""
    return _ESCAPE(text)[0].decode("ascii")
