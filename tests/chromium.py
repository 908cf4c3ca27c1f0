"""Debian's Chromium without a window, driven over the Chrome DevTools Protocol.

A dozen verbs on one WebSocket: enough to open a page, press, type, drag, swipe, look and wait until
something is true. Waiting is done in the page, by the page's own clock of frames, never by sleeping
here for a guessed time.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from websockets.sync.client import ClientConnection, connect

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
    # A page that was left would be held as it was, and count as memory of the next.
    "--disable-features=BackForwardCache",
    "--lang=en-US",
    "--accept-lang=en-US",
    "--remote-debugging-port=0",
)

ANSWER_TIMEOUT_S = 60
DESK = (1440, 900)
PHONE = (390, 844)


def chromium_path() -> str:
    """The browser's program; a test without it is skipped with a word that says what to install."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    return found


_WAIT = """new Promise((resolve) => {
    const end = performance.now() + LIMIT_MS;
    const look = () => {
        let value;
        try { value = (CONDITION); } catch (error) { value = undefined; }
        if (value) resolve({ value: value === Object(value) && !Array.isArray(value) ? true : value });
        else if (performance.now() > end) resolve({ late: true });
        else setTimeout(look, 16);
    };
    look();
})"""


class PageError(AssertionError):
    """What was waited for did not come, or the page threw."""


