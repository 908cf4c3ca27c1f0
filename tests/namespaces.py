"""Hosts of their own on this machine: network namespaces on one bridge, whose wires can be cut; and balancers."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_BRIDGE = f"gb{os.getpid() % 100000}"
_NETWORK = f"10.{64 + os.getpid() % 64}.{os.getpid() // 64 % 256}"
NETWORK = f"{_NETWORK}.0/24"
HOST = f"{_NETWORK}.1"
"""This machine itself, as the others see it."""

SHIPPED = Path(__file__).resolve().parents[1] / "deploy/many-nodes/haproxy.cfg"


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")


@dataclass(frozen=True, slots=True)
class Namespace:
    """A host with one address; `within` stands before a command that is to run there."""

    name: str
    address: str

    @property
    def within(self) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.name)

    def cut(self) -> None:
        """Pull its wire: nothing comes or goes, and nobody is told."""
        _ip("link", "set", f"{self.name}h", "down")

    def mend(self) -> None:
        """Put its wire back."""
        _ip("link", "set", f"{self.name}h", "up")


@contextmanager
def namespaces(count: int) -> Iterator[list[Namespace]]:
    """So many hosts on a bridge; skips where none may be made."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")
    made = [Namespace(f"{_BRIDGE}n{n}", f"{_NETWORK}.{10 + n}") for n in range(count)]
    try:
        try:
            _ip("link", "add", _BRIDGE, "type", "bridge")
            _ip("addr", "add", f"{HOST}/24", "dev", _BRIDGE)
            _ip("link", "set", _BRIDGE, "up")
            for one in made:
                _ip("netns", "add", one.name)
                inside = f"{one.name}i"
                _ip("link", "add", f"{one.name}h", "type", "veth", "peer", "name", inside)
                _ip("link", "set", inside, "netns", one.name)
                _ip("link", "set", f"{one.name}h", "master", _BRIDGE, "up")
                _ip("-n", one.name, "addr", "add", f"{one.address}/24", "dev", inside)
                _ip("-n", one.name, "link", "set", inside, "up")
                _ip("-n", one.name, "link", "set", "lo", "up")
        except OSError as error:
            pytest.skip(f"this machine does not let us make network namespaces: {error}")
        yield made
    finally:
        for one in made:
            with suppress(OSError):
                _ip("netns", "del", one.name)
        with suppress(OSError):
            _ip("link", "del", _BRIDGE)


@contextmanager
def haproxy(host: Namespace, name: str, nodes: list[Namespace], config: Path = SHIPPED) -> Iterator[str]:
    """HAProxy with the file that is shipped, as it stands, on a host where `name` is all nodes; its address.

    dnsmasq tells the addresses, and ``ip netns exec`` lays the host's resolv.conf over this machine's.
    """
    for program in ("haproxy", "dnsmasq"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    own = Path("/etc/netns") / host.name
    own.mkdir(parents=True)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, own)
        (own / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        records = [f"--host-record={name},{node.address}" for node in nodes]
        dns = ["dnsmasq", "--keep-in-foreground", "--user=root", "--no-resolv", "--no-hosts", "--pid-file="]
        made = []
        for command in ([*dns, f"--local=/{name}/", *records], ["haproxy", "-db", "-f", str(config)]):
            process = subprocess.Popen([*host.within, *command], stderr=subprocess.DEVNULL)
            made.append(process)
            stack.callback(process.wait)
            stack.callback(process.terminate)
        yield host.address
        assert [process.poll() for process in made] == [None, None], "a program ended by itself"


@dataclass
class Balancer:
    """Passes connections at one port on to one target after the other, as any balancer does."""

    targets: list[tuple[str, int]]
    host: str = "127.0.0.1"
    _listener: socket.socket = field(init=False)
    _pairs: list[tuple[tuple[str, int], socket.socket, socket.socket]] = field(default_factory=list)
    _turns: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self._listener = socket.create_server((self.host, 0), backlog=128)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def leave_out(self, target: tuple[str, int]) -> None:
        """Send nobody there any more, and hang up on those who are."""
        self.targets = [one for one in self.targets if one != target]
        for where, *pair in list(self._pairs):
            if where == target:
                for end in pair:
                    with suppress(OSError):
                        end.shutdown(socket.SHUT_RDWR)

    def take_in(self, target: tuple[str, int]) -> None:
        """Send callers there as well."""
        self.targets = [*self.targets, target]

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                caller, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(caller,), daemon=True).start()

    def _serve(self, caller: socket.socket) -> None:
        targets = self.targets
        with caller:
            for _ in targets:
                target = targets[next(self._turns) % len(targets)]
                try:
                    server = socket.create_connection(target, 2)
                except OSError:
                    continue  # the next one
                with server:
                    self._join(target, caller, server)
                return

    def _join(self, target: tuple[str, int], caller: socket.socket, server: socket.socket) -> None:
        server.settimeout(None)
        pair = (target, caller, server)
        self._pairs.append(pair)
        back = threading.Thread(target=_pump, args=(server, caller), daemon=True)
        back.start()
        _pump(caller, server)
        back.join()
        self._pairs.remove(pair)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):  # either side may go at any time
        while piece := source.recv(1 << 16):
            sink.sendall(piece)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
