"""The HTTP application put together: every route, with the words that document it.

`build_app` is given an archive, a policy and what makes pictures, and answers an ASGI callable. The table of
routes below is the one place that says what there is; OpenAPI, the WADL of the capabilities transaction
and the router all come from it.
"""

from __future__ import annotations

import asyncio
from functools import partial

from gantry.archive.archive import Archive
from gantry.dicomweb import accept
from gantry.dicomweb.capabilities import WADL
from gantry.dicomweb.rendering import MP4, PICTURE_TYPES
from gantry.server.answers import Answers
from gantry.server.asgi import BASE_HEADERS, INERT_POLICY, SAME_ORIGIN_ONLY, App
from gantry.server.backup_api import JSON_LINES, BackupDoor
from gantry.server.bulk import BulkRetrievals, BulkValues
from gantry.server.bulk_parts import BulkParts
from gantry.server.bulk_pixels import ReadPicture
from gantry.server.capabilities import Capabilities
from gantry.server.changes import EVENT_STREAM, Feed
from gantry.server.conflicts import Conflicts
from gantry.server.conversion import Conversion, TranscodeFrame
from gantry.server.delete import Deletions
from gantry.server.dictionary_api import dictionary
from gantry.server.drafts_api import DraftDoor
from gantry.server.edits_api import EditDoor
from gantry.server.frames import FrameRetrievals
from gantry.server.generation import Generation
from gantry.server.health import DicomDoor, Health, ScrubReport
from gantry.server.holdings import Holdings
from gantry.server.http import Handler
from gantry.server.metadata import Metadata
from gantry.server.metrics import Metrics, MetricsDoor
from gantry.server.openapi import ApiDocument
from gantry.server.pages import Pages
from gantry.server.plans import Plans
from gantry.server.policy import HttpPolicy
from gantry.server.qido import Searches
from gantry.server.rendered import RenderedRetrievals
from gantry.server.renderer import Renderer
from gantry.server.reports_api import ReportDoor
from gantry.server.retention_api import RetentionDoor
from gantry.server.routes import Parameter, Route, RouteTable
from gantry.server.stow import Admission, StoreDoor
from gantry.server.studies_api import StudyList
from gantry.server.study_pages import StudyPages
from gantry.server.traces import Traces
from gantry.server.uploads import Uploads
from gantry.server.videos import VideoRetrievals
from gantry.server.wado import Retrievals
from gantry.server.wado_uri import UriService
from gantry.server.worker_counts import Colleagues

WEB = "/dicom-web"
STUDY = f"{WEB}/studies/{{study}}"
SERIES = f"{STUDY}/series/{{series}}"
INSTANCE = f"{SERIES}/instances/{{instance}}"

_DICOM_PARTS = ('multipart/related; type="application/dicom"',)
_ONE_DICOM = (accept.DICOM, *_DICOM_PARTS)
_MODEL = (accept.DICOM_JSON, 'multipart/related; type="application/dicom+xml"')
_VIDEO = ("video/mp2t", "video/mpeg")
_PICTURE_PARTS = 'multipart/related; type="image/jpeg"'
_PARTS = ('multipart/related; type="application/octet-stream"',)
_FRAME = (accept.OCTET_STREAM, *_PARTS)
_STORED = (
    'multipart/related; type="application/dicom"',
    accept.DICOM,
    'multipart/related; type="application/dicom+json"',
    'multipart/related; type="application/dicom+xml"',
)

