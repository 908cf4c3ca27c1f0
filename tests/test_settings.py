"""Settings: every layer can set every field, the nearest layer wins, and nonsense is refused in words."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.errors import SettingsError
from gantry.settings import Address, RemoteAe, Settings, names, resolve


def test_defaults_are_what_the_readme_says(tmp_path: Path) -> None:
    resolved = resolve(environment={"XDG_CONFIG_HOME": str(tmp_path)})
    settings = resolved.settings
    assert (str(settings.http), str(settings.dicom), settings.aet) == (
        "127.0.0.1:8080",
        "127.0.0.1:11112",
        "GANTRY",
    )


def test_nearest_layer_wins_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "gantry.toml"
    file.write_text('aet = "FILE"\nhttp = "127.0.0.1:1"\ndicom = "127.0.0.1:2"\nmax_pdu = 65536\n')
    resolved = resolve(
        {"aet": "COMMAND", "http": None},
        environment={"GANTRY_AET": "ENV", "GANTRY_HTTP": "127.0.0.1:3"},
        config_file=file,
    )
    assert resolved.settings.aet == "COMMAND"
    assert resolved.settings.http == Address("127.0.0.1", 3)
    assert resolved.settings.dicom == Address("127.0.0.1", 2)
    assert resolved.settings.max_pdu == 65536
    assert resolved.origin["aet"] == "command line"
    assert resolved.origin["http"] == "environment GANTRY_HTTP"
    assert resolved.origin["dicom"] == f"file {file}"
    assert resolved.origin["idle_timeout_s"] == "default"


def test_peers_from_file_and_environment(tmp_path: Path) -> None:
    file = tmp_path / "gantry.toml"
    file.write_text('peers = ["WEST@10.0.0.1:104", "EAST@pacs.example:11112"]\n')
    assert resolve(environment={}, config_file=file).settings.peers == (
        RemoteAe("WEST", Address("10.0.0.1", 104)),
        RemoteAe("EAST", Address("pacs.example", 11112)),
    )
    assert resolve(environment={"GANTRY_PEERS": "A@[::1]:5, B@:6"}).settings.peers == (
        RemoteAe("A", Address("::1", 5)),
        RemoteAe("B", Address("127.0.0.1", 6)),
    )


def test_places_of_copies_are_read_in_their_order(tmp_path: Path) -> None:
    places = ("/mnt/backup", "https://pacs.example/dicom-web", "WEST@10.0.0.1:104", "EAST")
    file = tmp_path / "gantry.toml"
    file.write_text(f'peers = ["EAST@pacs.example:11112"]\nheal_from = {list(places)!r}\n')
    assert resolve(environment={}, config_file=file).settings.heal_from == places
    peers = {"GANTRY_PEERS": "EAST@:6", "GANTRY_HEAL_FROM": ", ".join(places)}
    assert resolve(environment=peers).settings.heal_from == places
    with pytest.raises(SettingsError, match="NOBODY"):
        resolve(environment={"GANTRY_HEAL_FROM": "NOBODY"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("aet", ""), ("aet", "A" * 17), ("aet", "A\\B"), ("aet", "Ä"), ("http", "8080"),
        ("http", "host:99999"),
        ("max_pdu", "12"), ("max_associations", "0"), ("same_uid", "oldest"), ("check_called_aet", "perhaps"),
        ("artim_timeout_s", "-1"), ("peers", "NOADDRESS"), ("idle_timeout_s", "nan"), ("reserve_bytes", "-1"),
        ("max_object_bytes", "0"), ("log_level", "loud"),
    ],
)  # fmt: skip
def test_nonsense_is_refused_with_the_name_of_the_setting(name: str, value: str) -> None:
    with pytest.raises(SettingsError):
        resolve(environment={f"GANTRY_{name.upper()}": value})


@pytest.mark.parametrize(
    "line",
    ["http = 8080", "peers = [5]", "peers = 5", "aet = 12345678901234567", "max_pdu = 65536.5", "max_pdu = true",
     "idle_timeout_s = inf", "check_called_aet = 7", "data = 5", "data = '~nobody-here/x'", "idle_timeout_s = 1" + 400 * "0", "cors_origins = {a = 1}"],
)  # fmt: skip
def test_values_of_the_wrong_kind_are_refused_with_name_and_place(line: str, tmp_path: Path) -> None:
    file = tmp_path / "gantry.toml"
    file.write_text(line + "\n")
    with pytest.raises(SettingsError) as refused:
        resolve(environment={}, config_file=file)
    assert line.split()[0] in str(refused.value)
    assert str(file) in str(refused.value)


VALUES = st.recursive(
    st.text() | st.integers() | st.floats() | st.booleans(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.sampled_from(names()), VALUES)
def test_any_value_is_a_setting_or_refused_in_words(name: str, value: object) -> None:
    with contextlib.suppress(SettingsError):
        assert isinstance(resolve({name: value}, environment={}).settings, Settings)


def test_unknown_name_and_missing_file_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "gantry.toml"
    file.write_text("aett = 'X'\n")
    with pytest.raises(SettingsError, match="aett"):
        resolve(environment={}, config_file=file)
    with pytest.raises(SettingsError, match="does not exist"):
        resolve(environment={}, config_file=tmp_path / "none.toml")


def test_a_variable_that_is_no_setting_is_told() -> None:
    environment = dict.fromkeys(("GANTRY_RETENSION", "GANTRY_HTTP_PORT", "GANTRY_PORT_8080_TCP", "HOME"), "x")
    given = resolve(environment=environment | {"GANTRY_CONFIG": "", "GANTRY_AET": "US"})
    assert given.unheard == ("GANTRY_HTTP_PORT", "GANTRY_RETENSION")


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [("max_pdu", "x", "'x' is not a whole number"), ("heal_from", "ftp://x", "heal_from names 'ftp://x'")],
)
def test_a_wrong_value_is_told_with_its_setting(name: str, value: str, word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        resolve({name: value}, environment={})


def test_a_door_to_the_outside_is_refused_until_somebody_says_so() -> None:
    with pytest.raises(SettingsError, match="insecure_expose"):
        resolve({"http": "0.0.0.0:8080"}, environment={})
    opened = resolve({"http": "0.0.0.0:8080", "insecure_expose": True}, environment={})
    assert opened.settings.http.host == "0.0.0.0"


def test_every_setting_can_be_written_as_text_and_read_back() -> None:
    settings = replace(
        Settings(), peers=(RemoteAe("A", Address("h", 1)),), cors_origins=("https://a.example",)
    )
    for name in names():
        value = getattr(settings, name)
        text = ",".join(str(part) for part in value) if isinstance(value, tuple) else str(value)
        assert getattr(resolve({name: text}, environment={}).settings, name) == value


@pytest.mark.parametrize("url", ["", "http://collector:4318", "https://[::1]:4318/otlp", "http://10.0.0.1"])
def test_a_collector_is_named_by_a_url(url: str) -> None:
    assert resolve(environment={"GANTRY_TRACES": url}).settings.traces == url


@pytest.mark.parametrize(
    "url",
    [
        "collector:4318",
        "grpc://collector:4317",
        "http://",
        "http://a b",
        "http://[::1",
        "http://h:port",
        "http://h?q",
    ],
)
def test_other_names_of_a_collector_are_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="http://HOST:PORT"):
        resolve(environment={"GANTRY_TRACES": url})


def test_the_password_of_a_collector_is_in_no_message() -> None:
    with pytest.raises(SettingsError, match="OTEL_EXPORTER_OTLP_HEADERS") as refused:
        resolve(environment={"GANTRY_TRACES": "http://me:hunter2@collector:4318"})
    assert "hunter2" not in str(refused.value)
