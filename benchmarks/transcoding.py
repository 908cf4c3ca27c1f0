"""Gantry's part of the measurements of codecs, where processes that it starts find it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gantry.dataset.part10 import encode_file_meta, read_part10
from gantry.pixels.decode import decode
from gantry.pixels.encapsulation import frame_table
from gantry.pixels.image import ImageHeader
from gantry.pixels.transcode import stored_frame, transcode


def transcoded(file: bytes, uid: str) -> bytes:
    """A whole file in another transfer syntax."""
    made = transcode(read_part10(file)[1], uid, new_sop_instance_uid="1.2.3.5")
    head = encode_file_meta(
        sop_class_uid=made.sop_class_uid, sop_instance_uid=made.sop_instance_uid, transfer_syntax_uid=uid
    )
    return b"".join([head, *made.pieces])


def decoded(file: bytes) -> np.ndarray:
    """All frames, (frames, rows, columns)."""
    meta, ds = read_part10(file)
    table, header = frame_table(ds), ImageHeader.from_dataset(ds)
    assert table is not None
    pixels = np.empty((len(table), header.rows, header.columns), f"u{header.bits_allocated // 8}")
    for n in range(len(table)):
        pixels[n] = decode(stored_frame(ds, table, n), meta.transfer_syntax_uid, header).pixels
    return pixels


def length_transcoded(file: Path, uid: str) -> int:
    """Octets of a file in another transfer syntax."""
    return len(transcoded(file.read_bytes(), uid))
