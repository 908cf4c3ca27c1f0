"""A server with the example study, and a browser at it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chromium import DESK, Page, open_page
from gantry.toolkit.example import example_study
from viewing import send, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server of its own, with the example study in it."""
    with serving(tmp_path_factory.mktemp("archive")) as ready:
        address = f"http://{ready['http']}"
        for _, part10 in example_study(size=128, slices=12):
            send(address, part10)
        yield address


@pytest.fixture(scope="module")
def tab(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """One browser for all tests: starting it is what takes longest."""
    with open_page(tmp_path_factory.mktemp("profile")) as opened:
        # Pages of one test would find the program that those of another have kept.
        opened.command("Network.setBypassServiceWorker", bypass=True)
        opened.go(server)
        yield opened


@pytest.fixture
def page(tab: Page, server: str) -> Iterator[Page]:
    """A desk-sized page at the list, as on the first visit. What it logs as an error fails the test."""
    tab.command("Page.bringToFront")
    tab.size(*DESK)
    tab.evaluate("localStorage.clear()")
    tab.go(server)
    tab.errors.clear()
    tab.requests.clear()
    tab.given_up.clear()
    yield tab
    # The list asks for the pictures of all studies, and the browser logs which of them have none.
    assert [error for error in tab.errors if not error.endswith("/thumbnail")] == []
