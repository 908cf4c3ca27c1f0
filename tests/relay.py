"""A relay before a server that keeps what a client sends: every request line, and how many bytes."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_REQUEST = re.compile(rb"(?:^|\r\n)((?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) \S+) HTTP/1\.1\r\n")


@dataclass
class Relay:
    """`requests` as method and path, in order; `sent_bytes` is all that came from the client, heads included.

    Bytes of `replaced` are sent on as others of the same length. Each connection carries at most
    `bytes_per_s` of the client's bytes on, while that is not 0.
    """

    address: str
    replaced: tuple[bytes, bytes] = (b"", b"")
    requests: list[str] = field(default_factory=list)
    sent_bytes: int = 0
    bytes_per_s: int = 0


@contextmanager
def relayed(target: str, replaced: tuple[bytes, bytes] = (b"", b"")) -> Iterator[Relay]:
    """A relay to an address as ``http://host:port``, gone at the end."""
    host, _, port = target.removeprefix("http://").partition(":")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        relay = Relay(f"http://127.0.0.1:{listener.getsockname()[1]}", replaced)
        threading.Thread(target=_accept, args=(listener, (host, int(port)), relay), daemon=True).start()
        yield relay


def _accept(listener: socket.socket, target: tuple[str, int], relay: Relay) -> None:
    with suppress(OSError):  # the listener was closed: the test is over
        while True:
            browser, _ = listener.accept()
            threading.Thread(target=_join, args=(browser, target, relay), daemon=True).start()


def _join(browser: socket.socket, target: tuple[str, int], relay: Relay) -> None:
    """Carry one connection both ways until either side ends it; a server that is gone ends it at once."""
    with browser, suppress(ConnectionRefusedError), socket.create_connection(target) as server:
        back = threading.Thread(target=_pump, args=(server, browser, None), daemon=True)
        back.start()
        _pump(browser, server, relay)
        back.join()


def _pump(source: socket.socket, sink: socket.socket, relay: Relay | None) -> None:
    with suppress(OSError):  # either side may go at any time
        while piece := source.recv(1 << 14):
            if relay is not None:
                if relay.bytes_per_s:
                    time.sleep(len(piece) / relay.bytes_per_s)
                relay.sent_bytes += len(piece)
                relay.requests.extend(found.decode("ascii") for found in _REQUEST.findall(piece))
                if relay.replaced[0]:
                    piece = piece.replace(*relay.replaced)
            sink.sendall(piece)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
