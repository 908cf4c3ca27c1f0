"""What a person can set, and where each value came from.

One frozen `Settings` is built at the door (`cli`) and passed down; nothing reads the environment
after that. A value is taken from the first of: the command line, an environment variable
(``GANTRY_HTTP`` for `http`), the TOML file, the default. Before a setting was added we tried to
decide: each field says why people differ.
"""

from __future__ import annotations

import ipaddress
import math
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import platformdirs

from gantry.errors import SettingsError

ENVIRONMENT_PREFIX = "GANTRY_"
CONFIG_FILE_VARIABLE = "GANTRY_CONFIG"
_SERVICE_LINK = re.compile(r"GANTRY_(SERVICE_|PORT(_|$))")
"""What Kubernetes gives to each process beside a Service of the name gantry."""


_HOMELESS = Path("/var/lib/gantry")
"""Where services keep their state (Filesystem Hierarchy Standard), for an account that has no home."""


def _data_folder() -> Path:
    try:
        return Path(platformdirs.user_data_dir("gantry", appauthor=False))
    except RuntimeError:  # no home, as services under systemd's DynamicUser have none
        return _HOMELESS


def default_config_file() -> Path | None:
    """Where the TOML file is looked for when none is named; None for an account that has no home."""
    try:
        return Path(platformdirs.user_config_dir("gantry", appauthor=False)) / "gantry.toml"
    except RuntimeError:
        return None


def _setting(default: Any, help_text: str) -> Any:
    return field(default=default, metadata={"help": help_text})


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a TCP port; port 0 lets the system choose."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``HOST:PORT``, ``[IPv6]:PORT`` or ``:PORT`` (loopback)."""
        host, colon, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
        if not colon or not port.isdecimal() or int(port) > 65535:
            raise SettingsError(f"{text!r} is not HOST:PORT with a port from 0 to 65535")
        return cls(host, int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class RemoteAe:
    """Another application entity that this one may send to."""

    aet: str
    address: Address

    @classmethod
    def parse(cls, text: str) -> RemoteAe:
        """Read ``AET@HOST:PORT``."""
        aet, at, address = text.partition("@")
        if not at:
            raise SettingsError(f"{text!r} is not AET@HOST:PORT")
        return cls(checked_aet(aet), Address.parse(address))

    def __str__(self) -> str:
        return f"{self.aet}@{self.address}"


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """Where the index is, empty for a file in the folder of the archive. As text it has no password."""

    url: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str) -> DatabaseUrl:
        """Read ``postgresql://USER@HOST/DATABASE``; what else it may hold is for libpq to read."""
        if text and not text.startswith(("postgresql://", "postgres://")):
            raise SettingsError("it is not postgresql://USER@HOST/DATABASE")
        return cls(text)

    def __str__(self) -> str:
        without = re.sub(r"(?<=[?&])(password|sslpassword)=[^&]*", r"\1=***", self.url)
        return re.sub(r"^(\w+://[^:/@]*):.*@", r"\1:***@", without)


BUCKETS = ("s3://", "gs://", "az://")
"""How URLs of buckets begin."""


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """Where objects lie: a bucket, and after ``?`` settings of its store; empty for the archive's folder."""

    url: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str) -> StoreUrl:
        """Read ``s3://BUCKET/PREFIX?endpoint=URL``, ``gs://...`` or ``az://...``."""
        if text and not text.startswith(BUCKETS):
            raise SettingsError("it is not s3://BUCKET, gs://BUCKET or az://CONTAINER")
        if re.search(r"[?&][^=]*(secret|token|password|access_key|account_key)", text, re.IGNORECASE):
            raise SettingsError("it holds a secret; those belong into the environment of the process")
        return cls(text)

    def __str__(self) -> str:
        return self.url


REJECTIONS = ("113001", "113037", "113038", "113039")
"""Codes of rejection in scheme DCM, PS3.16 CID 7011."""

_UNITS = {"k": 10**3, "M": 10**6, "G": 10**9}


