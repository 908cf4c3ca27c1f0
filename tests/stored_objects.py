"""Small objects and simulated archives, for tests of what is kept and what survives."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from dataset_bytes import explicit
from gantry.archive.archive import Archive, Options
from gantry.archive.clock import SimClock
from gantry.archive.disk import Disk
from gantry.archive.outcome import Outcome
from gantry.archive.records import InstanceKey, Origin
from gantry.archive.sim import SimDisk
from gantry.archive.sim_index import SimIndexFiles
from gantry.dataset.part10 import encode_file_meta
from gantry.standard.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ROOT = "1.2.826.0.1.3680043.8.498"
SCANNER = Origin("SCANNER", "192.0.2.1:104", "dimse")
# A log that is soon full, and nothing done but within calls, so that a seed tells all
SMALL = Options(reserve_bytes=0, log_bytes=96 << 10, in_background=False)
WITHOUT_LOG = replace(SMALL, log_bytes=0)


def uid(*numbers: int) -> str:
    """A UID of the tests' own root."""
    return ".".join([ROOT, *map(str, numbers)])


def key_of(study: int = 1, series: int = 1, instance: int = 1) -> InstanceKey:
    """The key of the object that `part10` makes from the same numbers."""
    return InstanceKey(uid(study), uid(study, series), uid(study, series, instance))


def padded(text: str, pad: bytes = b" ") -> bytes:
    """A text value of even length."""
    raw = text.encode("latin-1")
    return raw + pad * (len(raw) % 2)


def part10(
    study: int = 1,
    series: int = 1,
    instance: int = 1,
    *,
    patient: str = "P1",
    name: str = "Doe^Jane",
    comment: str = "",
    pixels: bytes = b"",
    syntax: str = EXPLICIT_VR_LITTLE_ENDIAN,
    replaced: dict[int, bytes | None] | None = None,
    meta: bytes | None = None,
) -> bytes:
    """A DICOM file of one small CT image.

    `replaced` puts other raw values into elements by tag; None leaves the element out. `meta` stands in
    place of preamble and File Meta Information.
    """
    key = key_of(study, series, instance)
    values: dict[int, tuple[str, bytes | None]] = {
        0x00080016: ("UI", padded(CT_IMAGE, b"\0")),
        0x00080018: ("UI", padded(key.sop_uid, b"\0")),
        0x00080020: ("DA", b"20260101"),
        0x00080060: ("CS", b"CT"),
        0x00100010: ("PN", padded(name)),
        0x00100020: ("LO", padded(patient)),
        0x0020000D: ("UI", padded(key.study_uid, b"\0")),
        0x0020000E: ("UI", padded(key.series_uid, b"\0")),
        0x00200013: ("IS", padded(str(instance))),
        0x00204000: ("LT", padded(comment) if comment else None),
        0x7FE00010: ("OW", pixels or None),
    }
    if pixels:
        count = len(pixels) // 2
        rows = next(n for n in range(1, count + 1) if count % n == 0 and count // n < 1 << 16)
        values |= {
            0x00280002: ("US", b"\1\0"),
            0x00280010: ("US", rows.to_bytes(2, "little")),
            0x00280011: ("US", (count // rows).to_bytes(2, "little")),
            0x00280100: ("US", b"\x10\0"),
        }
    for tag, value in (replaced or {}).items():
        values[tag] = (values[tag][0] if tag in values else "LO", value)
    body = b"".join(
        explicit(tag, vr, value) for tag, (vr, value) in sorted(values.items()) if value is not None
    )
    if meta is None:
        meta = encode_file_meta(
            sop_class_uid=CT_IMAGE,
            sop_instance_uid=key.sop_uid,
            transfer_syntax_uid=syntax,
            source_aet="SCANNER",
        )
    return meta + body


@dataclass
class Simulation:
    """An archive on twins, that can be cut off from its power and started again."""

    seed: int = 0
    options: Options = SMALL
    capacity: int = 1 << 40
    folder: Path = field(
        default_factory=lambda: Path(tempfile.mkdtemp(prefix="gantry-index-", dir=_memory()))
    )
    clock: SimClock = field(default_factory=SimClock)

    def __post_init__(self) -> None:
        self.disk = SimDisk(self.seed, capacity=self.capacity)
        self._archive: Archive | None = None

    @property
    def archive(self) -> Archive:
        """The archive, opened when first asked for."""
        if self._archive is None:
            self._archive = Archive.open(
                self.folder,
                self.options,
                disk=self.archive_disk(),
                index_files=SimIndexFiles(self.folder, self.disk),
                clock=self.clock,
            )
        return self._archive

    def archive_disk(self) -> Disk:
        """What the archive is opened on."""
        return self.disk

    def store(self, data: bytes) -> Outcome:
        """Store one object."""
        return self.archive.store([data], SCANNER)

    def power_cut(self) -> None:
        """Cut the power; the archive opens again on what survived when next asked for."""
        self.disk = self.disk.power_cut()
        self._forget()

    def restart(self) -> None:
        """Stop the process in an orderly way and start it again."""
        self.archive.close()
        self._archive = None

    def kill(self) -> None:
        """End the process at once: what it wrote is kept by the system, what it held is gone."""
        self._forget()

    def _forget(self) -> None:
        if self._archive is not None:
            # The index's connections belong to the dead process; SQLite must let go of them.
            for index in (*self._archive._committer.former, self._archive._committer.index):
                index.close()
            self._archive = None

    def end(self) -> None:
        """Remove what the simulation left on the real disk."""
        self._forget()
        shutil.rmtree(self.folder, ignore_errors=True)


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


@contextmanager
def simulated(seed: int = 0, **settings: object) -> Iterator[Simulation]:
    """A simulation that cleans up after itself."""
    simulation = Simulation(seed, **settings)  # type: ignore[arg-type]
    try:
        yield simulation
    finally:
        simulation.end()


def numbers() -> Iterator[int]:
    """1, 2, 3, ..."""
    return itertools.count(1)
