"""Digests of the blocks of an object in a bucket, so that a part of it is held against what was put there.

The SHA-256 that each object carries says nothing of a part. So the first 16 bytes of the SHA-256 of each
block of a mebibyte are kept as well: of an object of up to eight blocks in an attribute of its own, of a
larger one in an object of the same name below ``blocks/``, which begins with the SHA-256 of the object that
it is of; what was left by another one is told apart by that.
"""

from __future__ import annotations

import errno
import hashlib
import logging
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gantry.archive.disk import Buffer

BLOCK = 1 << 20
"""What is fetched of a large object at least, and has a digest."""
ATTRIBUTE = "blocks"
FOLDER = "blocks"
MOST_IN_ATTRIBUTE = 8
"""Blocks whose digests fit into an attribute: stores take 256 characters at least."""

_SIZE = 16
_WHOLE = hashlib.sha256().digest_size
_BESIDE = "beside"
_REMEMBERED = 64
"""Objects whose digests are held in memory: 16 KB for one of a gibibyte."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Digests:
    """Of one object: the SHA-256 of all of it, and the digests of its blocks one after the other."""

    whole: bytes
    blocks: bytes

    @classmethod
    def of(cls, pieces: Iterable[Buffer]) -> Digests:
        """Those of an object that comes in blocks."""
        whole = hashlib.sha256()
        blocks = bytearray()
        for piece in pieces:
            whole.update(piece)
            blocks += _digest(piece)
        return cls(whole.digest(), bytes(blocks))

    @classmethod
    def of_bytes(cls, data: Buffer) -> Digests:
        """Those of bytes in memory."""
        view = memoryview(data)
        return cls(
            hashlib.sha256(view).digest(),
            b"".join(_digest(view[at : at + BLOCK]) for at in range(0, len(view), BLOCK)),
        )

    @classmethod
    def of_file(cls, file: Path) -> Digests:
        """Those of a file, which is read once. Raises OSError."""
        return cls.of(_blocks_of(file))

    @property
    def are_beside(self) -> bool:
        """Whether the digests of the blocks need an object of their own."""
        return len(self.blocks) > MOST_IN_ATTRIBUTE * _SIZE

    @property
    def attribute(self) -> str:
        """What the object's own attribute says of its blocks; empty for one of a single block."""
        if len(self.blocks) <= _SIZE:
            return ""
        return _BESIDE if self.are_beside else urlsafe_b64encode(self.blocks).decode()

    @property
    def beside(self) -> bytes:
        """The content of the object that holds the digests of the blocks."""
        return self.whole + self.blocks

    def agree(self, first: int, data: Buffer) -> bool:
        """Whether whole blocks, from number `first`, are those that were put."""
        view = memoryview(data)
        for number, at in enumerate(range(0, len(view), BLOCK), first):
            if _digest(view[at : at + BLOCK]) != self.blocks[number * _SIZE : (number + 1) * _SIZE]:
                return False
        return True


@dataclass(frozen=True, slots=True)
class Part:
    """Whole blocks of an object: `size` is that of the object, `whole` its SHA-256 as far as it has one, and
    `attribute` what it says of its blocks."""

    data: bytes
    size: int
    whole: str = ""
    attribute: str = ""


class Checks:
    """Holds parts of objects against their digests, which `get` fetches; for any number of threads."""

    def __init__(self, get: Callable[[str], bytes]) -> None:
        self._get = get
        self._known: OrderedDict[tuple[str, str], Digests | None] = OrderedDict()

    def is_told(self, name: str, first: int, part: Part, *, small: int) -> bool:
        """Whether a part, from block `first`, need not be compared by fetching all of the object.

        It must be where the digests of the blocks are lost, or never were of an object of at most `small`
        bytes. A larger one that was put without them cannot be told. Raises OSError with EIO for a part that
        is not what was put, and as `get` does.
        """
        if len(part.data) == part.size or not part.whole:
            return True  # compared already, or never to be
        digests = self._digests(name, part)
        if digests is None:
            return not part.attribute and part.size > small
        if not digests.agree(first, part.data):
            raise turned(name)
        return True

    def _digests(self, name: str, part: Part) -> Digests | None:
        if part.attribute != _BESIDE:
            with suppress(ValueError, NotBase64):
                return _fitting(bytes.fromhex(part.whole), urlsafe_b64decode(part.attribute), part.size)
            return None
        key = name, part.whole
        if key not in self._known:
            self._known[key] = self._beside(name, part)
            while len(self._known) > _REMEMBERED:
                with suppress(KeyError):  # another thread was faster
                    self._known.popitem(last=False)
        return self._known.get(key)

    def _beside(self, name: str, part: Part) -> Digests | None:
        try:
            content = self._get(beside(name))
        except FileNotFoundError:
            content = b""
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            content = b""
        if content[:_WHOLE].hex() != part.whole:
            _log.warning("the digests of the blocks of %s are lost; it is read whole", name)
            return None
        return _fitting(content[:_WHOLE], content[_WHOLE:], part.size)


def beside(name: str) -> str:
    """The name of the object that holds the digests of another one's blocks."""
    return f"{FOLDER}/{name}"


def turned(name: str) -> OSError:
    """What is raised of an object that is not what was put."""
    return OSError(errno.EIO, "what the object store gives is not what was put there", name)


def _fitting(whole: bytes, blocks: bytes, size: int) -> Digests | None:
    return Digests(whole, blocks) if len(blocks) == -(-size // BLOCK) * _SIZE else None


def _digest(block: Buffer) -> bytes:
    return hashlib.sha256(block).digest()[:_SIZE]


def _blocks_of(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while block := stream.read(BLOCK):
            yield block