@dataclass(frozen=True, slots=True)
class CompressRule:
    """Which objects are kept in which other transfer syntax, without loss; see `gantry compress`.

    `transfer_syntax` is a name or a UID as `gantry transcode --to` has them. Without `modalities` all count.
    `lets_go` says that the bytes which came are let go, once it is proven that they can be made again.
    """

    transfer_syntax: str
    modalities: tuple[str, ...] = ()
    older_than_days: float = 0.0
    larger_than_bytes: int = 0
    lets_go: bool = False

    @classmethod
    def parse(cls, text: str) -> CompressRule:
        """Read ``to=htj2k-lossless modality=CT|MR older=30d larger=100k originals=let-go``."""
        words = dict.fromkeys(("to", "modality", "older", "larger", "originals"), "")
        for word in text.split():
            name, equals, value = word.partition("=")
            if name not in words or not equals or not value or words[name]:
                raise SettingsError(
                    f"{word!r} is not one of {', '.join(f'{n}=...' for n in words)}, once each"
                )
            words[name] = value
        if not words["to"]:
            raise SettingsError(f"{text!r} does not say to=TRANSFER-SYNTAX")
        if words["originals"] not in ("", "keep", "let-go"):
            raise SettingsError(f"originals={words['originals']} is neither keep nor let-go")
        return cls(
            words["to"],
            tuple(words["modality"].upper().split("|")) if words["modality"] else (),
            _days(words["older"]),
            _bytes(words["larger"]),
            words["originals"] == "let-go",
        )

    def __str__(self) -> str:
        words = [f"to={self.transfer_syntax}"]
        if self.modalities:
            words.append(f"modality={'|'.join(self.modalities)}")
        if self.older_than_days:
            words.append(f"older={self.older_than_days:g}d")
        if self.larger_than_bytes:
            words.append(f"larger={self.larger_than_bytes}")
        return " ".join([*words, f"originals={'let-go' if self.lets_go else 'keep'}"])


@dataclass(frozen=True, slots=True)
class TierRule:
    """Which objects are moved to the bucket `tier`: those of which all that is said here is true.

    Age counts from when an object came, use from when its file was last read. See `gantry tier`.
    """

    modalities: tuple[str, ...] = ()
    older_than_days: float = 0.0
    unused_for_days: float = 0.0
    larger_than_bytes: int = 0

    @classmethod
    def parse(cls, text: str) -> TierRule:
        """Read ``older=365d unused=90d modality=CT|MR larger=1M``."""
        words = dict.fromkeys(("older", "unused", "modality", "larger"), "")
        for word in text.split():
            name, equals, value = word.partition("=")
            if name not in words or not equals or not value or words[name]:
                raise SettingsError(
                    f"{word!r} is not one of {', '.join(f'{n}=...' for n in words)}, once each"
                )
            words[name] = value
        if not any(words.values()):
            raise SettingsError("a rule without words would move everything; older=0d says so")
        return cls(
            tuple(words["modality"].upper().split("|")) if words["modality"] else (),
            _days(words["older"]),
            _days(words["unused"], "unused"),
            _bytes(words["larger"]),
        )

    def __str__(self) -> str:
        words = [f"older={self.older_than_days:g}d"]
        if self.unused_for_days:
            words.append(f"unused={self.unused_for_days:g}d")
        if self.modalities:
            words.append(f"modality={'|'.join(self.modalities)}")
        if self.larger_than_bytes:
            words.append(f"larger={self.larger_than_bytes}")
        return " ".join(words)