_SEARCH_PARAMETERS = (
    Parameter("includefield", "Attributes to answer besides the usual: tags, keywords, paths, or all."),
    Parameter("limit", "Most results to answer.", "integer"),
    Parameter("offset", "Results to skip.", "integer"),
    Parameter("fuzzymatching", "Also match names that sound alike.", "boolean"),
    Parameter("emptyvaluematching", "Let an empty value match empty values only.", "boolean"),
    Parameter("multiplevaluematching", "Match any of several values, backslash between.", "boolean"),
    Parameter("PatientName", "As any attribute: by keyword, tag, or path, with the wild cards * and ?."),
)
_VERSION = (Parameter("version", "Number of the version to answer; the current one if absent.", "integer"),)
_ACCEPT = Parameter("accept", "Media types that are accepted, before those of the Accept field.")
THUMBNAIL_PARAMETERS = (
    _ACCEPT,
    Parameter("viewport", "VW,VH: the size to fit the whole image into, in pixels; 128,128 if absent."),
)
RENDERING_PARAMETERS = (
    _ACCEPT,
    Parameter("annotation", "patient, technique, or both: words to burn into the picture."),
    Parameter("charset", "Character sets for text; pictures have none."),
    Parameter(
        "iccprofile",
        "no, yes, srgb, adobergb, rommrgb or displayp3: the colour space, and whether it is said.",
    ),
    Parameter("quality", "1 to 100, the best; 90 if absent.", "integer"),
    Parameter(
        "viewport",
        "VW,VH,SX,SY,SW,SH: the size to fit the picture into, and the region of the image that is shown, "
        "both in pixels; what is left out of the last four is the image's edge. A negative SW or SH flips.",
    ),
    Parameter("window", "CENTER,WIDTH,FUNCTION; the function is linear, linear-exact or sigmoid."),
    Parameter(
        "voi",
        "Instead of window: name, or number from 1, of a window or VOI LUT of the image (an extension).",
    ),
)

URI_PARAMETERS = (
    Parameter("requestType", "WADO", required=True),
    Parameter("studyUID", "UID of the study", required=True),
    Parameter("seriesUID", "UID of the series", required=True),
    Parameter("objectUID", "UID of the object", required=True),
    Parameter("contentType", "Media types that are accepted."),
    Parameter("charset", "Character sets for text; pictures have none."),
    Parameter("transferSyntax", "For application/dicom: the transfer syntax to send it in."),
    Parameter("anonymize", "yes; refused, since nothing is de-identified here."),
    Parameter("frameNumber", "Frame, from 1.", "integer"),
    Parameter("rows", "Most rows of the picture.", "integer"),
    Parameter("columns", "Most columns of the picture.", "integer"),
    Parameter("region", "LEFT,TOP,RIGHT,BOTTOM in parts of the image, 0.0 to 1.0."),
    Parameter("windowCenter", "Centre of the window, with windowWidth.", "number"),
    Parameter("windowWidth", "Width of the window.", "number"),
    Parameter("imageQuality", "1 to 100, the best; 90 if absent.", "integer"),
    Parameter("annotation", "patient, technique, or both: words to burn into the picture."),
    Parameter("presentationSeriesUID", "Series of the presentation state to apply."),
    Parameter("presentationUID", "The presentation state to apply."),
)


