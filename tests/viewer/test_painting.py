"""Gray images painted by the processor are those that the graphics card draws."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from chromium import Page
from viewing import SLICE, open_series, open_study, settled

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]

# What hands and keys do one after the other: nothing, a window, larger and aside, turned, mirrored, inverted.
STEPS = ((), ("2",), ("+", "+", "+"), ("r",), ("h",), ("i",), ("r",))


def looks(page: Page, server: str, drawn_by: str) -> list[list[int]]:
    page.evaluate(f"localStorage.setItem('gantry.drawn-by', '{drawn_by}')")
    page.go(server)
    open_study(page)
    open_series(page, "CT")
    page.wait_until(f"{SLICE}?.includes('/ 12')")
    seen = []
    for keys in STEPS:
        for key in keys:
            page.key(key)
        seen.append(settled(page))
    return seen


def test_processor_and_card_make_the_same_picture(page: Page, server: str) -> None:
    card, processor = (np.array(looks(page, server, one)) for one in ("card", "processor"))
    away = np.abs(card - processor)
    assert float(np.percentile(away, 99)) <= 2, np.percentile(away, [50, 90, 99, 100], axis=1)
    for one, other in itertools.pairwise(processor):
        assert (one != other).any()
