"""`gantry config`: what is in force, as a settings file that sets just that."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli.conftest import Gantry
from gantry.cli.exits import Exit
from gantry.settings import names, resolve


def test_the_output_is_a_settings_file_with_these_values(gantry: Gantry, tmp_path: Path) -> None:
    given = tmp_path / "given.toml"
    given.write_text(
        'aet = "HERE"\npeers = ["WEST@10.0.0.1:104"]\nmax_pdu = 65536\ncheck_called_aet = true\n'
        'data = "/a \\\\ \\"path\\" Ä"\n'
    )
    printed = gantry("config", "--config", given)
    assert printed.code == 0
    again = tmp_path / "again.toml"
    again.write_text(printed.out)
    assert (
        resolve(environment={}, config_file=again).settings
        == resolve(environment={}, config_file=given).settings
    )


def test_a_variable_that_is_no_setting_is_told(gantry: Gantry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANTRY_HTPP", "127.0.0.1:1")
    assert "# GANTRY_HTPP is in the environment, and is not a setting" in gantry("config").lines


@pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare is not on this machine")
def test_an_account_without_a_home_has_its_archive_where_services_have_it() -> None:
    """As systemd's DynamicUser makes one: no HOME, and a number that no list of accounts knows."""
    homeless = ["unshare", "--user", "--map-user=54321", "env", "-i"]
    if subprocess.run([*homeless, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine makes no user namespaces")
    done = subprocess.run(
        [*homeless, sys.executable, "-m", "gantry", "config"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "# settings file looked for: none, this account has no home" in done.stdout
    assert 'data = "/var/lib/gantry"  # default' in done.stdout


def test_each_value_comes_with_its_place(gantry: Gantry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANTRY_AET", "ENVIRONMENT")
    [shown] = gantry("config", "--json", "--data", "here").json
    assert list(shown) == list(names())
    assert shown["aet"] == {"value": "ENVIRONMENT", "from": "environment GANTRY_AET"}
    assert shown["data"] == {"value": str(Path("here").absolute()), "from": "command line"}
    assert shown["http"] == {"value": "127.0.0.1:8080", "from": "default"}
    assert 'aet = "ENVIRONMENT"  # environment GANTRY_AET' in gantry("config").lines


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GANTRY_AET", "much too long for a title"),
        ("GANTRY_LOG_LEVEL", "loud"),
        ("GANTRY_HTTP", "0.0.0.0:80"),
    ],
)
def test_a_wrong_value_names_its_setting(
    name: str, value: str, gantry: Gantry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    ended = gantry("config")
    assert ended.code == Exit.USAGE
    assert name.removeprefix("GANTRY_").lower() in ended.err
