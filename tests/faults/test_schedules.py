"""N1 to N12 under the server's own code: senders, cut wires, a failing disk and a power cut, from seeds.

A schedule is some associations that store at once over bad links into an archive on a bad disk, until all is sent or
the power goes; then the next start, and again. Each is told by its seed alone: `GANTRY_SEED` runs one, `GANTRY_SEEDS`
says how many.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import random
from dataclasses import dataclass, field

import pytest

from dimse_pair import CT, CT_ID, parameters
from gantry.archive.archive import Options
from gantry.archive.records import InstanceKey
from gantry.archive.verify import EXTRA_ACT, EXTRA_FILE
from gantry.client.connection import Connection, Peer
from gantry.dataset.part10 import read_file_meta
from gantry.dimse.association import Association, Role
from gantry.dimse.message import c_store_rq
from gantry.dimse.negotiation import AcceptorPolicy, Timers
from gantry.dimse.user_information import AsyncWindow
from gantry.errors import ConnectError, GantryError
from gantry.server.operation import DimseServices
from gantry.server.session import Session
from gantry.standard import status
from simulated_world import LinkFaults, SimExecutor, SimLoop, World, joined
from stored_objects import SMALL, WITHOUT_LOG, Simulation, key_of, part10, simulated

pytestmark = pytest.mark.slow

SCHEDULES = int(os.environ.get("GANTRY_SEEDS", "40"))
MANY_SCHEDULES = 3000
FOUND_SOMETHING = (12219, 12915)
"""Seeds of thousands under which something was wrong."""
SHARDS = 4
HARMLESS = {EXTRA_FILE, EXTRA_ACT}
IDLE_S, STALL_S = 20.0, 15.0
ROOM_BYTES = 256 << 10
"""More than the log holds, and its files' rows."""
AFTERGLOW_S = 5.0
"""What the server had said before its end still arrives."""
PATIENCE_S = 600.0
"""No link and no disk makes an association last so long: whatever stands then hangs."""


@dataclass
class Told:
    """What senders know: the Data Sets they sent of each instance, and those for which a success came back."""

    sent: dict[InstanceKey, set[bytes]] = field(default_factory=dict)
    acknowledged: dict[InstanceKey, set[bytes]] = field(default_factory=dict)
    statuses: dict[int, int] = field(default_factory=dict)


