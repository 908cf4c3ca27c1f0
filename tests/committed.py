"""Instances that are under a storage commitment, by the archive alone."""

from __future__ import annotations

from gantry.archive.archive import Archive
from gantry.archive.commitment.requests import Reference


def asked(archive: Archive, *sop_uids: str, transaction: str = "1.2.3") -> str:
    """The AE CT1 asks for visible instances, and has its answer; the name of the request."""
    named = [archive.locate(sop_uid=uid)[0] for uid in sop_uids]
    references = tuple(Reference(one.sop_class_uid, one.key.sop_uid) for one in named)
    path = archive.commitments.ask(transaction, "CT1", "", references)
    archive.commitments.answered(path)
    return path


def decided(archive: Archive, path: str) -> dict[int, int]:
    """Look at a request, and note that it was told; the Failure Reasons."""
    one = archive.commitments.claim(path)
    assert one is not None
    failures = archive.check_commitment(one.asked, lambda _: True)
    archive.commitments.finish(path, archive.commitments.decide(path, one, failures), reported=True)
    return failures


def commit(archive: Archive, *sop_uids: str, transaction: str = "1.2.3") -> None:
    """Commit visible instances to the AE CT1, and note that it was told."""
    assert decided(archive, asked(archive, *sop_uids, transaction=transaction)) == {}
