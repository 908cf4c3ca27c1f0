"""A PostgreSQL server of the tests' own, in a temporary folder, with a schema for whoever asks."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gantry.archive.index.database import Database


def database_at(url: str) -> Database:
    """The schema that a URL names, as an index lies in it."""
    from gantry.archive.index.postgres_schema import PostgresSchema
    from gantry.archive.index.postgres_server import Server

    server = Server.parse(url)
    return PostgresSchema(server, server.name)


_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/local/bin", "/usr/bin")
_START_S = 60
_names = itertools.count(1)


def programs() -> Path | None:
    """The folder of initdb and postgres, None where there is none."""
    found = [
        folder
        for pattern in _PLACES
        for folder in sorted(Path("/").glob(pattern.lstrip("/")), reverse=True)
        if all((folder / name).exists() for name in ("initdb", "postgres"))
    ]
    return found[0] if found else None


@contextmanager
def pooler(server: PostgresServer, folder: Path, mode: str) -> Iterator[str]:
    """The URL of a PgBouncer before a server, with its settings as they come but for how it shares sessions."""
    program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin")
    if program is None:
        pytest.skip("PgBouncer is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder.mkdir()
    users, settings = folder / "users.txt", folder / "pgbouncer.ini"
    users.write_text('"gantry" ""\n')
    settings.write_text(
        f"[databases]\npostgres = host=127.0.0.1 port={server.port}\n[pgbouncer]\nauth_type = trust\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_file = {users}\n"
        f"pool_mode = {mode}\n"
    )
    # It does not run as root, who alone may look into folders of tests
    as_whom = ["--user", "postgres"] if os.getuid() == 0 else []
    process = subprocess.Popen([program, *as_whom, str(settings)], stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + _START_S
        while time.monotonic() < end and process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"postgresql://gantry@127.0.0.1:{port}/postgres"
    finally:
        process.terminate()
        process.wait()


class PostgresServer:
    """Runs until it is stopped; fsync is on, as in earnest.

    `also` is another address of this machine to listen on, for whom its network, like ``10.1.0.0/16``, is.
    A server `of` another is its standby, without which that one commits nothing from then on. What it keeps lies
    on `disk`, which anybody may look into, where that is given.
    """

    def __init__(
        self, also: str = "", network: str = "", of: PostgresServer | None = None, disk: Path | None = None
    ) -> None:
        self._addresses = f"127.0.0.1,{also}" if also else "127.0.0.1"
        found = programs()
        if found is None:
            pytest.skip("PostgreSQL is not installed: no initdb")
        self._programs = found
        # Not below a folder of pytest, which only its owner may look into
        self._folder = Path(tempfile.mkdtemp(prefix="gantry-postgres-", dir=disk))
        self._data = self._folder / "data"
        # root may not run it
        self._user = "postgres" if os.getuid() == 0 else None
        if self._user is not None:
            try:
                owner = pwd.getpwnam(self._user)
            except KeyError:
                pytest.skip("PostgreSQL cannot be run by root, and there is no user postgres")
            os.chown(self._folder, owner.pw_uid, owner.pw_gid)
        if of is None:
            self._run(
                "initdb", "-D", str(self._data), "-A", "trust", "-U", "gantry", "-E", "UTF8",
                "--no-instructions", "--locale=C.UTF-8",
            )  # fmt: skip
        else:
            self._run(
                "pg_basebackup", "-D", str(self._data), "-d", of.url, "-R", "-X", "stream", "-c", "fast"
            )
        if network:
            with (self._data / "pg_hba.conf").open("a") as allowed:
                allowed.write(f"host all all {network} trust\n")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()
        if of is not None:
            of.tell("ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")

    def tell(self, *statements: str) -> None:
        """Execute something."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def promote(self) -> None:
        """Be the primary from now on, with nobody to wait for."""
        self.tell(
            "SELECT pg_promote()", "ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()"
        )

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"postgresql://gantry@127.0.0.1:{self.port}/postgres"

    def fresh_url(self) -> str:
        """The same with a schema that nobody has."""
        return f"{self.url}?schema=t{os.getpid()}_{next(_names)}"

    @property
    def is_running(self) -> bool:
        """Whether it was started, and nobody has ended it."""
        return self._process is not None

    def start_where_it_ended(self) -> None:
        """Start it again if it has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = self._started()
        import psycopg

        end = time.monotonic() + _START_S
        while True:
            try:
                psycopg.connect(self.url, connect_timeout=2).close()
            except psycopg.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
                if self._process.poll() is not None:
                    # what a killed one left behind is still ending, and holds its memory
                    self._process = self._started()
            else:
                return

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [
                self._programs / "postgres", "-D", str(self._data), "-p", str(self.port),
                "-c", f"listen_addresses={self._addresses}", "-c", "unix_socket_directories=",
                "-c", "max_connections=60", "-c", "shared_buffers=64MB",
            ],
            user=self._user,
            group=self._user,
            extra_groups=[] if self._user else None,
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def kill(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """End it without a word to anybody, as ``pg_ctl stop -m immediate`` does, and wait until it is gone."""
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait()
        self._process = None

    def stop(self) -> None:
        """Stop it for good; nobody needs what it holds."""
        if self._process is not None:
            self.kill()
        shutil.rmtree(self._folder)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._programs / program, *arguments],
            user=self._user,
            group=self._user,
            extra_groups=[] if self._user else None,
            cwd="/",
            check=True,
            capture_output=True,
        )