def build_app(
    archive: Archive,
    policy: HttpPolicy | None = None,
    *,
    renderer: Renderer | None = None,
    transcode: TranscodeFrame | None = None,
    read_picture: ReadPicture | None = None,
    pages: Pages | None = None,
    dicom: DicomDoor | None = None,
    scrub: ScrubReport | None = None,
    metrics: Metrics | None = None,
    traces: Traces | None = None,
    colleagues: Colleagues | None = None,
) -> App:
    """The ASGI application over an archive.

    `renderer` makes pictures and decompresses frames (without it, rendered resources are answered 406),
    `transcode` makes other frames of them (without, compressed objects are had as stored), `read_picture`
    reads PNG and GIF that are stored, `pages` is the viewer, `dicom` says where objects are sent to, `scrub`
    how far it is, `metrics` are the counts that both doors add to, `traces` are where spans begin, and
    `colleagues` the other workers of this node.
    """
    metrics = metrics or Metrics()
    policy = policy or HttpPolicy()
    pages = pages or Pages()
    generation = Generation(archive)
    holdings = Holdings(archive)
    metadata = Metadata(archive, holdings)
    plans = Plans(archive, generation, policy, [*BASE_HEADERS, INERT_POLICY, SAME_ORIGIN_ONLY])
    followed = "Answers that left the short way, without route.", lambda: float(plans.followed)
    metrics.counters["gantry_http_direct"] = followed
    conversion = Conversion(archive, transcode)
    whole = Retrievals(holdings, conversion, plans)
    videos = VideoRetrievals(holdings)
    decode = renderer.decode if renderer is not None else None
    frames = FrameRetrievals(holdings, decode, conversion, plans, videos)
    values = BulkValues(holdings)
    rendered = RenderedRetrievals(holdings, renderer, videos)
    admission = Admission(policy.max_uploads)
    feed = Feed(archive)
    drafts = DraftDoor(archive, policy)
    document, capabilities = ApiDocument(), Capabilities()
    routes = [
        *_searches(Searches(archive, policy, Answers(generation))),
        *_retrievals(whole, metadata),
        *_pieces(frames, BulkRetrievals(holdings, values, frames), BulkParts(holdings, values, frames)),
        *_pictures(rendered),
        *_stores(StoreDoor(archive, policy, admission, read_picture), Uploads(archive, policy, admission)),
        *_deletions(Deletions(archive, policy)),
        *_edits(EditDoor(archive, policy), RetentionDoor(archive, policy)),
        *_archive_api(archive, feed, Health(archive, dicom, scrub)),
        *_watching(Health(archive), MetricsDoor(archive, metrics, colleagues)),
        *_measurements(drafts, ReportDoor(archive, policy, drafts)),
        *_wado_uri(UriService(holdings, whole, rendered, videos)),
        *_capabilities(capabilities),
        *document.routes(),
        *_page(pages, StudyPages(pages, archive, WEB)),
    ]
    document.describe(routes)
    capabilities.describe(routes, WEB)
    return App(
        RouteTable(routes),
        policy,
        direct=plans.direct,
        background=metadata.prepare,
        settle=partial(_settle, archive),
        metrics=metrics,
        traces=traces,
        closers=(feed.close, plans.close, generation.close),
    )


async def _settle(archive: Archive) -> None:
    """Have what was acknowledged in files and rows before anything is asked, and not on the event loop."""
    if archive.is_behind or archive.is_shared:
        await asyncio.to_thread(archive.settle)


def _get(
    template: str,
    handler: Handler,
    summary: str,
    tag: str,
    produces: tuple[str, ...],
    parameters: tuple[Parameter, ...] = (),
    statuses: tuple[int, ...] = (200, 304, 404, 406),
) -> Route:
    return Route("GET", template, handler, summary, tag, produces, (), parameters, statuses)


def _searches(search: Searches) -> list[Route]:
    return [
        _get(template, handler, summary, "Search (QIDO-RS)", _MODEL, _SEARCH_PARAMETERS, (200, 400, 406))
        for template, handler, summary in (
            (f"{WEB}/studies", search.studies, "Search for studies"),
            (f"{WEB}/series", search.series, "Search for series of all studies"),
            (f"{WEB}/instances", search.instances, "Search for instances of all studies"),
            (f"{STUDY}/series", search.series_of_study, "Search for series of a study"),
            (f"{STUDY}/instances", search.instances_of_study, "Search for instances of a study"),
            (f"{SERIES}/instances", search.instances_of_series, "Search for instances of a series"),
        )
    ]


def _retrievals(whole: Retrievals, metadata: Metadata) -> list[Route]:
    tag = "Retrieve (WADO-RS)"
    return [
        _get(STUDY, whole.study, "All objects of a study", tag, _DICOM_PARTS, _VERSION),
        _get(SERIES, whole.series, "All objects of a series", tag, _DICOM_PARTS, _VERSION),
        _get(
            INSTANCE, whole.instance, "One object", tag, _ONE_DICOM, _VERSION, (200, 206, 304, 404, 406, 416)
        ),
        _get(f"{STUDY}/metadata", metadata.of_study, "Metadata of a study", tag, _MODEL, _VERSION),
        _get(f"{SERIES}/metadata", metadata.of_series, "Metadata of a series", tag, _MODEL, _VERSION),
        _get(f"{INSTANCE}/metadata", metadata.of_instance, "Metadata of an object", tag, _MODEL, _VERSION),
    ]


