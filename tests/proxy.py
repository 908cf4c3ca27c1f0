"""HAProxy before a server, as people have it: it encrypts, or asks who they are."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from certificate import self_signed


@contextmanager
def encrypting(folder: Path, target: str) -> Iterator[str]:
    """Speaks HTTP/2 to who can; its address."""
    certificate, key = self_signed(folder)
    both = folder / "both.pem"
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    with _before(folder, target, f"ssl crt {both} alpn h2,http/1.1") as port:
        yield f"https://localhost:{port}"


@contextmanager
def naming(folder: Path, target: str, header: str, passwords: dict[str, str]) -> Iterator[str]:
    """Asks for a name and its password, and says the name in a field of its own; its address."""
    users = "".join(f" user {name} insecure-password {word}\n" for name, word in passwords.items())
    rules = (
        " http-request auth unless { http_auth(people) }\n"
        f" http-request set-header {header} %[http_auth_user]\n"
    )
    with _before(folder, target, "", rules, f"userlist people\n{users}") as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _before(folder: Path, target: str, speaks: str, rules: str = "", more: str = "") -> Iterator[int]:
    if shutil.which("haproxy") is None:
        pytest.skip("haproxy is not installed")
    # It is given a socket that listens already, so that nobody comes too early
    with socket.create_server(("127.0.0.1", 0)) as door:
        (folder / "haproxy.cfg").write_text(
            f"{more}defaults\n mode http\n timeout connect 5s\n timeout client 1m\n timeout server 1m\n"
            f"frontend web\n bind fd@{door.fileno()} {speaks}\n{rules} default_backend web\n"
            f"backend web\n server gantry {target.removeprefix('http://')}\n"
        )
        command = ["haproxy", "-db", "-f", str(folder / "haproxy.cfg")]
        proxy = subprocess.Popen(command, pass_fds=[door.fileno()])
        try:
            yield int(door.getsockname()[1])
        finally:
            proxy.terminate()
            proxy.wait()
