"""`gantry config`: the settings in force, and where each value came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gantry.cli.options import archive_options, settings_from
from gantry.cli.output import json_text, print_json, result
from gantry.settings import default_config_file, help_for, names


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [str(part) for part in value]
    return value if isinstance(value, bool | int | float) else str(value)


@click.command("config")
@archive_options
def command(data: Path | None, config_file: Path | None, as_json: bool) -> None:
    """Print the settings in force and where each value came from.

    The output is a TOML file that sets exactly these values. Each can also be set by an environment
    variable: GANTRY_ and its name in capitals. The nearest wins: command line, environment, file, default.
    """
    resolved = settings_from(config_file, data=data)
    values = {name: _plain(getattr(resolved.settings, name)) for name in names()}
    if as_json:
        print_json({name: {"value": value, "from": resolved.origin[name]} for name, value in values.items()})
        return
    looked_for = config_file or default_config_file() or "none, this account has no home"
    result(f"# settings file looked for: {looked_for}")
    for name in resolved.unheard:
        result(f"# {name} is in the environment, and is not a setting")
    for name, value in values.items():
        result("")
        result(f"# {help_for(name)}")
        # Booleans, numbers, strings and lists of strings are written alike in JSON and TOML.
        result(f"{name} = {json_text(value)}  # {resolved.origin[name]}")
