"""Lets the server have as many files open as it may.

The usual limit of 1,024 is for programs that still use select(2). A download of a series holds up to 32
files, a C-GET or C-MOVE up to 24, and each connection one: some dozen clients at once would reach it.
"""

from __future__ import annotations

ENOUGH = 1 << 16


def allow_open_files() -> int | None:
    """Raise this process's own limit as far as the system lets it; answers it, None where there is none."""
    try:
        import resource
    except ImportError:  # not a Unix
        return None
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if most == resource.RLIM_INFINITY else min(ENOUGH, most)
    if now == resource.RLIM_INFINITY or now >= wanted:
        return now
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    return wanted
