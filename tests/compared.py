"""What the viewer draws, held against what the server renders of the same frame."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass

import pydicom

from chromium import Page
from viewing import NO_LONGER_LOADING, SLICE

# Both are looked at in points of the screen; the rendition is read between its pixels as graphics cards read a texture.
_COMPARE = """(async () => {
    const [down, across] = SPACING, [rows, columns] = SIZE;
    const answer = await fetch(PATH + '/rendered', { headers: { Accept: 'image/png' } });
    if (!answer.ok) return { refused: answer.status };
    const bitmap = await createImageBitmap(await answer.blob());
    const draw = (width, height, ...layers) => {
        const canvas = new OffscreenCanvas(width, height);
        const context = canvas.getContext('2d', { willReadFrequently: true });
        for (const layer of layers) layer(context);
        return context.getImageData(0, 0, width, height).data;
    };
    const { width, height } = bitmap;
    const wanted = draw(width, height, (context) => context.drawImage(bitmap, 0, 0));
    const box = document.querySelector('.cell .viewport');
    const [w, h] = [box.clientWidth, box.clientHeight];
    const look = () => draw(w, h, (context) => context.drawImage(box.querySelector('canvas'), 0, 0, w, h), (context) => {
        for (const plane of document.querySelectorAll('.cell .plane-layer')) {
            context.setTransform(new DOMMatrix(getComputedStyle(plane).transform));
            context.imageSmoothingEnabled = false;
            context.drawImage(plane, 0, 0);
        }
    });
    const flat = (data) => data.every((value, at) => at % 4 === 3 || value === data[at % 4]);
    let shown = look();
    for (let left = 100, before = ''; left > 0; left -= 1) {
        await new Promise((resolve) => setTimeout(() => requestAnimationFrame(resolve), 30));
        shown = look();
        const now = shown.filter((_, at) => at % 4093 === 0).join();
        if (now === before && (!flat(shown) || flat(wanted))) break;
        before = now;
    }
    const scale = Math.min(w / (columns * across), h / (rows * down));
    const left = (w - columns * across * scale) / 2, top = (h - rows * down * scale) / 2;
    const at = (x, y, part) => wanted[(Math.min(height - 1, Math.max(0, y)) * width + Math.min(width - 1, Math.max(0, x))) * 4 + part];
    const between = (x, y, part) => {
        const [x0, y0] = [Math.floor(x), Math.floor(y)], [fx, fy] = [x - x0, y - y0];
        return (at(x0, y0, part) * (1 - fx) + at(x0 + 1, y0, part) * fx) * (1 - fy)
            + (at(x0, y0 + 1, part) * (1 - fx) + at(x0 + 1, y0 + 1, part) * fx) * fy;
    };
    const differences = [];
    const seen = new Set();
    const step = Math.max(1, Math.floor(Math.min(w, h) / 150));
    for (let sy = Math.ceil(top + 2); sy < Math.min(h, h - top - 2); sy += step)
        for (let sx = Math.ceil(left + 2); sx < Math.min(w, w - left - 2); sx += step) {
            // A rendition of pixels that are not square has more of them.
            const x = (sx + 0.5 - left) / (across * scale) * width / columns - 0.5;
            const y = (sy + 0.5 - top) / (down * scale) * height / rows - 0.5;
            // Sharp edges are soft between large pixels: these are looked at in their middle.
            const far = Math.max(Math.abs(x - Math.round(x)), Math.abs(y - Math.round(y)));
            if (scale * Math.min(across, down) > 12 && far > 0.12) continue;
            for (let part = 0; part < 3; part += 1) {
                const now = shown[(sy * w + sx) * 4 + part];
                seen.add(now);
                differences.push(Math.abs(now - between(x, y, part)));
            }
        }
    differences.sort((a, b) => a - b);
    const share = (of) => differences[Math.floor((differences.length - 1) * of)];
    const mean = differences.reduce((a, b) => a + b, 0) / differences.length;
    return { median: share(0.5), most: share(0.95), mean, greys: seen.size };
})()"""


@dataclass(frozen=True, slots=True)
class Difference:
    """Of grey levels, 0 to 255: the median, the 95th percentile and the mean over the points of the image."""

    median: float
    most: float
    mean: float
    greys: int


def spacing(ds: pydicom.Dataset) -> list[float]:
    """From row to row and from column to column, as the viewer draws them."""
    shared = ds.get("SharedFunctionalGroupsSequence") or [pydicom.Dataset()]
    own = ds.get("PerFrameFunctionalGroupsSequence") or [pydicom.Dataset()]
    measures = own[0].get("PixelMeasuresSequence") or shared[0].get("PixelMeasuresSequence") or [ds]
    found = measures[0].get("PixelSpacing") or ds.get("ImagerPixelSpacing") or ds.get("PixelAspectRatio")
    return [float(value) for value in found] if found and len(found) == 2 and min(found) > 0 else [1.0, 1.0]


def difference(page: Page, address: str, file: bytes, frame: int = 1) -> Difference | None:
    """Open an image by its link, at a place of its order, and compare; None where it has no rendition."""
    ds = pydicom.dcmread(io.BytesIO(file), stop_before_pixels=True)
    series = f"/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}"
    page.go(
        f"{address}/view/{ds.StudyInstanceUID}?series={ds.SeriesInstanceUID}"
        f"&instance={ds.SOPInstanceUID}&frame={frame}"
    )
    page.wait_until(f"{SLICE} || document.querySelector('.note, .sheet')")
    if page.evaluate("document.querySelector('.sheet') !== null"):
        return None  # of a kind that is listed and not drawn
    page.wait_until(NO_LONGER_LOADING)
    # Frames stand in the order of their dimensions, and not in that of the file.
    shown = page.evaluate("document.querySelector('.viewport').dataset.frame") or frame
    assert page.evaluate("document.querySelector('.viewport').dataset.instance") in (ds.SOPInstanceUID, None)
    path = f"/dicom-web{series}/instances/{ds.SOPInstanceUID}/frames/{shown}"
    return compare(page, path, spacing(ds), [int(ds.Rows), int(ds.Columns)])


def compare(page: Page, path: str, spacing: list[float], size: list[int]) -> Difference | None:
    """What is shown now, against the rendition of the frame with this path; `size` is rows and columns."""
    script = _COMPARE.replace("SPACING", json.dumps(spacing)).replace("PATH", json.dumps(path))
    found = page.evaluate(script.replace("SIZE", json.dumps(size)))
    return None if "refused" in found else Difference(**found)
