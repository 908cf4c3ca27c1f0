"""Buckets of a real object store, as archives have them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest

from gantry.archive.archive import Options
from gantry.archive.blobs.store_disk import StoreDisk
from gantry.archive.places import Places
from swift import SwiftServer

SMALL = Options(reserve_bytes=0)


def bucket_url(server: SwiftServer, prefix: str = "") -> str:
    """A new bucket as the setting `store` names it; who uses it needs `credentials`."""
    words = urlencode({"endpoint": server.endpoint, "region": server.region})
    return f"s3://{server.new_bucket()}{prefix}?{words}"


def credentials(server: SwiftServer) -> dict[str, str]:
    """What a process needs in its environment to reach the server."""
    return {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}


@contextmanager
def allowed(server: SwiftServer) -> Iterator[None]:
    """This process may reach the server."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in credentials(server).items():
            patch.setenv(name, value)
        yield


@contextmanager
def bucket_disk(server: SwiftServer, folder: Path) -> Iterator[StoreDisk]:
    """A new bucket as a disk."""
    with allowed(server):
        disk = Places(folder, store=bucket_url(server)).disk(0)
        assert isinstance(disk, StoreDisk)
        yield disk
        disk.close()
