"""What a page looks like to people who see fewer colours, by Chromium's own simulations."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from chromium import Page

DEFICIENCIES = ("deuteranopia", "protanopia", "tritanopia", "achromatopsia")
Luminance = np.ndarray[Any, np.dtype[np.float64]]


def luminance_seen(page: Page, deficiency: str) -> Luminance:
    """Of each pixel on the screen of a desk, from 0 to 1 (WCAG 2.2, relative luminance)."""
    page.command("Emulation.setEmulatedVisionDeficiency", type=deficiency)
    try:
        data = base64.b64decode(page.command("Page.captureScreenshot", format="png")["data"])
    finally:
        page.command("Emulation.setEmulatedVisionDeficiency", type="none")
    colours = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), dtype=np.float64) / 255
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear @ np.array([0.2126, 0.7152, 0.0722]))


def contrast(a: Luminance, b: Luminance) -> Luminance:
    """As WCAG 2.2 defines it, 1 to 21."""
    return np.asarray((np.maximum(a, b) + 0.05) / (np.minimum(a, b) + 0.05))
