"""Calls a DICOMweb server (PS3.18): search, retrieve, store, delete, on httpx.

The shapes are those of the DIMSE verbs in `scu`: queries and answers are DICOM JSON models,
received objects go to a `Sink`, and a store reports one `StoreResult` per object, whose status is
the same number that a C-STORE would have answered (PS3.18 Annex I, Failure Reason).

Bodies are streamed both ways, so the size of an object does not show in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec

from gantry.client.keys import Keys, keys_model
from gantry.client.objects import StoreResult
from gantry.client.sinks import Arriving, Reception, Sink, Verdict
from gantry.dicomweb.multipart import MultipartParser, PartBegin, PartData, PartEnd, closing, part_head
from gantry.errors import CallerError, ConnectError, NotFound, PeerError, ProtocolError, WebRequestError
from gantry.standard.query_keys import Level

STORE_BODY_BYTES = 64 << 20
"""About how much one STOW request carries: large enough to share a commit, small enough to report often."""

CHUNK_BYTES = 1 << 20

MAX_DETAIL = 300
"""Characters of a server's explanation that go into an error."""

_DETAIL_KEYS = ("error", "detail", "Details", "message", "Message")

SearchKeys = Keys

_COLLECTION = {Level.STUDY: "studies", Level.SERIES: "series", Level.IMAGE: "instances"}
_MORE_RESULTS = re.compile(r"\b299\b.*\badditional results\b", re.IGNORECASE)