_AGE = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)([dy])")
_DAYS_OF = {"d": 1.0, "y": 365.25}
_MODALITIES = re.compile(r"[A-Z0-9_]{1,16}(?:\|[A-Z0-9_]{1,16})*")


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """Which studies go, or stay; see `gantry retention`.

    Without `modalities` all count; else all of a study must be among them.
    """

    text: str
    goes: bool
    older_than_days: float = 0.0
    modalities: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str) -> RetentionRule:
        """Read ``go older=10y modality=CT|MR`` or ``keep modality=MG``."""
        action, *words = text.split() or [""]
        if action not in ("go", "keep"):
            raise SettingsError(f"a rule begins with go or keep: {text!r}")
        days, modalities = 0.0, frozenset[str]()
        for word in words:
            name, _, value = word.partition("=")
            age = _AGE.fullmatch(value)
            if name == "older" and age:
                days = float(age[1]) * _DAYS_OF[age[2]]
            elif name == "modality" and _MODALITIES.fullmatch(value):
                modalities = frozenset(value.split("|"))
            else:
                raise SettingsError(f"{word!r} is not older=10y, older=90d or modality=CT|MR")
        if action == "go" and not days:
            raise SettingsError(
                f"a rule by which studies go says how old they are, as in older=10y: {text!r}"
            )
        return cls(" ".join(text.split()), action == "go", days, modalities)

    def fits(self, modalities: frozenset[str], age_days: float | None) -> bool:
        """Whether it speaks of a study of these modalities and this age; of one of unknown age, only keep
        does."""
        of_kind = not self.modalities or (bool(modalities) and modalities <= self.modalities)
        return of_kind and (not self.goes if age_days is None else age_days >= self.older_than_days)

    def __str__(self) -> str:
        return self.text


def _days(text: str, name: str = "older") -> float:
    number = text.removesuffix("d")
    if not number.replace(".", "", 1).isdecimal() and text:
        raise SettingsError(f"{name}={text} is not a number of days, like 30d")
    return float(number or 0)


def _bytes(text: str) -> int:
    number = text[:-1] if text[-1:] in _UNITS else text
    if not number.isdecimal() and text:
        raise SettingsError(f"larger={text} is not a number of bytes, like 100k or 2M")
    return int(number or 0) * _UNITS.get(text[-1:], 1)


_LEAST = {
    "workers": 1,
    "max_associations": 1,
    "max_associations_per_peer": 1,
    "async_operations": 1,
    "find_limit": 1,
    "index_connections": 1,
    "store_cache_bytes": 0,
    "max_object_bytes": 1,
    "reserve_bytes": 0,
    "scrub_bytes_per_s": 0,
}
_CHOICES = {
    "same_uid": ("newest", "first", "reject"),
    "log_level": ("debug", "info", "warning", "error"),
}


