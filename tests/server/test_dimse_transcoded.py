"""C-GET, C-MOVE and C-STORE to peers that do not take the stored transfer syntax."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO

from dcmtk import storescp
from gantry.client import sync
from gantry.client.connection import Peer
from gantry.client.sinks import MemorySink
from gantry.dimse.negotiation import ProposedContext
from gantry.pixels.codecs.registry import NAMES
from gantry.settings import Address
from gantry.standard.query_keys import Level
from image_values import SC, decoded, gray, image_object, made
from serving import ROOT, served

PIXELS = gray(2)
STUDY = {"StudyInstanceUID": f"{ROOT}.1"}


@pytest.mark.parametrize(
    ("stored", "taken"),
    [
        ("htj2k-lossless", "implicit"), ("jpeg-ls", "explicit"), ("rle", "big-endian"), ("explicit", "rle"),
        ("explicit", "jpeg-lossless"), ("jpegxl-lossless", "jpeg-ls"),
    ],
)  # fmt: skip
def test_get_gives_what_the_peer_takes(tmp_path: Path, stored: str, taken: str) -> None:
    with served(tmp_path / "data") as running:
        running.archive.store([made(image_object(PIXELS), stored)[0]])
        sink = MemorySink()
        storage = [ProposedContext(SC, (NAMES[taken],))]
        peer = Peer("127.0.0.1", running.port, "GANTRY")
        result = sync.get(peer, Level.STUDY, STUDY, sink, storage=storage)
        assert result.ok, result
    (file,) = sink.files
    assert dcmread(DicomBytesIO(file)).file_meta.TransferSyntaxUID == NAMES[taken]
    assert (decoded(file)[0] == PIXELS).all()


@pytest.mark.peer
@pytest.mark.parametrize(
    ("stored", "option", "arrives"),
    [("jpeg2000-lossless", "+xi", "implicit"), ("explicit", "+xr", "rle"), ("rle", "+xs", "jpeg-lossless")],
)
def test_move_and_send_to_dcmtk_go_in_what_it_takes(
    tmp_path: Path, stored: str, option: str, arrives: str
) -> None:
    file = made(image_object(PIXELS), stored)[0]
    for verb in ("move", "send"):
        folder = tmp_path / verb
        # +xr and +xs prefer theirs; what else DCMTK takes then is native, and ours is proposed first
        with storescp(folder, option, "+B" if option == "+xi" else "-v", aet="THERE") as port:
            if verb == "send":
                results = sync.store(Peer("127.0.0.1", port, "THERE"), [file])
                assert [r.status for r in results] == [0]
            else:
                aes = {"THERE": Address("127.0.0.1", port)}
                with served(tmp_path / "data", remote_aes=aes) as running:
                    running.archive.store([file])
                    peer = Peer("127.0.0.1", running.port, "GANTRY")
                    assert sync.move(peer, Level.STUDY, STUDY, "THERE").ok
        (received,) = folder.iterdir()
        assert (decoded(received.read_bytes())[0] == PIXELS).all()
        if option == "+xi":
            assert dcmread(received).file_meta.TransferSyntaxUID == NAMES[arrives]
