"""The limit of open files is raised, and what must go on without any does; in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

resource = pytest.importorskip("resource")

PROGRAM = """
import resource
from gantry.server.open_files import allow_open_files

resource.setrlimit(resource.RLIMIT_NOFILE, (128, {most}))
print(allow_open_files(), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize("most", [128, 1000])
def test_the_limit_is_raised_as_far_as_the_system_lets_it(most: int) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(most=most)], capture_output=True, check=True)
    assert done.stdout.split() == [b"%d" % most] * 3


WITHOUT_FILES = """
import resource
from gantry.server.logs import escaped

resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
print(escaped("a\\nb"))
"""


def test_n05_a_line_is_logged_where_no_file_can_be_opened() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_FILES], capture_output=True, check=True)
    assert done.stdout.split() == [b"a\\nb"]
