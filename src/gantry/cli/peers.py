"""Whom a command talks to: an application entity, a DICOMweb server, or by default our own archive."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import click

from gantry.client.connection import Peer
from gantry.errors import SettingsError
from gantry.settings import Address, Settings

peer_option = click.option(
    "-p",
    "--peer",
    metavar="AET@HOST:PORT|URL",
    help="Whom to ask: an application entity or the root of a DICOMweb server. Default: the archive of "
    "these settings.",
)


@dataclass(frozen=True, slots=True)
class WebPeer:
    """The root of a DICOMweb server, what stands before /studies."""

    url: str

    def __str__(self) -> str:
        return self.url


def peer_from(text: str | None, settings: Settings) -> Peer | WebPeer:
    """The peer that `text` names. Raises SettingsError."""
    if text is None:
        return _own(settings)
    if text.startswith(("http://", "https://")):
        return WebPeer(text)
    aet, at, address = text.rpartition("@")
    if not at:
        known = {remote.aet: remote.address for remote in settings.peers}
        if text in known:
            return Peer(known[text].host, known[text].port, text)
        raise SettingsError(f"{text!r} is neither AET@HOST:PORT, nor a URL, nor a peer of the settings")
    where = Address.parse(address)
    return Peer(where.host, where.port, aet or "ANY-SCP")


def _own(settings: Settings) -> Peer:
    running = running_server(settings.data)
    if running is None:
        return Peer(settings.dicom.host, settings.dicom.port, settings.aet)
    address = Address.parse(running["dicom"])
    return Peer(address.host, address.port, running["aet"])


def running_server(data: Path) -> dict[str, str] | None:
    """What the server that has the archive in `data` left word of; None where none runs."""
    try:
        word = json.loads((data / "serving.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return {str(key): str(value) for key, value in word.items()}


def own_web(settings: Settings) -> WebPeer:
    """The DICOMweb of the server that has our archive open."""
    running = running_server(settings.data)
    address = running["http"] if running else str(settings.http)
    return WebPeer(f"http://{address}/dicom-web")
