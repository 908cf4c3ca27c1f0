"""Requests that HTTP and DICOMweb must refuse (B47 to B82)."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import socket

import dataset_bytes as raw
from bad_input import BODY, MB, NAME, BadInput, canary, into
from gantry_process import Gantry
from raw_peer import IMPLICIT, RawPeer
from web_serving import BOUNDARY, STORE_TYPE, read_all, related, status_of

CASES: list[BadInput] = []
case = into(CASES)


def said(server: Gantry, sent: bytes, *, half_close: bool = False) -> int:
    """The status that some bytes are answered with; 0 where the connection is closed instead."""
    with server.connect(server.http) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(sent)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        return status_of(read_all(connection))


def posted(
    server: Gantry, body: bytes, content_type: str = STORE_TYPE, path: str = "", **headers: str
) -> int:
    fields = {"content-type": content_type, **{k.replace("_", "-"): v for k, v in headers.items()}}
    with server.client() as http:
        return http.post(f"/dicom-web/studies{path}", content=body, headers=fields).status_code


def got(server: Gantry, path: str, **headers: str) -> int:
    with server.client() as http:
        return http.get(path, headers=headers).status_code


@case
def b47_what_is_no_dicom(server: Gantry) -> None:
    for data in (b"", NAME.encode(), bytes(132), b"DICM" + BODY, bytes(127) + b"DICM" + BODY):
        assert posted(server, related([data])) == 409


@case
def b49_meta_information_that_contradicts_itself(server: Gantry) -> None:
    file = canary()
    second = raw.short(0x00020010, "UI", IMPLICIT.encode() + b"\0")
    assert posted(server, related([file.replace(BODY, second + BODY)])) == 409


@case
def b53_a_gzip_bomb(server: Gantry) -> None:
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as file:
        file.write(related([canary()])[:-20])
        for _ in range(64):
            file.write(bytes(MB))
    assert posted(server, packed.getvalue(), content_encoding="gzip") == 413


@case
def b60_xml_with_entities(server: Gantry) -> None:
    for declared in ('<!ENTITY a SYSTEM "file:///etc/passwd">', '<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">'):
        xml = f'<?xml version="1.0"?><!DOCTYPE x [{declared}]><NativeDicomModel>&a;</NativeDicomModel>'
        kind = f'multipart/related; type="application/dicom+xml"; boundary={BOUNDARY}'
        assert posted(server, related([xml.encode()], "application/dicom+xml"), kind) == 400


@case
def b61_json_that_is_none(server: Gantry) -> None:
    kind = f'multipart/related; type="application/dicom+json"; boundary={BOUNDARY}'
    name = {"00100010": {"vr": "PN", "Value": [{"Alphabetic": NAME}]}}
    for text in ("[" * 100_000, '[{"00100010":NaN}]', json.dumps(name)[:-2], '{"a":1,"a":2}'):
        assert posted(server, related([text.encode()], "application/dicom+json"), kind) == 400


@case
def b63_bodies_that_fall_apart(server: Gantry) -> None:
    whole = related([canary()])
    assert posted(server, whole, 'multipart/related; type="application/dicom"') == 400
    assert posted(server, whole, f'multipart/related; type="application/dicom"; boundary={"b" * 100}') == 400
    assert posted(server, whole, f'multipart/related; type="text/plain"; boundary={BOUNDARY}') == 415
    assert posted(server, whole, "text/plain") == 415
    assert posted(server, whole[: len(whole) // 2]) == 400
    assert posted(server, b"nothing of the kind") == 400
    assert posted(server, related([b"x"] * 10_001)) in (400, 409)


@case
def b64_into_another_study(server: Gantry) -> None:
    assert posted(server, related([canary()]), path="/1.2.3.4") == 409


@case
def b65_lengths_that_lie(server: Gantry) -> None:
    head = f"POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: {STORE_TYPE}\r\n".encode()
    assert said(server, head + b"Content-Length: 4294967295\r\n\r\n0123456789", half_close=True) in (
        0,
        400,
        408,
    )
    both = b"Content-Length: 10\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert said(server, head + both, half_close=True) in (0, 400)
    assert said(
        server, head + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n", half_close=True
    ) in (0, 400)


@case
def b65_what_is_no_http(server: Gantry) -> None:
    for sent in (bytes(100), b"NONSENSE\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"):
        assert said(server, sent, half_close=True) in (0, 400)


@case
def b69_a_head_of_64_kib(server: Gantry) -> None:
    fields = b"Accept: " + b"a/b," * 16_384
    assert said(server, b"GET / HTTP/1.1\r\nHost: localhost\r\n" + fields + b"\r\n\r\n") in (0, 400)


@case
def b69_a_quality_that_is_no_number(server: Gantry) -> None:
    assert got(server, "/dicom-web/studies", accept="application/dicom+json;q=abc") in (400, 406)


@case
def b70_searches_that_cannot_be(server: Gantry) -> None:
    for query in ("limit=-1", "offset=-1", "limit=x", "NoSuchThing=1", "StudyDate=99999999", "StudyDate=-"):
        assert got(server, f"/dicom-web/studies?{query}&PatientName=CANARY") == 400
    assert got(server, f"/dicom-web/studies?{'&'.join(['includefield=PatientName'] * 1000)}") == 400


@case
def b82_another_name_and_another_origin(server: Gantry) -> None:
    assert got(server, "/dicom-web/studies", host="evil.example") == 400
    with server.client() as http:
        page = {"origin": "https://evil.example"}
        assert http.delete("/dicom-web/studies/1.2.3", headers=page).status_code == 403
    for path in (
        "/dicom-web/..;/studies",
        "/dicom-web/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "/%00",
    ):
        assert said(
            server, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        ) in (400, 404)


@case
def dicom_at_the_http_port_and_http_at_the_dicom_port(server: Gantry) -> None:
    with RawPeer(server.dicom) as peer:
        association_request = peer.request_bytes()
    assert said(server, association_request, half_close=True) in (0, 400)
    with server.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert read_all(connection)[:1] == b"\7"
