"""A bucket of an object store (S3, GCS, Azure), as few calls as an archive needs, with errors like a disk's.

A put is durable and whole when it is answered, so there is nothing to be synced. Each object carries the
SHA-256 of its bytes as an attribute, put there by who wrote it; whoever reads the whole object compares
them, so that bytes that turned on the way or in the store are never taken for what was acknowledged. On the
way in the signed request holds the same digest, and the store refuses what does not agree with it. What is
read of a part is held against the digests of its blocks (`block_digests`).
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from gantry.archive.blobs.block_digests import (
    ATTRIBUTE,
    BLOCK,
    MOST_IN_ATTRIBUTE,
    Digests,
    Part,
    beside,
    turned,
)
from gantry.archive.blobs.files import AWAY
from gantry.archive.disk import Buffer, FileStat
from gantry.errors import SettingsError

if TYPE_CHECKING:
    from obstore import WritableFile
    from obstore.store import ObjectStore

MULTIPART_BYTES = MOST_IN_ATTRIBUTE * BLOCK
"""From here on an object goes up in pieces of this size, several at once; smaller ones in one request."""
_PIECES_AT_ONCE = 4
_MOST_PIECES = 9_999
"""Before the last one: stores take 10,000."""
_RETRY = {"max_retries": 4, "retry_timeout": timedelta(seconds=20)}
"""Who sends an object waits no longer than senders do; then it is refused and may be sent again."""
_CLIENT = {"connect_timeout": timedelta(seconds=5), "timeout": timedelta(seconds=60)}
_DIGEST = "sha256"
_ENDPOINT = re.compile(r"https?://(\[[0-9a-fA-F:.]+\]|[\w.-]+)(:\d{1,5})?(/[\w.~/-]*)?", re.ASCII)
_GIVE_CREDENTIALS = ("//169.254.169.254/", "//169.254.170.2/", "//metadata.google.internal/", "//metadata/")
"""Whom the library asks where no credentials are given: what clouds run beside their own machines."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Listed:
    """What lies under a prefix: names of objects, and of what else begins there, up to the next ``/``."""

    objects: tuple[str, ...]
    folders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bucket:
    """A place in an object store. All methods raise OSError as a disk would: with `AWAY` where the store does
    not answer, or does not let us, FileNotFoundError, FileExistsError; for any number of threads."""

    url: str
    store: ObjectStore = field(repr=False)

    @classmethod
    def open(cls, url: str) -> Bucket:
        """The bucket at ``s3://BUCKET/PREFIX``, ``gs://`` or ``az://``; what stands behind ``?`` are
        settings of the store, like ``endpoint=`` and ``region=``. Credentials come from the environment, as
        for the tools of each store.

        Raises SettingsError for a URL that cannot be read, or a library that is missing.
        """
        try:
            from obstore.exceptions import BaseError
            from obstore.store import from_url
        except ImportError as error:
            raise SettingsError(
                f"an object store needs obstore: pip install 'gantry[s3]' ({error})"
            ) from error
        parts = urlsplit(url)
        config: dict[str, Any] = dict(parse_qsl(parts.query))
        if parts.scheme == "s3":
            config.setdefault("checksum_algorithm", "SHA256")
        # An address without TLS is an explicit choice, made by writing it down
        plain = _endpoint(config).startswith("http://")
        try:
            # Which settings there are depends on the store, which says of any other that it has none
            settings: dict[str, Any] = {"config": config, "retry_config": _RETRY}
            settings["client_options"] = {**_CLIENT, "allow_http": plain}
            store = from_url(urlunsplit(parts._replace(query="")), **settings)
        except (BaseError, ValueError, TypeError) as error:
            raise SettingsError(f"the object store {url} cannot be used: {_first_line(error)}") from error
        return cls(url, store)

    def put(self, name: str, data: Buffer, *, replacing: bool = False) -> None:
        """Keep bytes under a name; FileExistsError, and nothing done, if it is taken, unless `replacing`."""
        import obstore

        try:
            with _as_os_errors(name):
                obstore.put(
                    self.store,
                    name,
                    bytes(data),
                    attributes=_attributes(Digests.of_bytes(data)),
                    mode="overwrite" if replacing else "create",
                    use_multipart=False,
                )
        except FileNotFoundError as error:
            place = self.url.partition("?")[0]
            raise OSError(AWAY, f"there is no bucket for {place}", name) from error

    def put_file(self, name: str, file: Path, *, replacing: bool = False) -> None:
        """Keep a file of any size under a name, whole or not at all; see `put`.

        A large one goes up in pieces, for which stores have no way to ask for a free name: it is looked for
        before, and who calls sees that nobody else takes it meanwhile.
        """
        import obstore

        if file.stat().st_size <= MULTIPART_BYTES:
            self.put(name, file.read_bytes(), replacing=replacing)
            return
        if not replacing and self.exists(name):
            raise FileExistsError(errno.EEXIST, "an object has this name already", name)
        digests = Digests.of_file(file)
        self.put(beside(name), digests.beside, replacing=True)
        with _as_os_errors(name):
            obstore.put(
                self.store,
                name,
                file,
                attributes=_attributes(digests),
                use_multipart=True,
                chunk_size=MULTIPART_BYTES,
                max_concurrency=_PIECES_AT_ONCE,
            )

    def send_ahead(self, name: str, file: Path) -> Upload:
        """Send a file that goes up in pieces, so that little is left to be done when it is to have its name.

        Nobody sees anything of it until then.
        """
        return Upload(self, name, file)

    def get(self, name: str) -> bytes:
        """All bytes of an object, which are those that were put. Raises OSError with EIO where they are
        not.
        """
        return b"".join(bytes(piece) for piece in self.pieces(name))

    def pieces(self, name: str, *, check: bool = True) -> Iterator[memoryview]:
        """All bytes of an object, about a megabyte at a time.

        With `check` the last comes only if all are those that were put. Raises OSError with EIO where they
        are not.
        """
        import obstore

        with _as_os_errors(name):
            answer = obstore.get(self.store, name)
            expected = str(answer.attributes.get(_DIGEST, ""))
            stream = iter(answer.stream(min_chunk_size=BLOCK))
        digest, held = hashlib.sha256(), memoryview(b"")
        while True:
            with _as_os_errors(name):
                piece = next(stream, None)
            if piece is None:
                break
            if held:
                yield held
            held = memoryview(piece)
            digest.update(held)
        if check and expected and digest.hexdigest() != expected:
            raise turned(name)
        if held:
            yield held

    def get_range(self, name: str, start: int, end: int) -> Part:
        """Bytes from `start` up to `end`, fewer where the object ends; of a `start` behind that, none.

        Where that is all of it, it is what was put. Raises OSError with EIO where it is not.
        """
        import obstore

        try:
            with _as_os_errors(name):
                answer = obstore.get(self.store, name, options={"range": (start, end)})
                data, size = bytes(answer.bytes()), int(answer.meta["size"])
        except OSError as error:
            if error.errno != AWAY or start < (size := self.stat(name).size):
                raise
            return Part(b"", size)  # stores refuse a range that begins behind the end
        expected = str(answer.attributes.get(_DIGEST, ""))
        if len(data) == size and expected and hashlib.sha256(data).hexdigest() != expected:
            raise turned(name)
        return Part(data, size, expected, str(answer.attributes.get(ATTRIBUTE, "")))

    def stat(self, name: str) -> FileStat:
        """Size of an object, and when it was put."""
        import obstore

        with _as_os_errors(name):
            found = obstore.head(self.store, name)
        return FileStat(found["size"], round(found["last_modified"].timestamp() * 1e9))

    def exists(self, name: str) -> bool:
        """Whether there is an object of this name."""
        try:
            self.stat(name)
        except FileNotFoundError:
            return False
        return True

    def copy(self, old: str, new: str) -> None:
        """Give the store a second object of the same bytes, in place of one that has the new name."""
        import obstore

        with _as_os_errors(old):
            obstore.copy(self.store, old, new)

    def delete(self, name: str) -> None:
        """Remove an object; one that is not there is no error to any store."""
        import obstore

        with suppress(FileNotFoundError), _as_os_errors(name):
            obstore.delete(self.store, name)

    def delete_with_digests(self, name: str) -> None:
        """Remove an object, and what holds the digests of its blocks."""
        self.delete(name)
        self.delete(beside(name))

    def list_folder(self, prefix: str) -> Listed:
        """What lies directly under a prefix, without its ``/``."""
        import obstore

        with _as_os_errors(prefix):
            found = obstore.list_with_delimiter(self.store, prefix or None)
        objects = tuple(str(one["path"]) for one in found["objects"])
        return Listed(objects, tuple(str(path) for path in found["common_prefixes"]))

    def walk(self, prefix: str) -> Iterator[str]:
        """The names of all objects under a prefix, as the store lists them: in the order of their bytes."""
        import obstore

        with _as_os_errors(prefix):
            pages = iter(obstore.list(self.store, prefix or None))
        while True:
            with _as_os_errors(prefix):
                page = next(pages, None)
            if page is None:
                return
            yield from (str(one["path"]) for one in page)


