"""What the HTTP door allows: one frozen value, made of the settings and passed to the app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from gantry.server.body import RATE_WINDOW_S
from gantry.settings import Settings

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")
ANY = "*"

MULTIPART_OVERHEAD_BYTES = 64 << 20
"""What part headers and metadata may add to the objects of one request."""

MAX_OBJECTS_PER_BODY = 16
"""Times the largest object that one request may hold in all; more go in further requests."""


@dataclass(frozen=True, slots=True)
class HttpPolicy:
    """Limits and rules of the HTTP door.

    `allowed_hosts` are the names a client may call us by, without port: a page that points its own name
    at a loopback address (DNS rebinding) calls us by that name and is refused. `cors_origins` may call
    from a browser; ``*`` stands for any in both.
    """

    cors_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = LOOPBACK_HOSTS
    max_object_bytes: int = 8 << 30
    max_results: int = 10_000
    max_uploads: int = 64
    """Store requests at once; the next is answered 503 with Retry-After (N17)."""
    body_window_s: float = RATE_WINDOW_S
    aet: str = "GANTRY"
    person_header: str = ""
    """Lower-case name of the field in which a proxy in front names who asks; empty where it names nobody."""

    @property
    def max_body_bytes(self) -> int:
        """Largest body of a store request."""
        return self.max_object_bytes * MAX_OBJECTS_PER_BODY + MULTIPART_OVERHEAD_BYTES

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The policy for these settings.

        On a loopback address only loopback names are served. On others, and where a proxy on this machine
        stands before us (`insecure_expose`), the names people use are not known here, and what stands in
        front checks who calls.
        """
        closed = settings.http.is_loopback and not settings.insecure_expose
        return cls(
            cors_origins=settings.cors_origins,
            allowed_hosts=LOOPBACK_HOSTS if closed else (ANY,),
            max_object_bytes=settings.max_object_bytes,
            max_results=settings.find_limit,
            aet=settings.aet,
            person_header=settings.person_header.lower(),
        )

    def allows_host(self, host: str | None) -> bool:
        """Whether a Host field names us."""
        if ANY in self.allowed_hosts:
            return True
        if host is None:
            return False
        name, colon, port = host.rpartition(":")
        if not colon or not port.isdigit():
            name = host
        return name.lower() in self.allowed_hosts

    def allows_origin(self, origin: str) -> bool:
        """Whether pages of this origin may call us from a browser."""
        return ANY in self.cors_origins or origin in self.cors_origins
