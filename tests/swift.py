"""A real S3 server: OpenStack Swift with its s3api, in an environment of its own, on a temporary folder.

Swift's packages come from PyPI into a folder beside those of this Python, once, and never among them. What it
keeps and what it logs lie in one temporary folder; no part of it lies elsewhere, and it ends with the tests.
"""

from __future__ import annotations

import base64
import contextlib
import getpass
import hmac
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest

from peer_programs import installed

PACKAGE = "swift==2.38.3"
CONSTRAINTS = Path(__file__).resolve().parents[1] / "constraints.txt"
START_S = 60.0
REGION = "us-east-1"

_SERVERS = ("account", "container", "object", "proxy")
_names = itertools.count(1)

_ACCOUNT = "test"
_USER = "tester"
_KEY = "testing"

_SWIFT_CONF = """\
[swift-hash]
swift_hash_path_prefix = gantry
swift_hash_path_suffix = tests
[storage-policy:0]
name = one
default = yes
"""

_STORAGE_CONF = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
workers = 0
user = {user}
[pipeline:main]
pipeline = {server}-server
[app:{server}-server]
use = egg:swift#{server}
"""

# symlink is what s3api needs for versions, bulk and slo for deletes and multipart uploads
_PROXY_CONF = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
swift_dir = {folder}
workers = 0
user = {user}
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck proxy-logging cache bulk s3api tempauth slo dlo versioned_writes symlink proxy-logging proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:proxy-logging]
use = egg:swift#proxy_logging
[filter:cache]
use = egg:swift#memcache
[filter:bulk]
use = egg:swift#bulk
[filter:s3api]
use = egg:swift#s3api
location = {region}
[filter:tempauth]
use = egg:swift#tempauth
user_{account}_{name} = {key} .admin .reseller_admin
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_object_versioning = true
[filter:symlink]
use = egg:swift#symlink
"""

# One copy on one device; what follows the folder are the ports in the order of the rings
_RINGS = """\
import sys
from swift.common.ring import RingBuilder
folder, *ports = sys.argv[1:]
for name, port in zip(("account", "container", "object"), ports):
    ring = RingBuilder(4, 1, 0)
    ring.add_dev(dict(region=1, zone=1, ip="127.0.0.1", port=int(port), device="sdb1", weight=1))
    ring.rebalance()
    ring.get_ring().save(f"{folder}/{name}.ring.gz")
"""

# PR_SET_PDEATHSIG, so that a test run that is killed leaves no server behind
LAUNCH = """\
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
os.execv(sys.argv[1], sys.argv[1:])
"""


