"""The rules of `gantry tier`, applied by the server itself once a day, by one among nodes."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from gantry.archive.archive import Archive
from gantry.errors import StorageError
from gantry.settings import TierRule
from gantry.toolkit.tiering import Tiering

log = logging.getLogger("gantry.server")

EVERY_S = 24 * 3600.0
"""How often all that is kept is held against the rules: they speak of days."""

FIRST_AFTER_S = 900.0
"""A server that has just started has other things to do than to go through all it keeps."""

AGAIN_AFTER_S = 600.0
"""After a bucket that was away."""


@dataclass(slots=True)
class MovingToTier:
    """Applies rules to an archive until stopped."""

    archive: Archive
    rules: Sequence[TierRule]
    _stop: threading.Event = field(default_factory=threading.Event)

    async def run(self) -> None:
        """Work beside everything else until `stop`."""
        wait_s = FIRST_AFTER_S
        while not await asyncio.to_thread(self._stop.wait, wait_s):
            wait_s = EVERY_S if await asyncio.to_thread(self.apply) else AGAIN_AFTER_S

    def stop(self) -> None:
        """Begin nothing more; `run` ends when what is under way has."""
        self._stop.set()

    def apply(self) -> bool:
        """Hold all that is kept against the rules; whether that came to its end."""
        work = Tiering(self.archive, stopped=self._stop.is_set)
        try:
            work.move(self.rules)
            done = work.sweep()
        except (StorageError, OSError) as error:
            log.warning("moving objects to the second store was broken off, and goes on later: %s", error)
            return False
        except Exception:  # a fault of ours must not end this work until somebody starts the server anew
            log.exception("moving objects to the second store failed, and is tried again later")
            return False
        if done.objects:
            log.log(logging.WARNING if done.failed else logging.INFO, "second store: %s", done.text)
        return True
