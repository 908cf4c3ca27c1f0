"""Devices held in a hand, and what must hold on each: large targets, nothing cut off, no word over another."""

from __future__ import annotations

import json
import time

from chromium import Page

DEVICES = {
    "phone": (390, 844),
    "small-phone": (360, 640),
    "phone-sideways": (844, 390),
    "small-phone-sideways": (640, 360),
    "tablet": (820, 1180),
    "tablet-lying": (1180, 820),
}
LEAST_TARGET = 44
"""CSS pixels, both ways: the size of a fingertip."""


def too_small(page: Page) -> list[str]:
    """What is pressed and seen, and is smaller than a finger; a small box to tick counts with its words."""
    return list(
        page.evaluate(
            f"""[...document.querySelectorAll(
                    'button, a, input, select, summary, [role=menuitem], [role=radio], [role=button]')]
                .filter((one) => one.checkVisibility({{ visibilityProperty: true }}))
                .map((one) => (one.matches('[type=checkbox], [type=radio]') && one.closest('label')) || one)
                .map((one) => [one.ariaLabel ?? one.innerText, one.getBoundingClientRect()])
                .filter(([, box]) => box.width < {LEAST_TARGET} - 0.01 || box.height < {LEAST_TARGET} - 0.01)
                .map(([words, box]) => `${{words}}: ${{box.width}} x ${{box.height}}`)"""
        )
    )


def beyond(
    page: Page, selector: str = ".viewer-head > *, .tools, .tools .tool, .corner, .scale, .rail"
) -> list[str]:
    """What does not fit on the screen."""
    return list(
        page.evaluate(
            f"""[...document.querySelectorAll({json.dumps(selector)})]
                .filter((one) => one.checkVisibility()).filter((one) => {{
                    const box = one.getBoundingClientRect();
                    return box.left < -1 || box.top < -1 || box.right > innerWidth + 1 || box.bottom > innerHeight + 1;
                }}).map((one) => one.ariaLabel ?? one.className)"""
        )
    )


def covered(page: Page) -> list[str]:
    """What is written in a cell over something else that is written there, or under a handle."""
    return list(
        page.evaluate(
            """[...document.querySelectorAll('.cell:not(.hidden)')].flatMap((cell) => {
                const inked = (one) => {
                    const range = document.createRange();
                    range.selectNodeContents(one);
                    const [ink, box] = [range.getBoundingClientRect(), one.getBoundingClientRect()];
                    // No wider than what it is cut at.
                    return { left: Math.max(ink.left, box.left), right: Math.min(ink.right, box.right),
                             top: ink.top, bottom: ink.bottom };
                };
                const words = [...cell.querySelectorAll('.corner p, .edge, .scale p')]
                    .filter((one) => one.checkVisibility() && one.innerText.trim())
                    .map((one) => [one.innerText, inked(one)]);
                const handles = [...cell.querySelectorAll('.turn-handle circle:not(.reach)')]
                    .map((one) => ['handle', one.getBoundingClientRect()]);
                const meet = (a, b) => a.left < b.right && b.left < a.right && a.top + 2 < b.bottom && b.top + 2 < a.bottom;
                return words.flatMap(([name, box], at) => [...words.slice(at + 1), ...handles]
                    .filter(([, other]) => meet(box, other)).map(([other]) => `${name} | ${other}`));
            })"""
        )
    )


def tap(page: Page, selector: str, at_s: float | None = None) -> None:
    """Touch the middle of an element for a moment; at a time of its own clock where that matters."""
    x, y = page.middle_of(selector)
    start_s = time.time() if at_s is None else at_s
    touch = "Input.dispatchTouchEvent"
    page.command(touch, type="touchStart", touchPoints=[{"x": x, "y": y}], timestamp=start_s)
    page.command(touch, type="touchEnd", touchPoints=[], timestamp=start_s + 0.05)
