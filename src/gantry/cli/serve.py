"""`gantry serve`: open the archive and answer everybody until told to stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gantry.cli.local import running_server
from gantry.cli.logs import log_to_stderr
from gantry.cli.options import aet_option, archive_options, settings_from
from gantry.cli.output import print_json, result
from gantry.errors import StorageError
from gantry.settings import Settings

if TYPE_CHECKING:
    from gantry.server.run import Serving


log = logging.getLogger("gantry.settings")


@click.command("serve")
@click.option("--http", metavar="HOST:PORT", help="Address of the web page and DICOMweb.")
@click.option("--dicom", metavar="HOST:PORT", help="Address of the DICOM listener.")
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="Least grave log lines."
)
@click.option("--workers", type=int, help="Processes that serve; more than one need --index.")
@aet_option
@archive_options
def command(
    http: str | None,
    dicom: str | None,
    log_level: str | None,
    workers: int | None,
    aet: str | None,
    data: Path | None,
    config_file: Path | None,
    as_json: bool,
) -> None:
    """Run the archive: DICOM listener, DICOMweb and the web page.

    Prints one line when ready; the log goes to standard error. SIGTERM or Ctrl-C stops it: what was
    acknowledged is kept, messages in flight end, the rest is aborted.
    """
    resolved = settings_from(
        config_file, data=data, http=http, dicom=dicom, aet=aet, log_level=log_level, workers=workers
    )
    settings = resolved.settings
    running = running_server(settings)
    if running is not None:
        raise StorageError(
            f"the archive in {settings.data} is served already, by process {running.pid} at {running.page}"
        )
    log_to_stderr(settings.log_level, as_json=settings.log_json)
    for name in resolved.unheard:
        log.warning("%s is in the environment, and is not a setting; see gantry config", name)
    run(settings, as_json)


def run(settings: Settings, as_json: bool) -> None:
    """Serve with these settings."""
    from gantry.server.run import serve
    from gantry.server.workers import serve_with_workers

    def ready(running: Serving) -> None:
        if as_json:
            addresses = {"http": str(running.http), "dicom": str(running.dicom), "aet": running.aet}
            print_json({"ready": True, **addresses, "data": str(running.data)})
        else:
            result(
                f"Gantry is ready: open {running.page} , DICOM {running.aet}@{running.dicom} , "
                f"data in {running.data}"
            )

    run_loop(serve_with_workers(settings, ready) if settings.workers > 1 else serve(settings, ready))


def run_loop(work: Coroutine[Any, Any, None]) -> None:
    """Run a server to its end, on the fastest event loop there is."""
    from gantry.server.allocator import keep_buffers
    from gantry.server.open_files import allow_open_files

    keep_buffers()
    allow_open_files()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(work)


def _loop_factory() -> type[asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:  # not made for every platform
        return asyncio.SelectorEventLoop
    return uvloop.Loop
