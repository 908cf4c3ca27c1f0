"""Objects of an archive moved to its second store, by age and use; for `gantry tier` and the server."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice

from gantry.archive.archive import Archive
from gantry.archive.records import Location
from gantry.archive.tiers import AT_ONCE, PASSING, SWEPT_AT_ONCE, Tiers
from gantry.errors import CallerError, ReadOnly, StorageError, Unreachable
from gantry.settings import TierRule

MOVED, WOULD, LEFT, BACK = "moved", "would be moved", "left for now", "brought back"
SWEPT, WOULD_SWEEP = "removed from the bucket", "would be removed from the bucket"
KEPT = "kept in the bucket without a note"
_FAILED = "failed"
_MODALITY = 0x00080060
_SERIES_REMEMBERED = 10_000

_log = logging.getLogger(__name__)

Told = Callable[[Location, str, str], None]
"""Hears of each object what became of it, and why."""


def unheard(location: Location, what: str, why: str) -> None:
    """Tell nobody."""


@dataclass(slots=True)
class Sum:
    """What was done in all, in numbers of objects and in bytes by what became of them."""

    objects: dict[str, int] = field(default_factory=dict)
    size_bytes: dict[str, int] = field(default_factory=dict)

    def note(self, what: str, size: int) -> None:
        """One more."""
        self.objects[what] = self.objects.get(what, 0) + 1
        self.size_bytes[what] = self.size_bytes.get(what, 0) + size

    @property
    def failed(self) -> int:
        """How many objects could not be moved or brought back, each for a reason of its own."""
        return self.objects.get(_FAILED, 0)

    @property
    def text(self) -> str:
        """All of it in a line."""
        told = [f"{n} {what} ({self.size_bytes[what]:,} bytes)" for what, n in self.objects.items()]
        return ", ".join(told) or "nothing to move"


@dataclass(slots=True)
class Tiering:
    """An archive whose objects are moved; `stopped` is asked before each object.

    Raises CallerError for an archive without a second store.
    """

    archive: Archive
    told: Told = unheard
    stopped: Callable[[], bool] = lambda: False
    sum: Sum = field(default_factory=Sum)
    _modalities: dict[tuple[str, str], str] = field(default_factory=dict)

    def move(self, rules: Sequence[TierRule], *, dry_run: bool = False) -> Sum:
        """Move what a rule is for, or only tell. Raises StorageError where no more can be moved now."""
        fitting = self._fitting(rules)
        while some := list(islice(fitting, AT_ONCE)):
            if dry_run:
                self._note(some, [WOULD] * len(some), [""] * len(some))
            else:
                found = self._tiers.move(some)
                kinds = [LEFT if why in PASSING else _FAILED if why else MOVED for why in found]
                self._note(some, kinds, found)
        return self.sum

    def bring_back(self, uids: Set[str]) -> Sum:
        """Have moved objects in the folder again: all, or those of studies, series, instances of these UIDs.

        Raises StorageError where no more can be brought back now.
        """
        for location in self._files():
            if not self._tiers.is_moved(location) or (uids and not uids & set(location.key)):
                continue
            try:
                self._tiers.bring_back(location)
            except (ReadOnly, Unreachable):
                raise
            except StorageError as error:
                self._note([location], [_FAILED], [str(error)])
            else:
                self._note([location], [BACK], [""])
        return self.sum

    def sweep(self, rules: Sequence[TierRule] = (), *, dry_run: bool = False) -> Sum:
        """Remove from the bucket what moves that were broken off have left there, or only tell.

        What may be needed stays, and is told of. With `dry_run`, not told is what `rules` would move anew.
        Raises StorageError.
        """
        left = set(self._tiers.left_behind())
        needless: list[Location] = []
        for location in self._locations() if left else ():
            if location.path not in left:
                continue
            left.remove(location.path)
            if dry_run and not location.made_from and self._is_fit(rules, location):
                continue
            why = self._tiers.why_needed(location)
            if why:
                self._note([location], [KEPT], [why])
            else:
                needless.append(location)
        if self.stopped():
            return self.sum
        for path in sorted(left):
            _log.warning("the bucket has %s, which neither the folder nor the index knows: it stays", path)
            self.sum.note(KEPT, 0)
        if not dry_run:
            for at in range(0, len(needless), SWEPT_AT_ONCE):
                self._tiers.remove([one.path for one in needless[at : at + SWEPT_AT_ONCE]])
            self._tiers.end_sweep()
        for location in needless:
            why = "it was let go" if location.made_from else "the folder has it"
            self._note([location], [WOULD_SWEEP if dry_run else SWEPT], [why])
        return self.sum

    @property
    def _tiers(self) -> Tiers:
        if self.archive.tiers is None:
            raise CallerError('there is no second store: set tier = "s3://BUCKET" in the settings')
        return self.archive.tiers

    def _locations(self) -> Iterator[Location]:
        """Every version that is an object, until somebody stops."""
        for row in self.archive.index.all_versions():
            if self.stopped():
                return
            if row.location is not None:
                yield row.location

    def _files(self) -> Iterator[Location]:
        """Every version whose bytes are the archive's own, as far as they are not known to be damaged."""
        for location in self._locations():
            if location.made_from or location.path.startswith("/"):
                continue
            if location.path not in self.archive.damaged():
                yield location

    def _fitting(self, rules: Sequence[TierRule]) -> Iterator[Location]:
        for location in self._files():
            if not self._tiers.is_moved(location) and self._is_fit(rules, location):
                yield location

    def _is_fit(self, rules: Sequence[TierRule], location: Location) -> bool:
        now = datetime.now(UTC)
        return any(self._fits(rule, location, now) for rule in rules)

    def _fits(self, rule: TierRule, location: Location, now: datetime) -> bool:
        if location.file_size < rule.larger_than_bytes:
            return False
        if now - location.received_at < timedelta(days=rule.older_than_days):
            return False
        if rule.unused_for_days:
            used = self._tiers.used_at(location)
            if used is None or now - used < timedelta(days=rule.unused_for_days):
                return False
        return not rule.modalities or self._modality(location) in rule.modalities

    def _modality(self, location: Location) -> str:
        """The modality, read once for each series; empty where it cannot be."""
        series = location.key.study_uid, location.key.series_uid
        if series not in self._modalities:
            if len(self._modalities) >= _SERIES_REMEMBERED:
                self._modalities.clear()
            try:
                with self.archive.dataset(location) as ds:
                    self._modalities[series] = (ds.text(_MODALITY) or "").upper()
            except StorageError as error:
                _log.warning("passed over while moving: %s", error)
                return ""
        return self._modalities[series]

    def _note(self, locations: Iterable[Location], kinds: Iterable[str], reasons: Iterable[str]) -> None:
        for location, what, why in zip(locations, kinds, reasons, strict=True):
            self.sum.note(what, location.file_size)
            self.told(location, what, why)
