"""The program stays on the device: it installs, and the page opens without the server."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.request import urlopen

import pytest

from chromium import Page
from viewing import ARTIFACTS, serving, viewer_files

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]

KEPT = "caches.keys().then((names) => names.filter((name) => name.startsWith('shell-')).length)"


def test_the_page_opens_without_its_server(tab: Page, tmp_path: Path) -> None:
    tab.command("Network.setBypassServiceWorker", bypass=False)
    with serving(tmp_path) as ready:
        address = f"http://{ready['http']}"
        tab.go(address)
        tab.wait_until("document.querySelector('.empty')")
        tab.wait_until(
            "window.ready || (navigator.serviceWorker.ready.then(() => { window.ready = true; }), false)"
        )
        assert tab.evaluate(KEPT) == 1
    for path in ("/", "/view/1.2.3"):
        tab.go(address + path)
        note = tab.wait_until("document.querySelector('.note')?.innerText")
        assert "cannot be reached" in note
    tab.screenshot(ARTIFACTS / "without-server.png")
    assert all("ERR_CONNECTION_REFUSED" in error and "/assets/" not in error for error in tab.errors), (
        tab.errors
    )
    tab.errors.clear()
    tab.command("Network.setBypassServiceWorker", bypass=True)


def test_the_worker_leaves_the_archive_alone(server: str) -> None:
    worker = (viewer_files() / "shell-worker.js").read_text()
    names = json.loads(worker.partition("=")[2].partition(";")[0])
    assert any(name.startswith("/assets/stackview-") for name in names)
    for name in names:
        with urlopen(server + name, timeout=30) as answer:
            assert answer.status == 200
    assert "dicom-web" not in worker and "/api" not in worker


def test_it_can_be_installed(page: Page, server: str) -> None:
    answer = page.command("Page.getAppManifest")
    assert answer["errors"] == []
    manifest = json.loads(answer["data"])
    assert manifest["display"] == "standalone"
    for icon in manifest["icons"]:
        with urlopen(server + icon["src"], timeout=30) as got:
            assert got.status == 200
            assert got.headers["content-type"].startswith(icon["type"])
    assert page.command("Page.getInstallabilityErrors")["installabilityErrors"] == []
