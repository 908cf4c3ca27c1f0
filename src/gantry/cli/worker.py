"""`gantry worker`: one of the processes of `gantry serve --workers`, which starts it; not for people."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import sys
import threading

import click

from gantry.cli.logs import log_to_stderr
from gantry.cli.serve import run_loop
from gantry.settings import Settings


@click.command("worker", hidden=True)
@click.argument("name")
@click.argument("http", type=int)
@click.argument("dicom", type=int)
@click.argument("counts", type=int)
def command(name: str, http: int, dicom: int, counts: int) -> None:
    """Serve from two sockets that are open already, with settings that come on standard input."""
    from gantry.server.run import Serving, Worker, serve
    from gantry.server.workers import READY

    size = int.from_bytes(sys.stdin.buffer.read(8), "big")
    settings: Settings = pickle.loads(sys.stdin.buffer.read(size))
    log_to_stderr(settings.log_level, as_json=settings.log_json, worker=name)

    def ready(_: Serving) -> None:
        os.write(sys.stdout.fileno(), READY)
        threading.Thread(target=_end_with_parent, name="gantry-parent", daemon=True).start()

    worker = Worker(name, *(socket.socket(fileno=fd) for fd in (http, dicom, counts)))
    run_loop(serve(settings, ready, worker))


def _end_with_parent() -> None:
    # Not by the stream, whose lock a thread that waits for ever would hold at the end of the process
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
