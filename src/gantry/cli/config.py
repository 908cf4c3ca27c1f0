"""`gantry config`: the settings in force, and where each value came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gantry.cli.options import config_option, json_option, print_json, settings_from
from gantry.settings import default_config_file, help_for, names


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [str(part) for part in value]
    return value if isinstance(value, bool | int | float) else str(value)


def _toml(value: Any) -> str:
    plain = _plain(value)
    if isinstance(plain, bool):
        return "true" if plain else "false"
    if isinstance(plain, list):
        return "[" + ", ".join(f'"{part}"' for part in plain) + "]"
    return str(plain) if isinstance(plain, int | float) else '"' + plain.replace("\\", "\\\\") + '"'


@click.command("config")
@config_option
@json_option
def command(config_file: Path | None, as_json: bool) -> None:
    """Print the settings in force and where each value came from.

    The output is a TOML file that sets exactly these values. Each can also be set by an environment
    variable: GANTRY_ and its name in capitals.
    """
    resolved = settings_from(config_file)
    if as_json:
        print_json(
            {n: {"value": _plain(getattr(resolved.settings, n)), "from": resolved.origin[n]} for n in names()}
        )
        return
    click.echo(f"# settings file looked for: {config_file or default_config_file()}")
    for name in names():
        click.echo(f"\n# {help_for(name)}")
        click.echo(f"{name} = {_toml(getattr(resolved.settings, name))}  # {resolved.origin[name]}")
