"""Whom a command talks to: an application entity, a DICOMweb server, or by default our own archive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gantry.cli.local import running_server
from gantry.errors import SettingsError
from gantry.settings import Address, Settings, checked_aet

if TYPE_CHECKING:
    from gantry.client.connection import Peer

ANY_AET = "ANY-SCP"
"""What a peer is called whose AE title nobody gave; most take any."""


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
    if at or ":" in text:
        return _peer(checked_aet(aet) if aet else ANY_AET, Address.parse(address))
    for remote in settings.peers:
        if remote.aet == text:
            return _peer(remote.aet, remote.address)
    raise SettingsError(f"{text!r} is neither AET@HOST:PORT, nor a URL, nor a peer of the settings")


def _own(settings: Settings) -> Peer:
    running = running_server(settings)
    if running is None:
        return _peer(settings.aet, settings.dicom)
    return _peer(running.aet, running.dicom)


def _peer(aet: str, address: Address) -> Peer:
    # Loads the upper layer, which commands that talk HTTP do without.
    from gantry.client.connection import Peer

    return Peer(address.host, address.port, aet)
