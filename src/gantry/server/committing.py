"""Requests for storage commitment, looked at and reported one after the other, beside everything else (N8).

A report goes back on the association of its request while that stands, else on a new one to the peer of the
settings that has the AE title, where we propose to be SCP (PS3.4 J.3.3). An AE that is no peer is told when
it asks for something else. What could not be told is tried again, after pauses that grow, over restarts.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from gantry.archive.archive import Archive
from gantry.archive.commitment.check import Ended
from gantry.archive.commitment.requests import LEASE, Asked, OpenRequest
from gantry.client.connection import Options, Peer, connect
from gantry.client.scu import NATIVE_SYNTAXES
from gantry.dimse.limits import ASSOCIATION_S
from gantry.dimse.negotiation import ProposedContext, Timers
from gantry.dimse.user_information import RoleSelection
from gantry.errors import ConnectError, GantryError, StorageError
from gantry.server.commitment_scp import REPORT_TIMEOUT_S, Standing, report
from gantry.server.logs import escaped
from gantry.settings import Address
from gantry.standard import sop_classes as sop
from gantry.standard.transfer_syntaxes import transfer_syntax

log = logging.getLogger("gantry.dimse.commitment")

MAX_REPORTS: Final = 8
"""Reports under way at once: a peer that does not answer must not hold up the others."""
LOOK_S: Final = 2.0
"""Between asking whether other nodes left something to do."""
STOP_S: Final = 5.0
"""How long reports under way may take to end when the server stops."""
CHECKS: Final = 2
"""Requests looked at at once: one with many instances must not hold up the others."""
POLL_S: Final = 0.25
"""Between looking whether a pause is over."""


class Committing:
    """Works on the requests of an archive from `start` to `stop`, both on the loop that serves."""

    def __init__(self, archive: Archive, ae_title: str, remote_aes: Mapping[str, Address]) -> None:
        self._archive = archive
        self._requests = archive.commitments
        self._ae_title = ae_title
        self._remote_aes = remote_aes
        self._standing: dict[str, Standing] = {}
        # By AE title, the last association on which each asked
        self._by_aet: dict[str, Standing] = {}
        self._reports: dict[str, asyncio.Task[None]] = {}
        self._stop = threading.Event()
        self._woken = asyncio.Event()
        self._checks = ThreadPoolExecutor(CHECKS, "gantry-commit")
        self._working: asyncio.Task[None] | None = None

    @property
    def open_count(self) -> int:
        """Requests that wait for their report."""
        return self._requests.count

    def start(self) -> None:
        """Begin."""
        self._working = asyncio.get_running_loop().create_task(self._work())

    async def stop(self) -> None:
        """End: what is not reported stays for the next start."""
        self._stop.set()
        self._woken.set()
        if self._working is not None:
            await self._working
        if self._reports:
            await asyncio.wait(self._reports.values(), timeout=STOP_S)
        for task in self._reports.values():
            task.cancel()
        await asyncio.gather(*self._reports.values(), return_exceptions=True)
        await asyncio.to_thread(self._checks.shutdown)

    def acknowledged(self, path: str, aet: str, standing: Standing) -> None:
        """A request is durable and was answered; its report can go back where it came from."""
        self._standing[path] = self._by_aet[aet] = standing
        self._requests.answered(path)
        self._requests.hurry(aet)
        self._woken.set()

    # --- inside ----------------------------------------------------------------------------------

    async def _work(self) -> None:
        looked_at = -LOOK_S
        while not self._stop.is_set():
            self._woken.clear()
            try:
                if time.monotonic() - looked_at >= LOOK_S:
                    looked_at = time.monotonic()
                    await asyncio.to_thread(self._requests.look)
                for path in self._requests.due():
                    if self._stop.is_set() or len(self._reports) >= MAX_REPORTS:
                        break
                    if path not in self._reports:
                        self._begin(path)
            except (GantryError, OSError) as error:
                log.warning("storage commitments wait: %s", error)
                looked_at = time.monotonic()
            try:
                await asyncio.wait_for(self._woken.wait(), POLL_S)
            except TimeoutError:
                self._forget_lost()

    def _begin(self, path: str) -> None:
        task = self._reports[path] = asyncio.get_running_loop().create_task(self._take(path))
        task.add_done_callback(lambda _: self._ended(path))

    async def _take(self, path: str) -> None:
        """Decide over a request, and report it."""
        try:
            one = await asyncio.to_thread(self._requests.claim, path)
        except StorageError as error:
            log.warning("a storage commitment waits: %s", error)
            await asyncio.sleep(LOOK_S)
            return
        if one is None:
            self._standing.pop(path, None)
            return
        try:
            if one.failures is None:
                loop = asyncio.get_running_loop()
                one = await loop.run_in_executor(self._checks, self._decided, path, one)
        except Ended:
            return
        except StorageError as error:
            await self._wait(path, one, f"it could not be looked at: {error}")
        except Exception as error:
            # A fault of ours: it must end neither this work, nor be tried without a pause
            log.exception("a storage commitment failed")
            await self._wait(path, one, f"it could not be looked at: {type(error).__name__}")
        else:
            await self._report(path, one)

    def _ended(self, path: str) -> None:
        del self._reports[path]
        self._woken.set()

    def _decided(self, path: str, one: OpenRequest) -> OpenRequest:
        """Raises Ended, StorageError."""
        held_at = time.monotonic()

        def pace(_read: int) -> bool:
            nonlocal held_at, one
            if time.monotonic() - held_at > LEASE.total_seconds() / 3:
                held_at = time.monotonic()
                one = self._requests.hold(path, one)
            return not self._stop.is_set()

        failures = self._archive.check_commitment(one.asked, pace)
        return self._requests.decide(path, one, failures)

    async def _report(self, path: str, one: OpenRequest) -> None:
        asked = one.asked
        try:
            await self._told(path, one)
        except ConnectError as error:
            if self._requests.is_too_old(one):
                log.error("the report of %s is given up: %s", escaped(asked.transaction_uid), error)
                await self._finish(path, one, reported=False)
            else:
                await self._wait(path, one, str(error))
            return
        log.info(
            "storage commitment: %d of %d instances; transaction=%s aet=%s",
            len(asked.references) - len(one.failures or ()), len(asked.references),
            escaped(asked.transaction_uid), escaped(asked.aet),
        )  # fmt: skip
        await self._finish(path, one, reported=True)

    async def _told(self, path: str, one: OpenRequest) -> None:
        """Raises ConnectError."""
        standing = self._standing.get(path)
        if standing is not None and not standing.is_over:
            try:
                await standing.report(one, self._ae_title)
            except ConnectError as error:
                # It ended meanwhile, or its peer waits for another association
                log.info("not reported on the association of the request: %s", error)
            else:
                return
        self._standing.pop(path, None)
        await self._told_anew(one.asked, one)

    async def _told_anew(self, asked: Asked, one: OpenRequest) -> None:
        address = self._remote_aes.get(asked.aet)
        if address is None:
            standing = self._by_aet.get(asked.aet)
            if standing is None or standing.is_over:
                raise ConnectError(f"{asked.aet} is gone, and no peer of the settings")
            await standing.report(one, self._ae_title)
            return
        peer = Peer(address.host, address.port, asked.aet)
        role = RoleSelection(sop.STORAGE_COMMITMENT_PUSH, scu=False, scp=True)
        timers = Timers(association_s=ASSOCIATION_S, idle_s=REPORT_TIMEOUT_S)
        connection = await connect(
            peer,
            contexts=[ProposedContext(sop.STORAGE_COMMITMENT_PUSH, NATIVE_SYNTAXES)],
            calling_aet=self._ae_title,
            options=Options(roles=(role,), timers=timers),
        )
        try:
            # A peer that does not answer to the role is told all the same: many do not look at it
            context = next(iter(connection.contexts.values()))
            syntax = transfer_syntax(context.transfer_syntax)
            await report(
                connection.wire, connection.requests, context.context_id, syntax, one, self._ae_title
            )
        except BaseException:
            await connection.abort()
            raise
        await connection.release()

    async def _wait(self, path: str, one: OpenRequest, why: str) -> None:
        try:
            pause_s = await asyncio.to_thread(self._requests.put_off, path, one)
        except StorageError as error:
            log.warning("storage commitments wait: %s", error)
            return
        log.warning(
            "storage commitment of %s for %s waits %g s: %s",
            escaped(one.asked.transaction_uid), escaped(one.asked.aet), pause_s, escaped(why),
        )  # fmt: skip

    async def _finish(self, path: str, one: OpenRequest, *, reported: bool) -> None:
        self._standing.pop(path, None)
        try:
            await asyncio.to_thread(lambda: self._requests.finish(path, one, reported=reported))
        except StorageError as error:
            # Told once more after its pause: better twice than never
            log.warning("a report that was delivered is not noted: %s", error)

    def _forget_lost(self) -> None:
        for known in (self._standing, self._by_aet):
            for name in [name for name, one in known.items() if one.is_over]:
                del known[name]