class Page:
    """One tab. What it logs as an error is kept in `errors`."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._asked = 0
        self.errors: list[str] = []
        self.requests: dict[str, str] = {}
        """Addresses that the page has asked for, in order, by the browser's own names of them."""
        self.given_up: list[str] = []
        """Addresses of requests that the page itself ended before their answer had come."""
        self.dragged: dict[str, Any] | None = None
        """What a drag of the page carries, once `Input.setInterceptDrags` keeps it from the system."""
        for domain in ("Page", "Runtime", "Log", "Network", "Inspector"):
            self.command(f"{domain}.enable")

    def command(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its result; events that come meanwhile are noted."""
        self._asked += 1
        self._connection.send(json.dumps({"id": self._asked, "method": method, "params": params}))
        while True:
            message = json.loads(self._connection.recv(timeout=ANSWER_TIMEOUT_S))
            if message.get("id") == self._asked:
                if "error" in message:
                    raise PageError(f"{method}: {message['error']}")
                return dict(message["result"])
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        match message.get("method"):
            case "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                self.errors.append(details.get("exception", {}).get("description") or details["text"])
            case "Inspector.targetCrashed":
                raise PageError("the page crashed")
            case "Network.requestWillBeSent":
                self.requests[params["requestId"]] = params["request"]["url"]
            case "Network.loadingFailed" if params.get("canceled"):
                self.given_up.append(self.requests.get(params["requestId"], ""))
            case "Input.dragIntercepted":
                self.dragged = params["data"]
            case "Log.entryAdded" if params["entry"]["level"] == "error":
                self.errors.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression; a promise is waited for."""
        answer = self.command(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise PageError(details.get("exception", {}).get("description") or details["text"])
        return answer["result"].get("value")

    def wait_until(self, condition: str, timeout_s: float = 30) -> Any:
        """The first truthy value of an expression, asked for once per frame of the page."""
        script = _WAIT.replace("LIMIT_MS", str(timeout_s * 1000)).replace("CONDITION", condition)
        found = self.evaluate(script)
        if "late" in found:
            self.screenshot(Path("artifacts") / "late.png")
            seen = self.evaluate("document.body.innerText.slice(0, 600)")
            raise PageError(f"not within {timeout_s} s: {condition}\nerrors: {self.errors}\npage: {seen}")
        return found["value"]

    def size(self, width: int, height: int, *, touch: bool = False) -> None:
        """Make the page so large; with `touch` it behaves as a phone."""
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if touch else 1,
            mobile=touch,
        )
        self.command("Emulation.setTouchEmulationEnabled", enabled=touch, maxTouchPoints=5 if touch else 1)

    def go(self, url: str) -> None:
        self.command("Page.navigate", url=url)
        self.wait_until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def click(self, selector: str) -> None:
        """Press the left button in the middle of an element."""
        x, y = self.middle_of(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.command("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def middle_of(self, selector: str) -> tuple[float, float]:
        box = self.wait_until(
            f"""(() => {{ const e = document.querySelector({json.dumps(selector)});
                if (!e) return null; const b = e.getBoundingClientRect();
                return b.width ? [b.left + b.width / 2, b.top + b.height / 2] : null; }})()"""
        )
        return float(box[0]), float(box[1])

    def drag(self, selector: str, dx: float, dy: float, steps: int = 8) -> None:
        """Drag with the left button from the middle of an element."""
        x, y = self.middle_of(selector)
        mouse = {"button": "left", "buttons": 1, "clickCount": 1}
        self.command("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, **mouse)
        for step in range(1, steps + 1):
            self.command(
                "Input.dispatchMouseEvent",
                type="mouseMoved",
                x=x + dx * step / steps,
                y=y + dy * step / steps,
                **mouse,
            )
        self.command("Input.dispatchMouseEvent", type="mouseReleased", x=x + dx, y=y + dy, **mouse)

    def drop(self, data: dict[str, Any], x: float, y: float) -> None:
        """Let fall at a place of the page what is dragged: of the page itself, or files of the machine."""
        for kind in ("dragEnter", "dragOver", "drop"):
            self.command("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    def drag_onto(self, selector: str, x: float, y: float) -> None:
        """Take hold of something that can be dragged, and let it fall at a place of the page."""
        self.command("Input.setInterceptDrags", enabled=True)
        self.dragged = None
        at = self.middle_of(selector)
        mouse = {"button": "left", "buttons": 1, "clickCount": 1}
        self.command("Input.dispatchMouseEvent", type="mousePressed", x=at[0], y=at[1], **mouse)
        for step in range(1, 9):
            self.command("Input.dispatchMouseEvent", type="mouseMoved", x=at[0] + 4 * step, y=at[1], **mouse)
        for _ in range(100):
            if self.dragged is not None:
                break
            self.evaluate("new Promise(requestAnimationFrame)")
        assert self.dragged is not None, f"{selector} cannot be dragged"
        self.drop(self.dragged, x, y)
        self.command("Input.dispatchMouseEvent", type="mouseReleased", x=x, y=y, button="left")
        self.command("Input.setInterceptDrags", enabled=False)

    def wheel(self, selector: str, dy: float) -> None:
        x, y = self.middle_of(selector)
        self.command("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=dy)

    def touch_drag(self, selector: str, *moves: tuple[tuple[float, float], tuple[float, float]]) -> None:
        """Fingers from and to points given relative to the middle of an element."""
        x, y = self.middle_of(selector)

        def points(share: float) -> list[dict[str, float]]:
            return [
                {"x": x + a[0] + (b[0] - a[0]) * share, "y": y + a[1] + (b[1] - a[1]) * share, "id": index}
                for index, (a, b) in enumerate(moves)
            ]

        self.command("Input.dispatchTouchEvent", type="touchStart", touchPoints=points(0))
        for step in range(1, 11):
            self.command("Input.dispatchTouchEvent", type="touchMove", touchPoints=points(step / 10))
        self.command("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def key(self, key: str) -> None:
        text = {"text": "\r" if key == "Enter" else key} if len(key) == 1 or key == "Enter" else {}
        code = {"Enter": 13, "ArrowDown": 40, "ArrowUp": 38, "Escape": 27}.get(key, ord(key[0].upper()))
        self.command(
            "Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, code=key, **text
        )
        self.command("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code, code=key)

    def control(self, letter: str, *, shift: bool = False) -> None:
        """Press a letter with the Control key held."""
        code = {"code": f"Key{letter.upper()}", "windowsVirtualKeyCode": ord(letter.upper())}
        for kind in ("rawKeyDown", "keyUp"):
            self.command("Input.dispatchKeyEvent", type=kind, key=letter, modifiers=2 + 8 * shift, **code)

    def type(self, text: str) -> None:
        self.command("Input.insertText", text=text)

    def choose_files(self, selector: str, paths: list[Path]) -> None:
        """What a person's file dialogue does."""
        document = self.command("DOM.getDocument")
        node = self.command("DOM.querySelector", nodeId=document["root"]["nodeId"], selector=selector)
        self.command("DOM.setFileInputFiles", nodeId=node["nodeId"], files=[str(path) for path in paths])

    def screenshot(self, path: Path) -> None:
        """Keep what is on the screen as a PNG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = self.command("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(picture))


@contextmanager
def open_page(profile: Path) -> Iterator[Page]:
    """A fresh browser with an empty profile folder, gone at the end."""
    browser = subprocess.Popen(
        [chromium_path(), *FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert browser.stderr is not None
        port = _debugging_port(iter(browser.stderr.readline, ""))
        with urlopen(f"http://127.0.0.1:{port}/json/list", timeout=ANSWER_TIMEOUT_S) as answer:
            tab = next(tab for tab in json.load(answer) if tab["type"] == "page")
        # No pings: while a test makes its objects nobody reads, and what the page tells meanwhile fills the queue.
        with connect(
            tab["webSocketDebuggerUrl"], max_size=64 << 20, open_timeout=ANSWER_TIMEOUT_S, ping_interval=None
        ) as connection:
            yield Page(connection)
    finally:
        browser.terminate()
        try:
            browser.wait(timeout=20)
        except subprocess.TimeoutExpired:
            browser.kill()
            browser.wait()
        if browser.stderr is not None:
            browser.stderr.close()


def _debugging_port(lines: Iterator[str]) -> int:
    for line in lines:
        if "DevTools listening on" in line:
            return int(line.split(":")[2].split("/")[0])
    raise PageError("Chromium ended before it listened")
