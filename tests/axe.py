"""What axe-core finds on a page that is open: WCAG 2.2 AA, and its best practices."""

from __future__ import annotations

from pathlib import Path

import pytest

from chromium import Page

AXE = Path(__file__).resolve().parents[1] / "viewer" / "node_modules" / "axe-core" / "axe.min.js"

# An open menu belongs to its button, and to no landmark.
RUN = """axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations.flatMap(
    ({ id, nodes }) => nodes
        .filter(({ target }) => id !== 'region' || !document.querySelector(target[0]).closest('[role=menu]'))
        .map(({ html, any }) => `${id}: ${html.slice(0, 160)} ${any[0]?.message ?? ''}`)))"""


def found(page: Page) -> list[str]:
    if not AXE.is_file():
        pytest.skip("axe-core is not here (npm ci in viewer/ fetches it)")
    # Halfway between two colours there is less contrast than at either end.
    page.wait_until("document.getAnimations().every((one) => one.playState !== 'running')")
    page.evaluate(AXE.read_text() + "\n;true")
    return list(page.evaluate(RUN))
