"""What may not be taken away unless somebody says so by force (N15).

That is what is under a storage commitment, and what a rule of retention keeps. A commitment goes with its
instance: where an edit took that to another study, it is found by the history of edits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date

from gantry.archive.acts import read_whole_act
from gantry.archive.commit.committer import Committer
from gantry.archive.commitment.kept import Kept, Promise
from gantry.archive.disk import Disk
from gantry.archive.edits.model import MAX_WORDS_CHARS, EditConflict, EditRefused
from gantry.archive.incoming import storage_error
from gantry.archive.index import EditFilter
from gantry.archive.query import HeaderOf, Query
from gantry.archive.records import InstanceKey
from gantry.archive.retention import first_rule, study_facts
from gantry.errors import Corrupt
from gantry.settings import RetentionRule
from gantry.standard.query_keys import Level

NO_REASON = "no reason given"
"""What the history says of a delete or a restore by a door that does not ask why."""
_EDITS_AT_ONCE = 500


class Guard:
    """Says what stands against hiding instances of one archive; `today` is for ages."""

    def __init__(
        self,
        disk: Disk,
        committer: Committer,
        kept: Kept,
        rules: Sequence[RetentionRule],
        header: HeaderOf,
        today: Callable[[], date],
    ) -> None:
        self._disk = disk
        self._committer = committer
        self._kept = kept
        self._rules = rules
        self._header = header
        self._today = today

    def reason(self, keys: Iterable[InstanceKey], who: str, why: str, *, force: bool) -> str:
        """The reason for which instances are hidden, which says what it is forced over.

        For use when nobody else commits. Raises EditConflict where something stands against it and `force`
        is not given, EditRefused where it is but nobody says who and why; Corrupt, StorageError.
        """
        against = self._against(keys)
        if not against:
            return why
        if not force:
            raise EditConflict(f"{against}: only by force, with who and why")
        if not who.strip() or not why.strip() or why == NO_REASON:
            raise EditRefused(f"{against}: say who forces it, and why")
        note = f" [by force: {against}]"
        return f"{why[: MAX_WORDS_CHARS - len(note)]}{note}"[:MAX_WORDS_CHARS]

    def _against(self, keys: Iterable[InstanceKey]) -> str:
        """What stands against hiding these, in words; empty where nothing does."""
        by_study: dict[str, set[str]] = {}
        for key in keys:
            by_study.setdefault(key.study_uid, set()).add(key.sop_uid)
        promised: dict[str, Promise] = {}
        if not self._kept.is_empty:
            for study, uids in by_study.items():
                known = self._promises(study)
                promised |= {uid: known[uid] for uid in uids if uid in known}
        if promised:
            first = min(promised.values(), key=lambda one: one.at)
            return (
                f"{len(promised)} of {sum(map(len, by_study.values()))} instances are under a storage "
                f"commitment, for one to {first.aet} since {first.at:%Y-%m-%d}"
            )
        for study in by_study if self._rules else ():
            rule = self._keeping(study)
            if rule is not None:
                return f"the study is under the rule of retention {rule.text!r}"
        return ""

    def _promises(self, study_uid: str) -> dict[str, Promise]:
        found: dict[str, Promise] = {}
        for study in self._studies_before(study_uid):
            found |= self._kept.of_study(study)
        return found

    def _studies_before(self, study_uid: str) -> set[str]:
        """A study, and those of which edits made objects of it, or of which those were made in turn."""
        found, waiting = {study_uid}, [study_uid]
        while waiting:
            for study in self._sources_of(waiting.pop()) - found:
                found.add(study)
                waiting.append(study)
        return found

    def _sources_of(self, study_uid: str) -> set[str]:
        sources: set[str] = set()
        before = 0
        while True:
            rows = self._committer.index.edits(EditFilter(study_uid=study_uid), before, _EDITS_AT_ONCE)
            for row in rows:
                try:
                    act = read_whole_act(self._disk, row.act)
                except FileNotFoundError as error:
                    raise Corrupt(f"{row.act} is missing") from error
                except OSError as error:
                    raise storage_error(error) from error
                sources |= {
                    entry.source[0].study_uid
                    for entry in act.entries
                    if entry.source is not None and entry.key.study_uid == study_uid
                }
            if len(rows) < _EDITS_AT_ONCE:
                return sources
            before = rows[-1].number

    def _keeping(self, study_uid: str) -> RetentionRule | None:
        """The rule that keeps a study, if one does; where several patients have its UID, any of theirs."""
        query = Query(Level.STUDY, {"0020000D": {"vr": "UI", "Value": [study_uid]}})
        for row in self._committer.index.find(query, self._header).rows:
            rule = first_rule(study_facts(row, self._today()), self._rules)
            if rule is not None and not rule.goes:
                return rule
        return None