class WebClient:
    """A DICOMweb origin server. `base_url` is what stands before ``/studies``.

    `transport` lets a test or a proxy stand between; `headers` go with every request.
    """

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 60.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        # Redirects are not followed: a token must not travel to another host.
        self._http = httpx.AsyncClient(
            base_url=base_url.rstrip("/") + "/",
            headers=dict(headers or {}),
            timeout=timeout_s,
            transport=transport,
            follow_redirects=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def search(
        self,
        level: Level,
        keys: SearchKeys | None = None,
        *,
        study_uid: str | None = None,
        series_uid: str | None = None,
        include: Sequence[str] = (),
        limit: int | None = None,
        offset: int = 0,
        fuzzy: bool = False,
    ) -> AsyncIterator[dict[str, Any]]:
        """QIDO-RS: the matches as JSON models, page after page while the server says there are more.

        `include` lists keywords or tags to return as well, or ``all``.
        """
        if level not in _COLLECTION:
            raise CallerError("DICOMweb searches for studies, series or instances")
        path = _path(study_uid, series_uid) + _COLLECTION[level]
        parameters = [*_query(keys or {}), *(("includefield", name) for name in include)]
        if fuzzy:
            parameters.append(("fuzzymatching", "true"))
        remaining = limit
        while True:
            page = [*parameters, ("offset", str(offset))] if offset else list(parameters)
            if remaining is not None:
                page.append(("limit", str(remaining)))
            response = await self._request(
                "GET", path, params=page, headers={"Accept": "application/dicom+json"}
            )
            models = _models(response)
            for model in models:
                yield model
            offset += len(models)
            if remaining is not None:
                remaining -= len(models)
            if not models or remaining == 0 or not _MORE_RESULTS.search(response.headers.get("warning", "")):
                return

    async def metadata(
        self, study_uid: str, series_uid: str | None = None, instance_uid: str | None = None
    ) -> list[dict[str, Any]]:
        """WADO-RS metadata: the JSON model of every instance."""
        path = _path(study_uid, series_uid, instance_uid) + "metadata"
        return _models(await self._request("GET", path, headers={"Accept": "application/dicom+json"}))

    async def retrieve(
        self,
        sink: Sink,
        study_uid: str,
        series_uid: str | None = None,
        instance_uid: str | None = None,
        *,
        transfer_syntax: str = "*",
        progress: Callable[[int], None] | None = None,
    ) -> list[Verdict]:
        """WADO-RS: every instance goes to `sink` as a Part 10 file; what became of each comes back.

        `transfer_syntax` is a UID, or ``*`` for as stored. `progress` gets the number done so far.
        """
        path = _path(study_uid, series_uid, instance_uid).rstrip("/")
        accept = f'multipart/related; type="application/dicom"; transfer-syntax={transfer_syntax}'
        verdicts: list[Verdict] = []
        async with _Receiving(sink, Arriving("", "", "", via="WADO-RS")) as receiving:
            async for event in self._parts(path, accept):
                verdict = await receiving.take(event)
                if verdict is not None:
                    verdicts.append(verdict)
                    if progress is not None:
                        progress(len(verdicts))
        return verdicts

    async def frames(
        self,
        study_uid: str,
        series_uid: str,
        instance_uid: str,
        numbers: Iterable[int],
        *,
        accept: str = 'multipart/related; type="application/octet-stream"; transfer-syntax=*',
    ) -> list[bytes]:
        """WADO-RS frames, counted from 1, in the order asked for."""
        wanted = ",".join(str(n) for n in numbers)
        path = _path(study_uid, series_uid, instance_uid) + f"frames/{wanted}"
        frames: list[bytes] = []
        frame = bytearray()
        async for event in self._parts(path, accept):
            match event:
                case PartBegin():
                    frame = bytearray()
                case PartData():
                    frame += event.data
                case PartEnd():
                    frames.append(bytes(frame))
        return frames

    async def store(
        self,
        sources: Iterable[Path | str | bytes],
        *,
        study_uid: str | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> list[StoreResult]:
        """STOW-RS of Part 10 files, several to a request; one result per object the server speaks of."""
        results: list[StoreResult] = []
        for batch in _batches(sources):
            boundary = f"gantry-{secrets.token_hex(12)}"
            response = await self._http_send(
                "POST",
                _path(study_uid).rstrip("/") if study_uid else "studies",
                content=_multipart(batch, boundary),
                headers={
                    "Accept": "application/dicom+json",
                    "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
                },
            )
            # 202 and 409 carry the per-instance story as well (PS3.18 10.5.3).
            if response.status_code not in (200, 202, 409) or not response.content:
                _raise_for(response)
            results += _store_results(_decode(response.content))
            if progress is not None:
                progress(len(results))
        return results

    async def delete(
        self, study_uid: str, series_uid: str | None = None, instance_uid: str | None = None
    ) -> None:
        """Delete a study, series or instance, where the server allows it. Raises NotFound."""
        await self._request("DELETE", _path(study_uid, series_uid, instance_uid).rstrip("/"))

    async def _parts(self, path: str, accept: str) -> AsyncIterator[PartBegin | PartData | PartEnd]:
        try:
            async with self._http.stream("GET", path, headers={"Accept": accept}) as response:
                if response.status_code != 200:
                    await response.aread()
                    _raise_for(response)
                kind, boundary = _content_type(response.headers.get("content-type", ""))
                if kind != "multipart/related":
                    yield PartBegin({"content-type": kind})
                    async for data in response.aiter_bytes(CHUNK_BYTES):
                        yield PartData(memoryview(data))
                    yield PartEnd()
                    return
                parser = MultipartParser(boundary)
                async for data in response.aiter_bytes(CHUNK_BYTES):
                    for event in parser.feed(data):
                        yield event
                parser.finish()
        except WebRequestError as error:
            # The parser is the server's; here it is a server that wrote the broken body.
            raise ProtocolError(f"the server's multipart answer is broken: {error.cause}") from error
        except httpx.HTTPError as error:
            raise ConnectError(f"{self._http.base_url}: {error or type(error).__name__}") from error

    async def _request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        response = await self._http_send(method, path, **arguments)
        if not response.is_success:
            _raise_for(response)
        return response

    async def _http_send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            return await self._http.request(method, path, **arguments)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ConnectError(f"{self._http.base_url}: {error or type(error).__name__}") from error


class _Receiving:
    """Feeds one part after the other to a sink, and drops the one that was cut."""

    def __init__(self, sink: Sink, arriving: Arriving) -> None:
        self._sink = sink
        self._arriving = arriving
        self._current: Reception | Verdict | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._current is not None and not isinstance(self._current, Verdict):
            self._current.abort()

    async def take(self, event: PartBegin | PartData | PartEnd) -> Verdict | None:
        match event:
            case PartBegin():
                self._current = self._sink.begin(self._arriving)
            case PartData() if self._current is not None and not isinstance(self._current, Verdict):
                self._current.write(event.data)
            case PartEnd():
                current, self._current = self._current, None
                if current is None or isinstance(current, Verdict):
                    return current
                return await asyncio.to_thread(current.finish)
        return None


def _path(*uids: str | None) -> str:
    """``studies/1.2/series/3.4/instances/5.6/`` of as many UIDs as are given."""
    path = ""
    for collection, uid in zip(("studies", "series", "instances"), uids, strict=False):
        if uid is None:
            break
        path += f"{collection}/{uid}/"
    return path


def _query(keys: SearchKeys) -> list[tuple[str, str]]:
    parameters: list[tuple[str, str]] = []
    for tag, attribute in keys_model(keys).items():
        values = attribute.get("Value", [])
        if values and attribute["vr"] != "SQ":
            parameters.append((tag, ",".join(_plain(v) for v in values)))
        else:
            parameters.append(("includefield", tag))
    return parameters


def _plain(value: Any) -> str:
    return str(value.get("Alphabetic", "")) if isinstance(value, Mapping) else str(value)


def _models(response: httpx.Response) -> list[dict[str, Any]]:
    if response.status_code == 204 or not response.content:
        return []
    models = _decode(response.content)
    if not isinstance(models, list) or not all(isinstance(m, dict) for m in models):
        raise ProtocolError("the server's answer is not a list of DICOM JSON models")
    return models


def _decode(content: bytes) -> Any:
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"the server's answer is not JSON: {error}") from error


def _content_type(header: str) -> tuple[str, str]:
    """Media type in lower case and the boundary parameter, empty where there is none."""
    kind = header.partition(";")[0].strip().lower()
    match = re.search(r';\s*boundary\s*=\s*(?:"([^"]*)"|([^;\s]+))', header, re.IGNORECASE)
    return kind, (match[1] or match[2] or "") if match else ""


def _batches(sources: Iterable[Path | str | bytes]) -> Iterable[list[Path | bytes]]:
    batch: list[Path | bytes] = []
    size = 0
    for source in sources:
        item = source if isinstance(source, bytes) else Path(source)
        batch.append(item)
        size += len(item) if isinstance(item, bytes) else item.stat().st_size
        if size >= STORE_BODY_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


async def _multipart(batch: list[Path | bytes], boundary: str) -> AsyncIterator[bytes]:
    for number, item in enumerate(batch):
        yield part_head(boundary, {"Content-Type": "application/dicom"}, first=number == 0)
        if isinstance(item, bytes):
            yield item
        else:
            with item.open("rb") as file:
                while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                    yield chunk
    yield closing(boundary)


def _store_results(model: Any) -> list[StoreResult]:
    """The Store Instances Response Module (PS3.18 Table I.1-1) as results."""
    if isinstance(model, list):
        model = model[0] if model else {}
    if not isinstance(model, dict):
        raise ProtocolError("the server's store answer is not a DICOM JSON model")
    stored = [_store_result(item, "00081196") for item in _items(model, "00081199")]
    # What could not be read far enough to have a UID is told of in Other Failures Sequence.
    failures = _items(model, "00081198") + _items(model, "0008119A")
    return stored + [_store_result(item, "00081197") for item in failures]


def _store_result(item: Mapping[str, Any], reason: str) -> StoreResult:
    status = _first(item, reason)
    return StoreResult(
        str(_first(item, "00081150") or ""),
        str(_first(item, "00081155") or ""),
        int(status) if status else 0,
        str(_first(item, "00000902") or ""),
    )


def _items(model: Mapping[str, Any], tag: str) -> list[Mapping[str, Any]]:
    return [item for item in model.get(tag, {}).get("Value", []) if isinstance(item, Mapping)]


def _first(item: Mapping[str, Any], tag: str) -> Any:
    values = item.get(tag, {}).get("Value") or [None]
    return values[0]


def _raise_for(response: httpx.Response) -> None:
    where = f"{response.request.method} {response.request.url.path}: HTTP {response.status_code}"
    words = f"{where} {response.reason_phrase} {_detail(response)}".rstrip()
    if response.status_code in (404, 410):
        raise NotFound(words)
    if 400 <= response.status_code < 500:
        raise CallerError(words)
    raise PeerError(words)


def _detail(response: httpx.Response) -> str:
    """What the server says of the failure, where it says it in plain words or in a field of an object."""
    kind = response.headers.get("content-type", "")
    if kind.startswith("text/plain"):
        return response.text.strip()[:MAX_DETAIL]
    if "json" in kind:
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
            told = msgspec.json.decode(response.content)
            words = [told[key] for key in _DETAIL_KEYS if key in told] if isinstance(told, dict) else []
            return str(words[0])[:MAX_DETAIL] if words else ""
    return ""
