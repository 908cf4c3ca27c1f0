"""The viewer beside OHIF, in Debian's Chromium, over the same archive: `python -m benchmarks.viewer`.

OHIF is its npm package `@ohif/app` as it comes, served by nginx, which hands `/dicom-web` on to Gantry. Both
open one CT study by its address; a picture is there when a canvas or an image of the page, of 300 pixels or
more, holds more than a few greys.
All is measured on the machine itself, and over a link of 20 Mbit/s and 40 ms.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import peers, scu
from benchmarks.corpus import study
from benchmarks.peers import Peer, free_port
from benchmarks.results import Line
from benchmarks.shaped_link import shaped

sys.path.insert(
    0, str(Path(__file__).resolve().parents[1] / "tests")
)  # its driver of the browser is theirs too
from chromium import DESK, Page, open_page
from ohif import unpacked

BITS_A_SECOND, ROUND_TRIP_S = 20e6, 0.040
ROUNDS = 3
SLICES = 250
LIMIT_S = 180.0
SCROLL_S = 3.0

# Looks sixty times a second whether a canvas or a picture of some size shows an image; draws it in small.
_WATCH = """(() => {
    const small = document.createElement('canvas');
    small.width = small.height = 32;
    const context = small.getContext('2d', { willReadFrequently: true });
    window.seenNow = () => {
        let greys = '';
        for (const shown of document.querySelectorAll('canvas, img')) {
            if (shown.clientWidth < 300 || shown.clientHeight < 300 || shown.complete === false) continue;
            context.drawImage(shown, 0, 0, 32, 32);
            const data = context.getImageData(0, 0, 32, 32).data;
            const values = new Set();
            for (let at = 0; at < data.length; at += 4) { values.add(data[at]); greys += data[at] + ' '; }
            if (values.size > 4 && window.firstImageMs === undefined) window.firstImageMs = performance.now();
        }
        return greys;
    };
    // Of the canvases in sight: how many hold more than a few greys.
    window.picturesNow = () => [...document.querySelectorAll('canvas')].filter((shown) => {
        if (shown.clientWidth < 200 || shown.clientHeight < 200) return false;
        context.drawImage(shown, 0, 0, 32, 32);
        const data = context.getImageData(0, 0, 32, 32).data;
        return new Set(data.filter((_, at) => at % 4 === 0)).size > 4;
    }).length;
    const look = () => {
        if (window.firstImageMs === undefined) { window.seenNow(); setTimeout(look, 16); }
    };
    look();
})()"""

# Waits until three planes of a volume are seen; milliseconds since the page was asked for.
_PLANES = """new Promise((resolve) => {
    const look = () => {
        if (window.picturesNow() >= 3) resolve(performance.now());
        else setTimeout(look, 50);
    };
    look();
})"""

# Turns the wheel once a frame and counts how often the picture has become another.
_SCROLL = """new Promise((resolve) => {
    const target = document.querySelector('SELECTOR');
    const box = target.getBoundingClientRect();
    const end = performance.now() + LIMIT_MS;
    let before = '', changes = 0, direction = 1, turned = 0;
    const turn = () => {
        const now = window.seenNow();
        if (now !== before) { changes += 1; before = now; }
        if (performance.now() > end) return resolve(changes);
        turned += 1;
        if (turned % 100 === 0) direction = -direction;
        target.dispatchEvent(new WheelEvent('wheel', {
            deltaY: 120 * direction, bubbles: true, cancelable: true,
            clientX: box.left + box.width / 2, clientY: box.top + box.height / 2 }));
        requestAnimationFrame(turn);
    };
    turn();
})"""


@dataclass
class Subject:
    """A viewer: what it is called, its port, the address of a study, and the element that is scrolled.

    Planes of the volume are asked for by an end of the address, or by a key once an image is seen.
    """

    name: str
    port: int
    path: str
    scrolled: str
    planes_query: str = ""
    planes_key: str = ""


@dataclass
class Opened:
    """One opening of a study: milliseconds, bytes of the program, frames a second, megabytes."""

    first_image_ms: float = 0.0
    series_ms: float = 0.0
    planes_ms: float = 0.0
    program_bytes: float = 0.0
    scroll_fps: float = 0.0
    memory_mb: float = 0.0


class Watched(Page):
    """A page whose requests are noted: address, bytes and time of each that has ended."""

    def __init__(self, page: Page) -> None:
        self.ended: list[tuple[str, float, float]] = []
        self._addresses: dict[str, str] = {}
        super().__init__(page._connection)

    def _note(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        match message.get("method"):
            case "Network.requestWillBeSent":
                self._addresses[params["requestId"]] = params["request"]["url"]
            case "Network.loadingFinished":
                address = self._addresses.get(params["requestId"], "")
                self.ended.append((address, params["encodedDataLength"], time.perf_counter()))
        super()._note(message)


def lines(folder: Path) -> Iterator[Line]:
    """Both viewers, cold and warm, near and far. Yields nothing where OHIF cannot be had."""
    with ExitStack() as stack:
        archive = stack.enter_context(peers.gantry(folder))
        items = list(study(1, SLICES))
        scu.store(archive.dicom, archive.aet, items)
        uid = items[0].study_uid
        beside = stack.enter_context(_ohif(folder, archive))
        for where, link in (("", None), (", 20 Mbit/s and 40 ms", (BITS_A_SECOND, ROUND_TRIP_S))):
            ports = [archive.http, beside.http]
            if link is not None:
                ports = [stack.enter_context(shaped(port, *link)) for port in ports]
            subjects = (
                Subject("Gantry", ports[0], f"/view/{uid}", ".viewport", planes_key="7"),
                Subject(
                    "OHIF",
                    ports[1],
                    f"/viewer?StudyInstanceUIDs={uid}",
                    ".cornerstone-viewport-element",
                    planes_query="&hangingProtocolId=mpr",
                ),
            )
            yield from _compared(subjects, where, is_near=link is None)


def _compared(subjects: Sequence[Subject], where: str, *, is_near: bool) -> Iterator[Line]:
    cold: dict[str, list[Opened]] = {one.name: [] for one in subjects}
    warm: dict[str, list[Opened]] = {one.name: [] for one in subjects}
    planes: dict[str, list[Opened]] = {one.name: [] for one in subjects}
    for _ in range(ROUNDS if is_near else 1):
        for one in subjects:
            with (
                tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
                open_page(Path(profile)) as page,
            ):
                watched = Watched(page)
                watched.size(*DESK)
                watched.command("Page.addScriptToEvaluateOnNewDocument", source=_WATCH)
                cold[one.name].append(_open(watched, one, profile, scrolls=is_near))
                # Far one cold opening alone takes a minute; warm ones are short
                for _ in range(1 if is_near else ROUNDS):
                    warm[one.name].append(_open(watched, one, profile, scrolls=False))
                if is_near:
                    planes[one.name].append(_open_planes(watched, one))

    def line(
        work: str,
        unit: str,
        found: dict[str, list[Opened]],
        value: Callable[[Opened], float],
        must: float | None,
        *,
        rate: bool = False,
    ) -> Line:
        mine, theirs = (statistics.median(map(value, found[one.name])) for one in subjects)
        return Line(f"viewer: {work}{where}", unit, mine, "OHIF 3.13", theirs, must, rate=rate)

    yield line("first image, cold", "s", cold, lambda one: one.first_image_ms / 1e3, 0.25)
    yield line("first image, warm", "s", warm, lambda one: one.first_image_ms / 1e3, 1 / 6)
    yield line(f"all {SLICES} slices, cold", "s", cold, lambda one: one.series_ms / 1e3, 0.5)
    yield line(f"all {SLICES} slices, warm", "s", warm, lambda one: one.series_ms / 1e3, 0.5)
    if is_near:
        yield line("three planes, warm", "s", planes, lambda one: one.planes_ms / 1e3, None)
        yield line("program before the first image", "MB", cold, lambda one: one.program_bytes / 1e6, None)
        yield line("scrolling", "images/s", cold, lambda one: one.scroll_fps, None, rate=True)
        yield line("memory of the browser", "MB", cold, lambda one: one.memory_mb, None)


def _open(page: Watched, one: Subject, profile: Path, *, scrolls: bool) -> Opened:
    page.ended.clear()
    begun = time.perf_counter()
    page.command("Page.navigate", url=f"http://127.0.0.1:{one.port}{one.path}")
    done = Opened()
    done.first_image_ms = float(page.wait_until("window.firstImageMs", LIMIT_S))
    shown_at = begun + done.first_image_ms / 1e3
    while True:
        frames = [at for address, _, at in page.ended if "/frames/" in address]
        if len(frames) >= SLICES:
            break
        if time.perf_counter() - begun > LIMIT_S:
            raise RuntimeError(f"{one.name} asked for {len(frames)} of {SLICES} frames")
        page.evaluate("new Promise((resolve) => setTimeout(resolve, 20))")
    done.series_ms = (sorted(frames)[SLICES - 1] - begun) * 1e3
    done.program_bytes = sum(
        size for address, size, at in page.ended if "/dicom-web/" not in address and at <= shown_at
    )
    if scrolls:
        script = _SCROLL.replace("SELECTOR", one.scrolled).replace("LIMIT_MS", str(SCROLL_S * 1e3))
        done.scroll_fps = float(page.evaluate(script)) / SCROLL_S
    done.memory_mb = _memory_mb(profile)
    return done


def _open_planes(page: Watched, one: Subject) -> Opened:
    page.command("Page.navigate", url=f"http://127.0.0.1:{one.port}{one.path}{one.planes_query}")
    page.wait_until("window.firstImageMs", LIMIT_S)
    if one.planes_key:
        page.key(one.planes_key)
    return Opened(planes_ms=float(page.evaluate(_PLANES)))


def _memory_mb(profile: Path) -> float:
    """Proportional memory of all processes of the browser with this profile, and of their children."""
    mine = {
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if str(profile).encode() in _read(path)
    }
    for path in sorted(Path("/proc").glob("[0-9]*/stat"), key=lambda one: int(one.parent.name)):
        fields = _read(path).rpartition(b")")[2].split()
        if len(fields) > 1 and int(fields[1]) in mine:
            mine.add(int(path.parent.name))
    kib = 0
    for pid in mine:
        for text in _read(Path(f"/proc/{pid}/smaps_rollup")).splitlines():
            if text.startswith(b"Pss:"):
                kib += int(text.split()[1])
    return kib / 1000


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended meanwhile
        return b""


@contextmanager
def _ohif(folder: Path, archive: Peer) -> Iterator[Peer]:
    """OHIF's own files behind nginx."""
    place = folder / "ohif"
    place.mkdir()
    root = unpacked(place, "/dicom-web")
    http = free_port()
    config = place / "nginx.conf"
    config.write_text(
        f"user root; daemon off; worker_processes 2; pid {place}/pid; error_log {place}/error.log;\n"
        "events { worker_connections 256; }\n"
        "http { access_log off; sendfile on; keepalive_requests 1000000; include /etc/nginx/mime.types;\n"
        "  gzip on; gzip_types text/css application/javascript application/wasm application/json;\n"
        f"  client_body_temp_path {place}; proxy_temp_path {place}; fastcgi_temp_path {place};\n"
        f"  uwsgi_temp_path {place}; scgi_temp_path {place};\n"
        f"  upstream archive {{ server 127.0.0.1:{archive.http}; keepalive 16; }}\n"
        f"  server {{ listen 127.0.0.1:{http}; root {root};\n"
        "    location /dicom-web/ { proxy_pass http://archive; proxy_http_version 1.1;\n"
        '      proxy_set_header Connection ""; proxy_set_header Host $http_host; proxy_buffering off; }\n'
        "    location / { try_files $uri /index.html; } } }\n"
    )
    with Peer("OHIF", "", [shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(config)], http=http) as peer:
        yield peer


def main() -> None:
    """Print a table."""
    with tempfile.TemporaryDirectory(prefix="gantry-bench-") as folder:
        for line in lines(Path(folder)):
            print(
                f"{line.work:60} {line.gantry:9.2f} {line.unit:9} {line.peer_name}: {line.peer:.2f}"
                f"  ratio {line.ratio:.2f} {line.verdict}",
                flush=True,
            )


if __name__ == "__main__":
    main()
