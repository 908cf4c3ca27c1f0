"""HTTP measurements: latencies over one kept connection, rates with wrk, STOW-RS by hand."""

from __future__ import annotations

import http.client
import json
import re
import socket
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence

from benchmarks.corpus import Slice
from benchmarks.peers import Peer

JSON = {"Accept": "application/dicom+json"}
# Gantry answers a single part where it is asked for; Orthanc only knows multipart for frames.
OCTETS = {"Accept": 'multipart/related; type="application/octet-stream"'}


def latency_ms(peer: Peer, path: str, headers: Mapping[str, str], repeat: int) -> tuple[float, int]:
    """Median milliseconds of a GET over one connection, and the bytes of its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", peer.http)
    times, size = [], 0
    for n in range(repeat + 1):
        started = time.perf_counter()
        connection.request("GET", peer.web + path, headers=dict(headers))
        answer = connection.getresponse()
        body = answer.read()
        if answer.status not in (200, 206):
            raise RuntimeError(f"{peer.name} answered {answer.status} to GET {path}: {body[:200]!r}")
        if n:  # the first one warms
            times.append((time.perf_counter() - started) * 1000)
        size = len(body)
    connection.close()
    return statistics.median(times), size


def first_latency_ms(peer: Peer, paths: Sequence[str], headers: Mapping[str, str]) -> float:
    """Median milliseconds of one GET of each path, so that nothing answers from what it made before."""
    connection = http.client.HTTPConnection("127.0.0.1", peer.http)
    times = []
    for path in paths:
        started = time.perf_counter()
        connection.request("GET", path, headers=dict(headers))
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{peer.name} answered {answer.status} to GET {path}: {body[:200]!r}")
        times.append((time.perf_counter() - started) * 1000)
    connection.close()
    return statistics.median(times[1:])  # the first one warms


def orthanc_instance(peer: Peer, sop_uid: str) -> str:
    """What Orthanc's own API calls an instance."""
    connection = http.client.HTTPConnection("127.0.0.1", peer.http)
    connection.request("POST", "/tools/lookup", body=sop_uid)
    found = json.loads(connection.getresponse().read())
    connection.close()
    return str(next(one["ID"] for one in found if one["Type"] == "Instance"))


def results(peer: Peer, path: str) -> list[object]:
    """The JSON answer of a GET, to check that both peers do the same work."""
    connection = http.client.HTTPConnection("127.0.0.1", peer.http)
    connection.request("GET", peer.web + path, headers=JSON)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return list(json.loads(body)) if body else []


def wrk(peer: Peer, path: str, headers: Mapping[str, str], connections: int = 4, seconds: int = 5) -> float:
    """Requests a second of a GET, as wrk counts them; errors are an error."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s"]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    said = subprocess.run(
        [*command, f"http://127.0.0.1:{peer.http}{path}"], capture_output=True, text=True, check=True
    ).stdout
    if "Non-2xx" in said:
        raise RuntimeError(f"{peer.name} answered errors to {path}:\n{said}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", said)
    assert found is not None, said
    return float(found.group(1))


def stow(peer: Peer, items: Sequence[Slice], per_request: int = 10) -> float:
    """Objects a second over one connection, `per_request` in each STOW-RS request."""
    boundary = b"boundary42"
    bodies = []
    for start in range(0, len(items), per_request):
        parts = b"".join(
            b"--" + boundary + b"\r\nContent-Type: application/dicom\r\n\r\n" + item.part10 + b"\r\n"
            for item in items[start : start + per_request]
        )
        bodies.append(parts + b"--" + boundary + b"--\r\n")
    headers = {
        "Content-Type": 'multipart/related; type="application/dicom"; boundary=boundary42',
        "Accept": "application/dicom+json",
    }
    connection = http.client.HTTPConnection("127.0.0.1", peer.http)
    started = time.perf_counter()
    for body in bodies:
        connection.request("POST", peer.web + "/studies", body=body, headers=headers)
        answer = connection.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{peer.name} answered {answer.status} to STOW-RS: {said[:200]!r}")
    elapsed = time.perf_counter() - started
    connection.close()
    return len(items) / elapsed


def download_mb_s(peer: Peer, path: str, headers: Mapping[str, str], repeat: int = 3) -> float:
    """Megabytes a second of a large GET, the best of `repeat`; what comes after the head is thrown away.

    The kernel drops it without copying it (MSG_TRUNC), as if the client were another machine: reading costs
    this one as much as Gantry's whole work, on the cores that the servers run on.
    """
    fields = {"Host": f"127.0.0.1:{peer.http}", "Connection": "close", **headers}
    request = f"GET {peer.web}{path} HTTP/1.1\r\n"
    request += "".join(f"{name}: {value}\r\n" for name, value in fields.items()) + "\r\n"
    buffer, best = memoryview(bytearray(1 << 20)), 0.0
    for _ in range(repeat):
        started = time.perf_counter()
        with socket.create_connection(("127.0.0.1", peer.http)) as connection:
            connection.sendall(request.encode())
            size = connection.recv_into(buffer)
            if not bytes(buffer[:12]).endswith(b" 200"):
                raise RuntimeError(f"{peer.name} answered {bytes(buffer[:200])!r} to GET {path}")
            while got := connection.recv_into(buffer, 0, socket.MSG_TRUNC):
                size += got
        best = max(best, size / 1e6 / (time.perf_counter() - started))
    return best