@dataclass
class Schedule:
    """One run, of one seed."""

    seed: int
    told: Told = field(default_factory=Told)

    def run(self) -> Told:
        dice = random.Random(self.seed)
        options = WITHOUT_LOG if self.seed % 5 == 0 else SMALL
        capacity = dice.choice((1 << 40, 1 << 40, 3 << 20))
        with simulated(self.seed, options=options, capacity=capacity) as simulation:
            for _ in range(dice.randint(1, 3)):
                self._round(simulation, dice, options)
                simulation.disk.heal()
                # What is in the log, and found the disk full, has its file as soon as there is room
                simulation.disk.capacity += ROOM_BYTES
                self._hold(simulation)
            self._agree(simulation, repair=self.seed % 3 == 0)
        return self.told

    def _round(self, simulation: Simulation, dice: random.Random, options: Options) -> None:
        simulation.archive.stats()  # opened, with what that costs, before anything fails
        simulation.clock.jump(dice.choice((0, 0, 3600, -7200)))
        disk = simulation.disk
        disk.shorten_writes(dice.choice((0, 0.3)))
        if dice.random() < 0.4:
            disk.fail_often(dice.choice((0.01, 0.1)), errno.EIO, errno.ENOSPC, errno.EMFILE)
        if dice.random() < 0.7:
            disk.cut_at(dice.randint(1, 400))
        loop = SimLoop()
        try:
            world = World(loop, dice)
            loop.run_until_complete(self._associations(world, simulation, dice))
            assert not world.failures, world.failures
        finally:
            asyncio.set_event_loop(None)
            loop.close()
        if world.is_dark:
            simulation.power_cut()
        elif dice.random() < 0.5 or simulation.archive.read_only:
            simulation.kill()
        if not options.log_bytes and dice.random() < 0.5:
            simulation.power_cut()

    async def _associations(self, world: World, simulation: Simulation, dice: random.Random) -> None:
        slowest = dice.choice((0.001, 0.2, 3.0))
        executor = SimExecutor(world, slowest)
        services = DimseServices(
            archive=simulation.archive,
            executor=executor,
            store_executor=executor,
            ae_title="GANTRY",
            remote_aes={},
            find_limit=100,
            destination_timeout_s=5,
            calling_host_port=None,
        )
        house = House()
        senders = [
            asyncio.ensure_future(self._send(world, services, house, dice)) for _ in range(dice.randint(1, 4))
        ]
        dark = asyncio.ensure_future(world.darkness())
        done = asyncio.ensure_future(asyncio.wait(senders))
        await asyncio.wait({done, dark}, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        if world.is_dark:
            await asyncio.sleep(AFTERGLOW_S)
            for sender in senders:
                sender.cancel()
            await done
        else:
            assert done.done(), f"seed {self.seed}: a sender waits for an answer that does not come"
            for sender in senders:
                sender.result()
            # A link that has gone silent is noticed by the server, too, and costs it nothing for ever.
            closed = [session.wire.closed for session in house.sessions]
            await asyncio.wait(closed, timeout=PATIENCE_S)
            assert all(one.done() for one in closed) or world.is_dark, f"seed {self.seed}: a session stands"
        dark.cancel()

    async def _send(self, world: World, services: DimseServices, house: House, dice: random.Random) -> None:
        window = dice.choice((None, AsyncWindow(4, 1)))
        timers = Timers(idle_s=IDLE_S, artim_s=5)
        peer = Peer("sender", 104)
        connection = Connection(peer, parameters(async_window=window, timers=timers))
        policy = AcceptorPolicy(automatic=False, async_window=AsyncWindow(4, 4), timers=timers)
        session = world.server(
            lambda: Session(
                house,
                services,
                Association(Role.ACCEPTOR, policy, world.loop.time()),
                "192.0.2.1",
                stall_timeout_s=STALL_S,
                max_object_bytes=1 << 30,
            )
        )
        if session is None:
            return
        house.sessions.append(session)
        joined(world, connection.wire, session.wire, links(dice), links(dice))
        try:
            await connection._established
            at_once = asyncio.Semaphore(connection.window or 4)
            await asyncio.gather(*(self._store(connection, at_once, dice) for _ in range(dice.randint(1, 8))))
            await connection.release()
        except ConnectError:
            connection.wire.drop("given up")
        finally:
            connection.executor.shutdown(wait=False)

    async def _store(self, connection: Connection, at_once: asyncio.Semaphore, dice: random.Random) -> None:
        study, instance, size = dice.randint(1, 3), dice.randint(1, 4), dice.choice((0, 10, 3000, 1_200_000))
        file = part10(study, 1, instance, comment=f"take {dice.randint(1, 3)}", pixels=bytes(size))
        key, data = key_of(study, 1, instance), dataset_of(file)
        async with at_once:
            answers = connection.requests.open()
            self.told.sent.setdefault(key, set()).add(data)
            await connection.wire.transmit(CT_ID, c_store_rq(answers.message_id, CT, key.sop_uid), [data])
            answer = await answers.next()
        self.told.statuses[answer.status] = self.told.statuses.get(answer.status, 0) + 1
        if answer.status == status.SUCCESS:
            self.told.acknowledged.setdefault(key, set()).add(data)

    def _hold(self, simulation: Simulation) -> None:
        """All that was acknowledged is there, and nothing that was not sent, or not whole."""
        archive, seed = simulation.archive, self.seed
        for key, wanted in self.told.acknowledged.items():
            kept = {
                dataset_of(archive.read(row.location, check=True))
                for row in archive.versions(key)
                if row.location is not None
            }
            assert wanted <= kept, f"seed {seed}: {key.sop_uid} was acknowledged and is lost"
        visible = {location.key: location for location in archive.locate()}
        assert set(self.told.acknowledged) <= set(visible), f"seed {seed}"
        for key, location in visible.items():
            assert dataset_of(archive.read(location, check=True)) in self.told.sent[key], f"seed {seed}"

    def _agree(self, simulation: Simulation, *, repair: bool) -> None:
        """Index and folder say the same, or a repair makes them."""
        report = simulation.archive.verify(repair=repair)
        assert {found.kind for found in report.findings} <= HARMLESS, f"seed {self.seed}: {report.findings}"
        if repair:
            assert simulation.archive.verify().is_clean, f"seed {self.seed}"
            before = list(simulation.archive.index.canonical_dump())
            simulation.archive.reindex()
            assert list(simulation.archive.index.canonical_dump()) == before, f"seed {self.seed}"
            self._hold(simulation)


@dataclass
class House:
    """The listener, as far as sessions ask it anything."""

    sessions: list[Session] = field(default_factory=list)

    def has_room_for(self, _: Session) -> bool:
        return True

    def ended(self, _: Session) -> None:
        pass


def links(dice: random.Random) -> LinkFaults:
    """One direction of a connection: most are well, some break, some go silent, at any byte."""
    kind = dice.choice(("well", "well", "well", "breaks", "silent"))
    at = dice.choice((dice.randint(0, 600), dice.randint(0, 20_000), dice.randint(0, 2_000_000)))
    most_piece = dice.choice((37, 2000, 1 << 16)) if at < 20_000 else 1 << 16
    return LinkFaults(
        most_piece=most_piece,
        slowest_s=dice.choice((0.0, 0.02)) if most_piece > 1000 else 0.0,
        breaks_after=at if kind == "breaks" else None,
        silent_after=at if kind == "silent" else None,
    )


def dataset_of(file: bytes) -> bytes:
    return file[read_file_meta(file).dataset_offset :]


def run(seeds: range) -> dict[int, int]:
    """Run schedules; how often each status was answered."""
    logging.disable(logging.CRITICAL)  # a schedule is full of errors that are meant
    statuses: dict[int, int] = {}
    try:
        for seed in seeds:
            try:
                told = Schedule(seed).run()
            except GantryError as error:
                raise AssertionError(f"seed {seed}: {error!r}") from error
            for code, count in told.statuses.items():
                statuses[code] = statuses.get(code, 0) + count
    finally:
        logging.disable(logging.NOTSET)
    return statuses


@pytest.mark.parametrize("shard", range(SHARDS))
def test_n01_n03_n04_n11_n12_nothing_acknowledged_is_lost_in_any_schedule(shard: int) -> None:
    if "GANTRY_SEED" in os.environ:
        run(range(int(os.environ["GANTRY_SEED"]), int(os.environ["GANTRY_SEED"]) + 1))
        return
    each = SCHEDULES // SHARDS
    statuses = run(range(shard * each, (shard + 1) * each))
    # They are schedules of something: most stores are told to have been kept, and some to have been refused.
    assert statuses[status.SUCCESS] > each
    assert len(statuses) > 1


@pytest.mark.soak
@pytest.mark.parametrize("shard", range(SHARDS))
def test_n01_n12_in_thousands_of_schedules(shard: int) -> None:
    each = MANY_SCHEDULES // SHARDS
    run(range(10_000 + shard * each, 10_000 + (shard + 1) * each))


@pytest.mark.parametrize("seed", FOUND_SOMETHING)
def test_what_a_schedule_has_found_once_it_finds_no_more(seed: int) -> None:
    run(range(seed, seed + 1))


def test_a_schedule_is_told_by_its_seed() -> None:
    first, again = Schedule(7).run(), Schedule(7).run()
    assert first == again
    assert first.acknowledged
