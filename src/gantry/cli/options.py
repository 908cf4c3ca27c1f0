"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from gantry.settings import Resolved

_F = TypeVar("_F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, one value a line.")
data_option = click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), help="Folder that holds the archive."
)
config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="TOML file with settings.",
)
aet_option = click.option("--aet", help="Our AE title.")


def _remember(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    context.meta[f"gantry.{parameter.name}"] = value


# It is settings_from that asks for their values, for all commands alike
index_option = click.option(
    "--index",
    metavar="URL",
    help="Database of the index, postgresql://USER@HOST/DATABASE. Default: a file in the folder.",
    callback=_remember,
    expose_value=False,
)
store_option = click.option(
    "--store",
    metavar="URL",
    help="Bucket of the objects, s3://BUCKET/PREFIX, gs://... or az://... Default: files in the folder.",
    callback=_remember,
    expose_value=False,
)
tier_option = click.option(
    "--tier",
    metavar="URL",
    help="Second bucket, of objects that tier_rules move out of the folder.",
    callback=_remember,
    expose_value=False,
)
peer_option = click.option(
    "-p",
    "--peer",
    metavar="AET@HOST:PORT|URL",
    help="Whom to ask: an application entity (or the AE title of one in the settings), or the root of a "
    "DICOMweb server. Default: the archive of these settings.",
)


def archive_options(command: _F) -> _F:
    """Options of a command that works on our archive."""
    return data_option(tier_option(store_option(index_option(config_option(json_option(command))))))


def network_options(command: _F) -> _F:
    """Options of a command that talks to a peer, our own server if none is named."""
    return peer_option(aet_option(archive_options(command)))


def settings_from(config_file: Path | None = None, **arguments: Any) -> Resolved:
    """Settings in force for this command; `arguments` are option values, None where not given."""
    # What works on files needs no settings, and need not wait for what reads them.
    from gantry.settings import resolve

    context = click.get_current_context(silent=True)
    if context is not None:
        for name in ("index", "store", "tier"):
            arguments.setdefault(name, context.meta.get(f"gantry.{name}"))
    return resolve(arguments, config_file=config_file)
