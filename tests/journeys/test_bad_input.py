"""Bad input of every kind at a real server: nobody else notices, nothing stays, the log says who and not whom.

Each case of `bad_inputs` checks how it is answered. Here stands what is common to all (reliability, "bad
inputs"): an association that stands, a C-STORE that is half sent and a kept HTTP connection go on; the archive
holds what it held; each case leaves a line with the peer's address in the log, and no line holds a patient's
name or a control character; memory and open files are as before.

Rows without a case here because what they are about does not exist yet: B75 (no worklist, no performed procedure
steps), B76 (no storage commitment), B81 (no users, no tokens), B83 (no de-identification). Rows that are tried
elsewhere: B34 to B36, B48, B59, B62, B77 and B78 in test_inert, B79 in test_limits; B2, B17, B20, B21, B66, B67, B74 and
B80, which need settings of their own, B37, which is about what a command prints, and the rows about pixels,
text and time in the trees of their rooms.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from bad_input import BadInput
from bad_inputs import CASES
from gantry_process import Gantry, wait_until
from neighbours import Neighbours, traces, watched

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gantry, Neighbours]]:
    with watched(tmp_path_factory.mktemp("site")) as both:
        yield both


@pytest.mark.parametrize("bad", CASES, ids=lambda bad: bad.name)
def test_bad_input(site: tuple[Gantry, Neighbours], bad: BadInput) -> None:
    server, neighbours = site
    before, versions, files = len(server.words), server.stats()["versions"], traces(server)
    bad.send(server)
    neighbours.check()
    assert server.stats()["versions"] == versions
    wait_until(lambda: traces(server) == files, what="what was half received is gone")
    wait_until(lambda: "127.0.0.1" in server.words[before:], what="a line with the peer")
    check_words(server.words[before:])


def check_words(words: str) -> None:
    assert "CANARY" not in words
    assert "Traceback" not in words, words
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e]", words)