def _pieces(frames: FrameRetrievals, bulk: BulkRetrievals, parts: BulkParts) -> list[Route]:
    tag = "Retrieve (WADO-RS)"
    statuses = (200, 206, 304, 400, 404, 406, 416)
    value = "One value of an object, by tag or by a path of tags and Item numbers"
    return [
        _get(
            f"{INSTANCE}/frames/{{frames}}",
            frames.frames,
            "Frames by number, from 1, commas between",
            tag,
            _FRAME,
            _VERSION,
            statuses,
        ),
        Route(
            "GET",
            f"{INSTANCE}/bulkdata/{{path}}",
            bulk.value,
            value,
            tag,
            _FRAME,
            (),
            _VERSION,
            statuses,
            tail=True,
        ),
        *(
            _get(
                f"{template}/{name}",
                handler,
                f"All {words} of {what}",
                tag,
                _PARTS,
                _VERSION,
                (200, 206, 304, 404, 406, 413),
            )
            for template, what in ((STUDY, "a study"), (SERIES, "a series"), (INSTANCE, "an object"))
            for name, handler, words in (
                ("bulkdata", parts.bulk_data, "bulk data"),
                ("pixeldata", parts.pixel_data, "frames"),
            )
        ),
    ]


def _pictures(rendered: RenderedRetrievals) -> list[Route]:
    tag = "Pictures (WADO-RS rendered)"
    made: list[Route] = []
    for template, handler, thumbnail, what in (
        (STUDY, rendered.study, rendered.study_thumbnail, "a study"),
        (SERIES, rendered.series, rendered.series_thumbnail, "a series"),
        (INSTANCE, rendered.instance, rendered.instance_thumbnail, "an object"),
        (f"{INSTANCE}/frames/{{frames}}", rendered.frames, rendered.frame_thumbnail, "frames"),
    ):
        for name, answer in (("rendered", handler), ("thumbnail", thumbnail)):
            summary = f"{name.capitalize()} picture of {what}"
            is_thumbnail = name == "thumbnail"
            parameters = THUMBNAIL_PARAMETERS if is_thumbnail else RENDERING_PARAMETERS
            produces = (
                (*PICTURE_TYPES, _PICTURE_PARTS)
                if is_thumbnail or template == STUDY
                else (*PICTURE_TYPES, _PICTURE_PARTS, MP4, *(_VIDEO if template == INSTANCE else ()))
            )
            statuses = (200, 206, 304, 400, 404, 406, 409, 413, 416, 422)
            made.append(_get(f"{template}/{name}", answer, summary, tag, produces, parameters, statuses))
    return made


def _stores(store: StoreDoor, uploads: Uploads) -> list[Route]:
    tag = "Store (STOW-RS)"
    produces = (accept.DICOM_JSON, accept.DICOM_XML)
    statuses = (200, 202, 400, 409, 413, 415, 503, 507)
    files = (accept.DICOM, "application/zip", "multipart/form-data")
    return [
        Route("POST", f"{WEB}/studies", store.store, "Store objects", tag, produces, _STORED, (), statuses),
        Route("POST", STUDY, store.store, "Store objects of one study", tag, produces, _STORED, (), statuses),
        Route(
            "POST",
            "/api/upload",
            uploads.upload,
            "Store files: bare, as a form, or zipped",
            tag,
            (accept.JSON,),
            files,
            (Parameter("name", "The file's name, for people."),),
            statuses,
        ),
    ]


