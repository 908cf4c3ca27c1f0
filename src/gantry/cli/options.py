"""Options that several commands share: the archive's settings, and machine-readable output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from gantry.settings import Resolved, resolve

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


def settings_from(config_file: Path | None = None, **arguments: Any) -> Resolved:
    """Settings in force for this command; `arguments` are option values, None where not given."""
    return resolve(arguments, config_file=config_file)


def print_json(value: Any) -> None:
    """One JSON value on one line of standard output."""
    click.echo(json.dumps(value, ensure_ascii=False, default=str))
