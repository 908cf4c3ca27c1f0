from __future__ import annotations

from typing import Any

import pytest

from gantry.dataset.part10 import read_part10
from gantry.pixels.cine import DEFAULT_FRAME_MS, frame_durations_ms
from serving import dataset, part10


@pytest.mark.parametrize(
    ("attributes", "frames", "durations"),
    [
        ({}, 2, (DEFAULT_FRAME_MS,) * 2),
        ({"FrameTime": "40"}, 3, (40,) * 3),
        ({"CineRate": "25"}, 1, (40,)),
        ({"RecommendedDisplayFrameRate": "20", "CineRate": "25"}, 1, (50,)),
        ({"FrameTime": "40", "CineRate": "10"}, 1, (40,)),
        ({"FrameTimeVector": ["0", "30", "60"]}, 3, (30, 60, 60)),
        ({"FrameTimeVector": ["0", "30"], "FrameTime": "40"}, 2, (40, 40)),
        (
            {"FrameTimeVector": ["0", "30"], "FrameTime": "40", "FrameIncrementPointer": 0x00181065},
            2,
            (30, 30),
        ),
        ({"FrameTimeVector": ["0", "30"]}, 3, (DEFAULT_FRAME_MS,) * 3),  # too short to be believed
        ({"FrameTime": "0"}, 1, (DEFAULT_FRAME_MS,)),
        ({"FrameTime": "-5", "CineRate": "0"}, 1, (DEFAULT_FRAME_MS,)),
        ({"FrameTime": "1e30"}, 1, (10_000,)),
        ({"CineRate": "999999999"}, 1, (1,)),
    ],
)
def test_how_long_frames_stand(attributes: dict[str, Any], frames: int, durations: tuple[float, ...]) -> None:
    ds = read_part10(part10(dataset(1, **attributes)))[1]
    assert frame_durations_ms(ds, frames) == durations
