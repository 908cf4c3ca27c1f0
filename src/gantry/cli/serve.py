"""`gantry serve`: open the archive and answer everybody until told to stop."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import click

from gantry.cli.options import aet_option, config_option, data_option, json_option, print_json, settings_from
from gantry.settings import Settings


@click.command("serve")
@data_option
@click.option("--http", metavar="HOST:PORT", help="Address of the web page and DICOMweb.")
@click.option("--dicom", metavar="HOST:PORT", help="Address of the DICOM listener.")
@aet_option
@config_option
@json_option
def command(
    data: Path | None,
    http: str | None,
    dicom: str | None,
    aet: str | None,
    config_file: Path | None,
    as_json: bool,
) -> None:
    """Run the archive: DICOM listener, DICOMweb and the web page.

    Prints one line when ready. SIGTERM or Ctrl-C stops it: what was acknowledged is kept, messages in
    flight end, the rest is aborted.
    """
    settings = settings_from(config_file, data=data, http=http, dicom=dicom, aet=aet).settings
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    run(settings, as_json)


def run(settings: Settings, as_json: bool) -> None:
    """Serve with these settings on the fastest event loop there is."""
    from gantry.server.run import Serving, serve

    def ready(running: Serving) -> None:
        if as_json:
            addresses = {"http": str(running.http), "dicom": str(running.dicom), "aet": running.aet}
            print_json({"ready": True, **addresses, "data": str(running.data)})
        else:
            click.echo(
                f"Gantry is ready: open {running.page} , DICOM {running.aet}@{running.dicom} , "
                f"data in {running.data}"
            )

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve(settings, ready))


def _loop_factory() -> type[asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:  # not made for every platform
        return asyncio.SelectorEventLoop
    return uvloop.Loop
