"""The object store that other tests stand on does what they rely on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import swift

obstore = pytest.importorskip("obstore")

from obstore.store import S3Store  # noqa: E402

pytestmark = pytest.mark.peer

PART = 5 * 1024 * 1024


def store_in(server: swift.SwiftServer, bucket: str) -> S3Store:
    return S3Store(
        bucket,
        endpoint=server.endpoint,
        access_key_id=server.access_key,
        secret_access_key=server.secret_key,
        region=server.region,
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )


@pytest.fixture
def store(object_store_server: swift.SwiftServer) -> S3Store:
    return store_in(object_store_server, object_store_server.new_bucket())


def test_an_object_comes_back_as_it_went(store: S3Store) -> None:
    obstore.put(store, "a/one", b"octets", attributes={"sha256": "abc"})
    answer = obstore.get(store, "a/one")
    assert bytes(answer.bytes()) == b"octets"
    assert answer.attributes["sha256"] == "abc"
    assert bytes(obstore.get_range(store, "a/one", start=1, end=4)) == b"cte"
    assert [found["path"] for page in obstore.list(store) for found in page] == ["a/one"]


def test_an_object_comes_back_that_went_in_parts(store: S3Store) -> None:
    sent = bytes(range(256)) * (2 * PART // 256) + b"end"
    obstore.put(store, "many", sent, use_multipart=True, chunk_size=PART)
    assert bytes(obstore.get(store, "many").bytes()) == sent


def test_an_object_that_is_there_is_not_made_again(store: S3Store) -> None:
    obstore.put(store, "once", b"first", mode="create")
    with pytest.raises(obstore.exceptions.AlreadyExistsError):
        obstore.put(store, "once", b"second", mode="create")
    assert bytes(obstore.get(store, "once").bytes()) == b"first"


@pytest.fixture
def own_server() -> Iterator[swift.SwiftServer]:
    with swift.running() as server:
        yield server


def test_what_was_acknowledged_is_there_after_a_kill(own_server: swift.SwiftServer) -> None:
    store = store_in(own_server, own_server.new_bucket())
    obstore.put(store, "kept", b"octets")
    own_server.kill()
    own_server.start()
    assert bytes(obstore.get(store, "kept").bytes()) == b"octets"
    own_server.stop()
    own_server.start()
    assert bytes(obstore.get(store, "kept").bytes()) == b"octets"