def checked_aet(text: str) -> str:
    """An AE title: 1 to 16 characters of the default repertoire, no backslash or control (PS3.5 6.2)."""
    title = text.strip(" ")
    if not 1 <= len(title) <= 16 or any(not " " <= c <= "~" or c == "\\" for c in title):
        raise SettingsError(f"{text!r} is not an AE title: 1 to 16 printable ASCII characters, no backslash")
    return title


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set; see `help_for` for the words a person reads."""

    data: Path = field(default_factory=_data_folder, metadata={"help": "Folder that holds the archive."})
    index: DatabaseUrl = _setting(
        DatabaseUrl(),
        "Database of the index, postgresql://USER@HOST/DATABASE; empty for a file in the folder.",
    )
    store: StoreUrl = _setting(
        StoreUrl(),
        "Bucket of the objects, s3://BUCKET/PREFIX, gs://... or az://...; empty for files in the folder.",
    )
    store_cache_bytes: int = _setting(10 << 30, "Bytes of the bucket's objects that are kept in the folder.")
    tier: StoreUrl = _setting(
        StoreUrl(),
        "Second bucket, as store names one, for objects that the rules of tier_rules move out of the folder.",
    )
    tier_rules: tuple[TierRule, ...] = _setting(
        (),
        "Rules of gantry tier, of which one must fit for an object to move; gantry tier --help says how they "
        "read.",
    )
    index_connections: int = _setting(8, "Connections to that database for reading, at most.")
    http: Address = _setting(Address("127.0.0.1", 8080), "HOST:PORT of the web page and DICOMweb.")
    dicom: Address = _setting(Address("127.0.0.1", 11112), "HOST:PORT of the DICOM listener.")
    workers: int = _setting(
        1, "Processes that serve, from the same two addresses; more than one need an index in a database."
    )
    aet: str = _setting("GANTRY", "Application entity title of this archive.")
    peers: tuple[RemoteAe, ...] = _setting((), "Remote AEs that C-MOVE may send to, AET@HOST:PORT each.")
    check_called_aet: bool = _setting(False, "Refuse associations that call another AE title.")
    accept_unknown_sop_classes: bool = _setting(True, "Store SOP classes that the standard does not list.")
    prefer_transfer_syntaxes: tuple[str, ...] = _setting(
        (), "Transfer syntax UIDs in the order the server prefers; empty takes the peer's order."
    )
    same_uid: str = _setting("newest", "Which version is current when a UID returns with other bytes.")
    max_associations: int = _setting(64, "DICOM associations at once, in all.")
    max_associations_per_peer: int = _setting(16, "DICOM associations at once from one address.")
    artim_timeout_s: float = _setting(10.0, "Seconds a peer has to finish its association request.")
    idle_timeout_s: float = _setting(60.0, "Seconds an association may be silent.")
    max_pdu: int = _setting(131072, "Largest PDU, in bytes, that we receive.")
    async_operations: int = _setting(32, "Outstanding operations a peer may have on one association.")
    max_object_bytes: int = _setting(8 << 30, "Largest object, in bytes, that is stored.")
    reserve_bytes: int = _setting(512 << 20, "Free disk space, in bytes, below which objects are refused.")
    retention: tuple[RetentionRule, ...] = _setting(
        (),
        "Rules of gantry retention, the first that fits a study counts; what is under one that says keep is "
        "deleted only by force.",
    )
    compress: tuple[CompressRule, ...] = _setting(
        (),
        "Rules of gantry compress, the first that fits counts; gantry compress --help says how they read.",
    )
    scrub_bytes_per_s: int = _setting(
        2_000_000, "Bytes a second that a server reads of its objects to compare digests; 0 for never."
    )
    scrub_every_s: float = _setting(
        86400.0, "Seconds between beginning to read all objects and beginning again."
    )
    heal_from: tuple[str, ...] = _setting(
        (),
        "Where whole copies of damaged objects are: folders of gantry backup, buckets, roots of DICOMweb "
        "servers, AET@HOST:PORT, or AE titles of peers, asked in this order.",
    )
    hide_rejected: tuple[str, ...] = _setting(
        ("113037", "113038", "113039"),
        "Codes of notes of rejection (IHE IOCM) that come from others and hide what they name; 113001, for "
        "quality, is left for people to see unless it is among them.",
    )
    person_header: str = _setting(
        "",
        "Field of requests in which a proxy in front names who asks, X-Remote-User; empty: all are one.",
    )
    cors_origins: tuple[str, ...] = _setting((), "Web origins that may call the DICOMweb API; * for any.")
    find_limit: int = _setting(10000, "Most results that one query answers.")
    log_level: str = _setting("info", "Least grave log lines: debug, info, warning or error.")
    log_json: bool = _setting(False, "Write each log line as a JSON object, for programs that collect logs.")
    traces: str = _setting(
        "",
        "OpenTelemetry collector that traces are sent to, http://HOST:4318 (OTLP over HTTP); empty for none.",
    )
    trace_identifiers: bool = _setting(
        False, "Name objects in traces, by UIDs and paths; without it nothing there leads to a patient."
    )
    insecure_expose: bool = _setting(
        False,
        "Listen on other than loopback addresses, and answer by any name, although no users are configured: "
        "something in front checks who calls.",
    )

    def __post_init__(self) -> None:
        checked_aet(self.aet)
        for name, words in _CHOICES.items():
            if getattr(self, name) not in words:
                choices = f"{', '.join(words[:-1])} or {words[-1]}"
                raise SettingsError(f"{name} is {getattr(self, name)!r}; it can be {choices}")
        if not 4096 <= self.max_pdu <= 1 << 20:
            raise SettingsError(f"max_pdu is {self.max_pdu}; it can be 4096 to 1048576")
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise SettingsError(f"{name} is {getattr(self, name)}; it must be at least {least}")
        for name in ("artim_timeout_s", "idle_timeout_s", "scrub_every_s"):
            if getattr(self, name) <= 0:
                raise SettingsError(f"{name} is {getattr(self, name)}; it must be more than 0")
        for copy in self.heal_from:
            known = any(peer.aet == copy for peer in self.peers)
            if not known and not copy.startswith(("http://", "https://", "/", "~", *BUCKETS)):
                _check_copy(copy)
        for code in self.hide_rejected:
            if code not in REJECTIONS:
                raise SettingsError(f"hide_rejected names {code!r}; there are {', '.join(REJECTIONS)}")
        if self.person_header and not re.fullmatch(r"[A-Za-z0-9-]{1,64}", self.person_header):
            raise SettingsError(f"person_header is {self.person_header!r}; it can be the name of a field")
        _check_collector(self.traces)
        self._check_tier()
        for name in ("http", "dicom"):
            self._refuse_open_door(name)

    def _check_tier(self) -> None:
        if self.tier.url and self.store.url:
            raise SettingsError("tier is for objects in the folder, and store says that they are in a bucket")
        if self.tier_rules and not self.tier.url:
            raise SettingsError("tier_rules say what moves, and tier, which would say where to, is not set")

    def _refuse_open_door(self, name: str) -> None:
        # Promise 6: closed unless opened. Users come with a later issue; until then only loopback
        # is safe, and whoever opens it all the same must say so in words.
        address: Address = getattr(self, name)
        if not address.is_loopback and not self.insecure_expose:
            raise SettingsError(
                f"{name} is {address}, which others can reach, and no users are configured. Listen on "
                "127.0.0.1, or set insecure_expose = true if something in front checks who calls."
            )


def _check_copy(text: str) -> None:
    try:
        RemoteAe.parse(text)
    except SettingsError as error:
        raise SettingsError(
            f"heal_from names {text!r}, which is no folder (/...), bucket, URL or AE title of a peer; "
            f"and {error}"
        ) from error


def _check_collector(url: str) -> None:
    if "@" in url:
        # A password would stand in the log, and where settings are shown
        raise SettingsError("traces names a user; OTEL_EXPORTER_OTLP_HEADERS can say who we are")
    if url and not re.fullmatch(r"https?://(\[[0-9a-fA-F:.]+\]|[^/:?#\[\]\s]+)(:\d{1,5})?(/[^?#\s]*)?", url):
        raise SettingsError(f"traces is {url!r}; it can be http://HOST:PORT or https://HOST:PORT")


@dataclass(frozen=True, slots=True)
class Resolved:
    """Settings in force, and for each name the place its value came from.

    `unheard` are variables of the environment that look like settings, and are none. A file with such a name
    is refused; an environment is not ours alone.
    """

    settings: Settings
    origin: Mapping[str, str]
    unheard: tuple[str, ...] = ()


def names() -> tuple[str, ...]:
    """All settings, in the order they are shown."""
    return tuple(f.name for f in fields(Settings))


def help_for(name: str) -> str:
    """The sentence that explains a setting."""
    return str(next(f for f in fields(Settings) if f.name == name).metadata["help"])


def resolve(
    arguments: Mapping[str, Any] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    config_file: Path | None = None,
) -> Resolved:
    """Join command line, environment, file and defaults.

    `arguments` are the command line's values, None where not given. Raises SettingsError for an
    unknown name, a value of the wrong kind, or a file that is missing although it was named.
    """
    environment = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    origin: dict[str, str] = dict.fromkeys(names(), "default")
    layers = [
        _file_layer(config_file, environment),
        _environment_layer(environment),
        {k: (v, "command line") for k, v in (arguments or {}).items() if v is not None},
    ]
    for layer in layers:
        for name, (value, place) in layer.items():
            values[name] = _coerced(name, value, place)
            origin[name] = place
    return Resolved(Settings(**values), origin, _unheard(environment))


def _unheard(environment: Mapping[str, str]) -> tuple[str, ...]:
    heard = {CONFIG_FILE_VARIABLE, *(ENVIRONMENT_PREFIX + name.upper() for name in names())}
    ours = (name for name in environment if name.startswith(ENVIRONMENT_PREFIX))
    return tuple(sorted(name for name in ours if name not in heard and not _SERVICE_LINK.match(name)))


def _file_layer(named: Path | None, environment: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    if named is None and environment.get(CONFIG_FILE_VARIABLE):
        named = Path(environment[CONFIG_FILE_VARIABLE])
    path = named or default_config_file()
    if path is None:
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if named is not None:
            raise SettingsError(f"the settings file {path} does not exist") from None
        return {}
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"the settings file {path} cannot be read: {error}") from error
    unknown = sorted(set(table) - set(names()))
    if unknown:
        raise SettingsError(f"{path} sets {', '.join(unknown)}, which is not a setting; see gantry config")
    return {name: (value, f"file {path}") for name, value in table.items()}


def _environment_layer(environment: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    layer: dict[str, tuple[Any, str]] = {}
    for name in names():
        variable = ENVIRONMENT_PREFIX + name.upper()
        if variable in environment:
            layer[name] = (environment[variable], f"environment {variable}")
    return layer


def _coerced(name: str, value: Any, place: str) -> Any:
    """`value` as the kind that the setting has; strings are read, everything else must fit."""
    default = getattr(_DEFAULTS, name)
    try:
        return _coerce_like(name, default, value)
    except (SettingsError, ValueError, TypeError, OverflowError, RuntimeError) as error:
        raise SettingsError(f"{name} from {place}: {error}") from error


def _coerce_like(name: str, default: Any, value: Any) -> Any:
    match default:
        case Path():
            return Path(value).expanduser().absolute()
        case Address():
            return value if isinstance(value, Address) else Address.parse(str(value))
        case DatabaseUrl():
            return value if isinstance(value, DatabaseUrl) else DatabaseUrl.parse(str(value))
        case StoreUrl():
            return value if isinstance(value, StoreUrl) else StoreUrl.parse(str(value))
        case bool():
            return _boolean(value)
        case int() | float():
            return _number(type(default), value)
        case tuple():
            parts = [p.strip() for p in value.split(",") if p.strip()] if isinstance(value, str) else value
            if not isinstance(parts, list | tuple):
                raise SettingsError(f"{value!r} is not a list")
            read = {"peers": _peer, "compress": _rule, "tier_rules": _tier_rule, "retention": _retention}.get(
                name, str
            )
            return tuple(read(p) for p in parts)
        case _:
            return checked_aet(str(value)) if name == "aet" else str(value)


def _number(kind: type[int] | type[float], value: Any) -> float:
    if isinstance(value, bool) or (kind is int and isinstance(value, float)):
        raise SettingsError(f"{value!r} is not {'a whole' if kind is int else 'a'} number")
    try:
        number = kind(value)
    except ValueError:
        raise SettingsError(f"{value!r} is not {'a whole' if kind is int else 'a'} number") from None
    if not math.isfinite(number):
        raise SettingsError(f"{value!r} is not a number that anything can be measured by")
    return number


def _peer(value: Any) -> RemoteAe:
    return value if isinstance(value, RemoteAe) else RemoteAe.parse(str(value))


def _rule(value: Any) -> CompressRule:
    return value if isinstance(value, CompressRule) else CompressRule.parse(str(value))


def _tier_rule(value: Any) -> TierRule:
    return value if isinstance(value, TierRule) else TierRule.parse(str(value))


def _retention(value: Any) -> RetentionRule:
    return value if isinstance(value, RetentionRule) else RetentionRule.parse(str(value))


_READ = {"peers": _peer, "compress": _rule, "tier_rules": _tier_rule, "retention": _retention}


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    yes, no = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
    words = dict.fromkeys(yes, True) | dict.fromkeys(no, False)
    if str(value).strip().lower() not in words:
        raise SettingsError(f"{value!r} is not true or false")
    return words[str(value).strip().lower()]


_DEFAULTS = Settings()