class SwiftServer:
    """Runs until it is stopped or killed, and may be started again with what it kept, at the same address."""

    access_key = f"{_ACCOUNT}:{_USER}"
    secret_key = _KEY
    region = REGION

    def __init__(self) -> None:
        self._programs = installed(PACKAGE.replace("==", "-"), _install) / "bin"
        self._folder = Path(tempfile.mkdtemp(prefix="gantry-swift-"))
        self._processes: list[subprocess.Popen[bytes]] = []
        device = self._folder / "devices" / "sdb1"
        device.mkdir(parents=True)
        if not _keeps_attributes(device):
            shutil.rmtree(self._folder)
            pytest.skip("Swift needs extended attributes, which the temporary folder does not keep")
        self._ports = dict(zip(_SERVERS, _free_ports(len(_SERVERS)), strict=True))
        self._configure()
        self.start()

    @property
    def endpoint(self) -> str:
        """The URL that S3 clients ask; buckets are the first part of its path."""
        return f"http://127.0.0.1:{self._ports['proxy']}"

    @property
    def credentials(self) -> dict[str, str]:
        """What a process needs in its environment to reach the server."""
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}

    def url_of(self, bucket: str, prefix: str = "") -> str:
        """A bucket as the setting `store` names it."""
        return f"s3://{bucket}{prefix}?{urlencode({'endpoint': self.endpoint, 'region': self.region})}"

    @property
    def is_running(self) -> bool:
        """Whether it was started, and nobody has ended it."""
        return bool(self._processes)

    @property
    def words(self) -> str:
        """What its servers have said, the last of it."""
        return "\n".join(
            f"{name}: {log.read_text(errors='replace')[-2000:]}"
            for name in _SERVERS
            if (log := self._folder / f"{name}.log").exists()
        )

    def new_bucket(self) -> str:
        """The name of a bucket that nobody has, and that is empty."""
        name = f"b{os.getpid()}-{next(_names)}"
        # Signed in S3's older way, which takes a line; a client makes no buckets
        date = formatdate(usegmt=True)
        signed = hmac.digest(self.secret_key.encode(), f"PUT\n\n\n{date}\n/{name}".encode(), "sha1")
        authorization = f"AWS {self.access_key}:{base64.b64encode(signed).decode()}"
        httpx.put(
            f"{self.endpoint}/{name}",
            headers={"Date": date, "Authorization": authorization},
            trust_env=False,
            timeout=30,
        ).raise_for_status()
        return name

    def start(self) -> None:
        """Start it, and wait until all of it answers."""
        assert not self._processes, "it runs already"
        try:
            for name in _SERVERS:
                self._processes.append(self._started(name))
            self._wait()
        except BaseException as error:
            error.add_note(self.words)
            self.kill()
            raise

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it without a word, as a power cut does to its processes, and wait until it is gone."""
        self._end(signal.SIGKILL)

    def remove(self) -> None:
        """End it for good; nobody needs what it holds."""
        self.kill()
        shutil.rmtree(self._folder)

    def _configure(self) -> None:
        (self._folder / "swift.conf").write_text(_SWIFT_CONF)
        for name, port in self._ports.items():
            conf = (_PROXY_CONF if name == "proxy" else _STORAGE_CONF).format(
                folder=self._folder, server=name, port=port, user=getpass.getuser(),
                region=REGION, account=_ACCOUNT, name=_USER, key=_KEY,
            )  # fmt: skip
            (self._folder / f"{name}.conf").write_text(conf)
        ports = [str(self._ports[name]) for name in ("account", "container", "object")]
        subprocess.run(
            [self._programs / "python", "-c", _RINGS, self._folder, *ports], check=True, capture_output=True
        )

    def _started(self, name: str) -> subprocess.Popen[bytes]:
        server = [self._programs / f"swift-{name}-server", self._folder / f"{name}.conf", "--verbose"]
        with (self._folder / f"{name}.log").open("ab") as words:
            return subprocess.Popen(
                [self._programs / "python", "-c", LAUNCH, *server],
                stdin=subprocess.DEVNULL, stdout=words, stderr=words,
            )  # fmt: skip

    def _wait(self) -> None:
        end = time.monotonic() + START_S
        waiting = dict(self._ports)
        while waiting:
            for name, port in list(waiting.items()):
                # Each has this one page, whatever is in its pipeline
                with contextlib.suppress(httpx.HTTPError):
                    httpx.get(f"http://127.0.0.1:{port}/healthcheck", trust_env=False, timeout=5)
                    del waiting[name]
            assert all(process.poll() is None for process in self._processes), "a server of Swift has ended"
            assert time.monotonic() < end, f"Swift does not answer: {', '.join(waiting)}"
            # Another program's readiness can only be asked for.
            time.sleep(0.02)

    def _end(self, how: signal.Signals) -> None:
        for process in self._processes:
            process.send_signal(how)
        for process in self._processes:
            process.wait(30)
        self._processes = []


@contextmanager
def running() -> Iterator[SwiftServer]:
    """A server for the time of a block; skips where it cannot be installed."""
    server = SwiftServer()
    try:
        yield server
    finally:
        server.remove()


def _install(place: Path) -> list[str | Path]:
    venv.create(place, clear=True, with_pip=True)
    command = [place / "bin" / "python", "-m", "pip", "install", "--quiet", "--only-binary", ":all:"]
    return [*command, "--constraint", CONSTRAINTS, PACKAGE]


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def _keeps_attributes(folder: Path) -> bool:
    try:
        os.setxattr(folder, "user.swift", b"asked")
    except OSError:
        return False
    return True
