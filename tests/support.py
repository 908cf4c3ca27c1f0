"""What several tests need: where the shared test data lies, and how to skip with a clear word without it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

_USUAL_EXAMPLES = 100
_BESIDE_THE_PROJECT = Path(__file__).resolve().parents[2] / "shared"


def shared_root() -> Path | None:
    """The folder `shared` beside the project, or where GANTRY_SHARED points; None where there is none."""
    root = Path(os.environ.get("GANTRY_SHARED", _BESIDE_THE_PROJECT))
    return root if (root / "data" / "MANIFEST.csv").is_file() else None


def shared_data() -> Path:
    """The folder of shared test data; skips the calling test where it is missing."""
    root = shared_root()
    if root is None:
        pytest.skip("the shared test data (../shared/data, or GANTRY_SHARED) is not on this machine")
    return root / "data"


def examples(count: int) -> settings:
    """A property is tried with so many examples, and with a share of them where the profile is a quick one."""
    return settings(max_examples=count * settings.default.max_examples // _USUAL_EXAMPLES)