class Upload:
    """An object on its way into the bucket, nearly all of which is there; seen by nobody until `complete`.

    Of an upload that is broken off the store keeps pieces, which no listing shows. Raises OSError.
    """

    def __init__(self, bucket: Bucket, name: str, file: Path) -> None:
        import obstore

        self.name = name
        self._bucket = bucket
        self._digests = Digests.of_file(file)
        size = file.stat().st_size
        # All pieces but the last are of one size, and the last has a byte for each of the others at most:
        # it is what is sent when the upload is completed
        pieces = min(size // MULTIPART_BYTES, _MOST_PIECES)
        piece_bytes = (size - 1) // pieces
        with _as_written(name):
            self._writer: WritableFile = obstore.open_writer(
                bucket.store,
                name,
                attributes=_attributes(self._digests),
                buffer_size=piece_bytes,
                # One after the other: so each write tells that the piece before is there
                max_concurrency=1,
            )
        try:
            with file.open("rb", buffering=0) as stream, _as_written(name):
                for end in (pieces * piece_bytes, size):
                    while block := stream.read(min(BLOCK, end - stream.tell())):
                        self._writer.write(block)
        except BaseException:
            self.abort()
            raise

    def complete(self, *, replacing: bool = False) -> None:
        """Give the object its name, unless that is taken: FileExistsError then, and it may be tried again.

        With `replacing` it takes the place of what has the name.
        """
        if not replacing and self._bucket.exists(self.name):
            raise FileExistsError(errno.EEXIST, "an object has this name already", self.name)
        self._bucket.put(beside(self.name), self._digests.beside, replacing=True)
        with _as_written(self.name):
            self._writer.close()

    def abort(self) -> None:
        """Let go of what was sent."""
        broken = OSError(errno.ECANCELED, "not wanted any more")
        try:
            with _as_written(self.name):
                self._writer.__exit__(OSError, broken, None)
        except OSError as error:
            _log.warning("pieces of %s stay in the object store: %s", self.name, error.strerror)


def _endpoint(config: Mapping[str, str]) -> str:
    """The address of the store, empty where it is the usual one. Raises SettingsError for what is no URL,
    which the library would not survive."""
    named = (value for name, value in config.items() if name.lower().endswith(("endpoint", "endpoint_url")))
    endpoint = next(named, os.environ.get("AWS_ENDPOINT_URL", ""))
    if endpoint and not _ENDPOINT.fullmatch(endpoint):
        raise SettingsError(
            f"the endpoint of the object store is {endpoint!r}; it can be http://HOST:PORT or https://HOST"
        )
    return endpoint


def _attributes(digests: Digests) -> dict[str, str]:
    found = {_DIGEST: digests.whole.hex()}
    if digests.attribute:
        found[ATTRIBUTE] = digests.attribute
    return found


@contextmanager
def _as_written(name: str) -> Iterator[None]:
    """Errors of a file that is written to the store, which tells of them as a file does."""
    try:
        with _as_os_errors(name):
            yield
    except OSError as error:
        if error.errno is not None:
            raise
        _log.debug("the object store failed: %s", error)
        raise OSError(AWAY, _said(error), name) from error


@contextmanager
def _as_os_errors(name: str) -> Iterator[None]:
    from obstore import exceptions

    try:
        yield
    except (exceptions.NotFoundError, FileNotFoundError) as error:
        raise FileNotFoundError(errno.ENOENT, "there is no such object", name) from error
    except (exceptions.AlreadyExistsError, exceptions.PreconditionError) as error:
        raise FileExistsError(errno.EEXIST, "an object has this name already", name) from error
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
        # Nor does that say anything of the object: credentials expire
        raise OSError(AWAY, "the object store does not let us", name) from error
    except exceptions.BaseError as error:
        _log.debug("the object store failed: %s", error)
        raise OSError(AWAY, _said(error), name) from error


def _said(error: Exception) -> str:
    first = _first_line(error)
    if any(place in first for place in _GIVE_CREDENTIALS):
        return "the object store fails (no credentials were given, and this machine gives none)"
    return f"the object store fails ({first[:200]})"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