def _deletions(acts: Deletions) -> list[Route]:
    tag = "Delete and restore"
    what = ((STUDY, "a study"), (SERIES, "a series"), (INSTANCE, "an object"))
    words = (
        Parameter("why", "The reason, which the history keeps."),
        Parameter("who", "Who does it, for the history."),
    )
    force = Parameter("force", "true: also what was committed, or what a rule of retention keeps.", "boolean")
    deletes = [
        Route(
            "DELETE", template, acts.delete, f"Hide {name}; reversible", tag, (), (), (*words, force),
            (204, 400, 404, 409, 503),
        )
        for template, name in what
    ]  # fmt: skip
    version = (Parameter("version", "For an object: the version to make current.", "integer"),)
    restores = [
        Route(
            "POST",
            template.replace(WEB, "/api/restore"),
            acts.restore,
            f"Bring {name} back",
            tag,
            (accept.JSON,),
            (),
            (*version, *words) if template == INSTANCE else words,
            (200, 404, 409, 503),
        )
        for template, name in what
    ]
    versions = _get(
        INSTANCE.replace(WEB, "/api/versions"),
        acts.versions,
        "All versions of an object",
        tag,
        (accept.JSON,),
        (),
        (200, 404),
    )
    return [*deletes, *restores, versions]


def _edits(edits: EditDoor, retention: RetentionDoor) -> list[Route]:
    tag, json = "Edit, with a history", (accept.JSON,)
    dry = Parameter("dry_run", "true: only say which objects and attributes would change.", "boolean")
    force = Parameter("force", "true: go back also over what came later.", "boolean")
    listed = (
        Parameter("patient", "Patient ID."),
        Parameter("issuer", "Issuer of the Patient ID; of any if absent."),
        Parameter("study", "Study Instance UID."),
        Parameter("series", "Series Instance UID; needs study."),
        Parameter("instance", "SOP Instance UID; needs series."),
        Parameter("before", "Number before which to go on.", "integer"),
        Parameter("limit", "Most entries to answer.", "integer"),
    )
    refused = (400, 404, 409, 413, 415, 503, 507)
    return [
        Route(
            "POST", "/api/edits", edits.edit, "Modify, merge, move, split, reject, delete: all or none", tag,
            json, json, (dry,), (200, 201, *refused),
        ),
        _get("/api/edits", edits.list, "The history, newest first", tag, json, listed, (200, 400)),
        _get("/api/edits/{edit}", edits.one, "One edit, with what changed", tag, json, (), (200, 400, 404)),
        Route(
            "POST", "/api/edits/{edit}/revert", edits.revert, "Undo an edit, by another one", tag, json, json,
            (dry, force), (200, 201, *refused),
        ),
        Route(
            "POST", "/api/retention", retention.expire, "Reject studies past their time, by rules", tag, json,
            json, (dry,), (200, 400, 413, 415, 503),
        ),
    ]  # fmt: skip


def _archive_api(archive: Archive, feed: Feed, health: Health) -> list[Route]:
    tag, json = "The archive", (accept.JSON,)
    page = (
        Parameter("after", "Number after which to go on.", "integer"),
        Parameter("limit", "Most entries to answer.", "integer"),
    )
    wait = (*page, Parameter("wait", "Seconds to wait for a change if there is none yet.", "integer"))
    listed = (
        Parameter("q", "Words: beginnings of names, identifiers, descriptions."),
        Parameter("modality", "Codes, commas between."),
        Parameter("from", "First study date, YYYY-MM-DD."),
        Parameter("to", "Last study date, YYYY-MM-DD."),
        Parameter("limit", "Most rows.", "integer"),
        Parameter("offset", "Rows to skip.", "integer"),
    )
    ok, found = (200,), (200, 400)
    events = (accept.JSON, EVENT_STREAM)
    studies, conflicts = StudyList(archive), Conflicts(archive)
    return [
        _get("/api/studies", studies.list, "Studies as a person types", tag, json, listed, found),
        _get("/api/changes", feed.changes, "The change feed, at once or as events", tag, events, wait, found),
        _get("/api/conflicts", conflicts.list, "Objects in contradiction", tag, json, page, found),
        _get("/api/health", health.health, "Whether the archive works", tag, json, (), (200, 503)),
        _get("/api/damaged", health.damaged, "Objects that rot has damaged", tag, json, (), ok),
        _get("/api/stats", health.stats, "Counts", tag, json, (), ok),
        _get(
            "/api/backup-list",
            BackupDoor(archive).list,
            "All versions there are and the files that hold them, for gantry backup",
            tag,
            (JSON_LINES,),
            (),
            (200, 500),
        ),
        _get(
            "/api/dictionary",
            dictionary,
            "VR, keyword and name of every attribute",
            tag,
            json,
            (),
            (200, 304),
        ),
    ]


