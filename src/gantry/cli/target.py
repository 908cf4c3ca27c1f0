"""What `get` and `move` fetch: a study, one of its series, or one instance."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from gantry.errors import CallerError
from gantry.standard.query_keys import Level

_F = TypeVar("_F", bound=Callable[..., Any])


def target_options(command: _F) -> _F:
    """The options that name it."""
    study = click.option("--study", required=True, metavar="UID", help="Study Instance UID.")
    series = click.option("--series", metavar="UID", help="Series Instance UID.")
    instance = click.option("--instance", metavar="UID", help="SOP Instance UID; needs --series.")
    return study(series(instance(command)))


@dataclass(frozen=True, slots=True)
class Target:
    """The UIDs of a study, series or instance."""

    study: str
    series: str | None = None
    instance: str | None = None

    def __post_init__(self) -> None:
        if self.instance is not None and self.series is None:
            raise CallerError("--instance needs --series")
        for uid in (self.study, self.series, self.instance):
            # Wider than PS3.5 9.1, since archives hold worse, but nothing that means something in a URL or
            # in a query.
            if uid is not None and not re.fullmatch(r"[0-9A-Za-z._-]{1,64}", uid):
                raise CallerError(f"{uid!r} is not a UID")

    @property
    def level(self) -> Level:
        return Level.IMAGE if self.instance else Level.SERIES if self.series else Level.STUDY

    @property
    def keys(self) -> dict[str, str]:
        keys = {"StudyInstanceUID": self.study}
        if self.series:
            keys["SeriesInstanceUID"] = self.series
        if self.instance:
            keys["SOPInstanceUID"] = self.instance
        return keys