def _measurements(drafts: DraftDoor, reports: ReportDoor) -> list[Route]:
    tag, json, draft = "Measurements", (accept.JSON,), "/api/studies/{study}/draft"
    saved = (200, 400, 404, 412, 413, 415, 428, 503, 507)
    return [
        _get(draft, drafts.current, "The draft of measurements", tag, json, (), (200, 204, 304)),
        Route("PUT", draft, drafts.save, "Save the draft, a new version", tag, json, json, (), saved),
        Route(
            "DELETE", draft, drafts.empty, "Empty the draft, a new version", tag, json, (), (),
            (200, 400, 404, 412, 503, 507),
        ),
        _get(f"{draft}/versions", drafts.versions, "Versions of the draft", tag, json, (), (200,)),
        _get(f"{draft}/versions/{{number}}", drafts.version, "A version", tag, json, (), (200, 400, 404)),
        Route(
            "POST", f"{draft}/report", reports.make, "Make a TID 1500 report of the draft, and empty it", tag,
            json, json, (), (200, 201, 400, 404, 409, 412, 413, 415, 503, 507),
        ),
        _get(
            "/api/studies/{study}/measurements", reports.of_study, "Measurements of all reports (TID 1500)",
            tag, json, (), (200, 400, 404),
        ),
    ]  # fmt: skip


def _wado_uri(uri: UriService) -> list[Route]:
    produces, statuses = (
        (*PICTURE_TYPES, MP4, *_VIDEO, accept.DICOM),
        (200, 206, 304, 400, 404, 406, 409, 413, 416, 422),
    )
    summary, tag = "One object or picture (WADO-URI)", "Retrieve (WADO-URI)"
    return [_get("/wado", uri.retrieve, summary, tag, produces, URI_PARAMETERS, statuses)]


def _watching(health: Health, metrics: MetricsDoor) -> list[Route]:
    tag, text = "For who watches over it", ("text/plain",)
    return [
        _get("/healthz", health.lives, "Whether the process answers", tag, text, (), (200,)),
        _get("/readyz", health.is_ready, "Whether objects are kept and found", tag, text, (), (200, 503)),
        _get("/metrics", metrics.text, "Counts, for Prometheus", tag, text, (), (200,)),
    ]


def _capabilities(capabilities: Capabilities) -> list[Route]:
    summary, tag = "What this service can do", "Capabilities"
    return [
        Route(method, template, capabilities.retrieve, summary, tag, (WADL, accept.JSON))
        for template in (f"{WEB}/", WEB)
        for method in ("GET", "OPTIONS")
    ]


def _page(pages: Pages, studies: StudyPages) -> list[Route]:
    tag, html = "The page", ("text/html",)
    routes = [
        _get("/", pages.index, "The viewer", tag, html, (), (200, 304)),
        Route("GET", "/studies/{path}", studies.open, "The viewer, at a study", tag, html, tail=True),
        Route(
            "GET", "/view/{path}", studies.open, "The viewer, at an image of a study", tag, html, tail=True
        ),
        Route("GET", "/local", pages.index, "The viewer, at files read on the device itself", tag, html),
        Route(
            "GET", "/local/{path}", pages.index, "The viewer, at a study of such files", tag, html, tail=True
        ),
    ]
    files = [name for name in pages.names if name != "index.html"]
    return routes + [_get(f"/{name}", pages.file, name, tag, ("*/*",), (), (200, 304)) for name in files]
