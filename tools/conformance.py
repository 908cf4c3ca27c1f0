"""Write docs/conformance.md: the DICOM Conformance Statement in the form of PS3.2.

Its tables come from the code's own tables, so that the statement cannot say what the program does not do.
`python tools/conformance.py` writes the page; a test holds the page against this program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from gantry.archive.archive import Archive
from gantry.archive.commitment.requests import MAX_OPEN, MAX_OPEN_PER_AE, MAX_REFERENCES
from gantry.dicomweb.rendering import PICTURE_TYPES, moving_offers
from gantry.dicomweb.wado import media_types_of
from gantry.dimse import limits, negotiation
from gantry.dimse.extended import QueryOptions
from gantry.pixels.codecs.registry import can_decode, can_encode
from gantry.server.app import RENDERING_PARAMETERS, THUMBNAIL_PARAMETERS, URI_PARAMETERS, WEB, build_app
from gantry.settings import Settings, help_for, names
from gantry.standard import status
from gantry.standard.dictionary import keyword_of
from gantry.standard.query_keys import DEFAULT_ANSWERS, MODEL_LEVELS, QUERY_KEYS
from gantry.standard.sop_classes import NON_PATIENT_STORAGE, SOP_CLASSES, STORAGE_SOP_CLASSES, name_of
from gantry.standard.status import Service, statuses
from gantry.standard.transfer_syntaxes import TRANSFER_SYNTAXES, is_video

PAGE = Path(__file__).resolve().parents[1] / "docs" / "conformance.md"
TEMPLATE = Path(__file__).with_name("conformance.template.md")


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _tag(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def storage_classes() -> str:
    """Every storage SOP class by name; those whose objects belong to no study are sent, not accepted."""
    known = sorted((SOP_CLASSES[uid].retired, name_of(uid), uid) for uid in STORAGE_SOP_CLASSES)
    rows = [
        (name + (" (retired)" if retired else ""), uid, "no" if uid in NON_PATIENT_STORAGE else "yes", "yes")
        for retired, name, uid in known
    ]
    return _table(["SOP class", "UID", "SCP", "SCU"], rows)


def service_classes() -> str:
    """Verification, query/retrieve and storage commitment."""
    as_user = negotiation.QUERY_RETRIEVE_SERVICES
    rows = [(name_of(uid), uid, "yes", _yes(uid in as_user)) for uid in sorted(negotiation.SERVICES)]
    return _table(["SOP class", "UID", "SCP", "SCU"], rows)


def commitment_codes() -> str:
    """What storage commitment refuses, and why it fails (PS3.2 Table N.5-16)."""
    requests = (
        (status.NO_SUCH_SOP_INSTANCE, "the SOP Instance is not the well-known one"),
        (status.INVALID_ARGUMENT_VALUE, "no Transaction UID, no references, or what cannot be read"),
        (status.NO_SUCH_ACTION, "the Action Type ID is not 1"),
        (
            status.RESOURCE_LIMITATION,
            f"more than {MAX_REFERENCES} references, {MAX_OPEN_PER_AE} requests of this AE title or "
            f"{MAX_OPEN} in all wait for their report, or no room on the disk",
        ),
        (status.PROCESSING_FAILURE, "disk or index failed"),
    )
    failures = (
        (status.PROCESSING_FAILURE, "the bytes are not those that were acknowledged, or lie elsewhere"),
        (status.NO_SUCH_SOP_INSTANCE, "no such instance, or a deleted one"),
        (status.CLASS_INSTANCE_CONFLICT, "the instance is of another SOP class"),
        (status.DUPLICATE_TRANSACTION_UID, "the Transaction UID was used before"),
    )
    rows = [("N-ACTION status", f"{code:04X}", words) for code, words in requests]
    rows += [("Failure Reason", f"{code:04X}", words) for code, words in failures]
    return _table(["where", "code", "when"], rows)


def transfer_syntaxes() -> str:
    """Every transfer syntax that is accepted by name for storage."""
    rows = []
    for syntax in TRANSFER_SYNTAXES.values():
        if syntax.uid.startswith(negotiation._NOT_FOR_STORAGE):
            continue
        loss = {True: "lossy", False: "lossless", None: "either"}[syntax.lossy]
        name = syntax.name + (" (retired)" if syntax.retired else "")
        rows.append(
            (
                name,
                syntax.uid,
                loss,
                _yes(can_decode(syntax.uid) or is_video(syntax.uid)),
                _yes(can_encode(syntax.uid)),
            )
        )
    return _table(["transfer syntax", "UID", "compression", "decoded", "encoded"], rows)


def _yes(what: bool) -> str:
    return "yes" if what else "no"


def query_keys() -> str:
    """Keys by information model and level, with their kind."""
    parts = []
    for model, levels in MODEL_LEVELS.items():
        for level in levels:
            rows = [(k.keyword, _tag(k.tag), k.vr, k.type.value) for k in QUERY_KEYS[model][level]]
            parts += [
                f"**{model.value}, {level.name} level**",
                _table(["attribute", "tag", "VR", "type"], rows),
            ]
    return "\n\n".join(parts)


def web_resources() -> str:
    """What there is below the service root, from the table that answers."""
    with TemporaryDirectory() as folder, Archive.open(Path(folder)) as archive:
        app = build_app(archive)
        routes = [route for route in app.routes.routes if route.template.startswith((f"{WEB}/", "/wado"))]
        app.close()
    rows = [(f"`{route.template}`", route.method, route.summary) for route in routes]
    return _table(["resource", "method", "what"], rows)


def web_media_types() -> str:
    """Media types of compressed Pixel Data (PS3.18 Table 8.7.3-5), the current name first."""
    rows = [
        (", ".join(f"`{kind}`" for kind in media_types_of(syntax.uid)), syntax.name, syntax.uid)
        for syntax in TRANSFER_SYNTAXES.values()
        if media_types_of(syntax.uid)
    ]
    return _table(["media types", "transfer syntax", "UID"], rows)


def web_answers() -> str:
    """Attributes that QIDO-RS answers without being asked."""
    rows = [
        (level.name, ", ".join(keyword_of(tag) for tag in tags)) for level, tags in DEFAULT_ANSWERS.items()
    ]
    return _table(["level", "attributes"], rows)


def rendered_parameters() -> str:
    """Query parameters of rendered resources, thumbnails and WADO-URI."""
    services = (
        ("rendered", RENDERING_PARAMETERS),
        ("thumbnail", THUMBNAIL_PARAMETERS),
        ("WADO-URI", URI_PARAMETERS),
    )
    rows = [(service, p.name, p.description) for service, parameters in services for p in parameters]
    return _table(["service", "parameter", "meaning"], rows)


def rendered_media_types() -> str:
    """What rendered resources can be had as."""
    rows = [
        (media_type, "a frame", "default" if n == 0 else "yes") for n, media_type in enumerate(PICTURE_TYPES)
    ]
    moving = [
        (offer.media_type, "an object with many frames, a series") for offer in moving_offers(video=True)
    ]
    return _table(["media type", "of", "supported"], [*rows, *((*row, "yes") for row in moving)])


def status_codes() -> str:
    """What each service may answer."""
    parts = []
    for service in (Service.STORE, Service.FIND, Service.MOVE, Service.GET):
        rows = [(f"{s.code:04X}", s.category.value, s.text) for s in statuses(service)]
        parts += [f"**{service.value}**", _table(["status", "category", "meaning"], rows)]
    return "\n\n".join(parts)


def extended_negotiation() -> str:
    """What C-FIND extended negotiation offers."""
    words = {
        "relational": "relational queries", "combined_datetime": "combined date and time matching",
        "fuzzy": "fuzzy matching of person names", "timezone": "time zone query adjustment",
        "enhanced_multiframe": "enhanced multi-frame image conversion",
    }  # fmt: skip
    options = QueryOptions()
    return _table(
        ["option", "supported"], [(t, "yes" if getattr(options, n) else "no") for n, t in words.items()]
    )


def association_limits() -> str:
    """Limits and time-outs."""
    settings = Settings()
    rows = [
        ("maximum PDU received, bytes", settings.max_pdu),
        ("associations at once", settings.max_associations),
        ("associations at once from one address", settings.max_associations_per_peer),
        ("asynchronous operations", settings.async_operations),
        ("ARTIM, seconds", settings.artim_timeout_s),
        ("idle, seconds", settings.idle_timeout_s),
        ("presentation contexts in a request", limits.MAX_CONTEXTS),
        ("implementation class UID", negotiation.IMPLEMENTATION_CLASS_UID),
        ("implementation version name", negotiation.IMPLEMENTATION_VERSION),
    ]
    return _table(["what", "value"], rows)


def configuration() -> str:
    """Every setting."""
    return _table(["setting", "meaning"], [(f"`{name}`", help_for(name)) for name in names()])


TABLES: dict[str, Callable[[], str]] = {
    "storage classes": storage_classes,
    "service classes": service_classes,
    "commitment codes": commitment_codes,
    "transfer syntaxes": transfer_syntaxes,
    "query keys": query_keys,
    "web resources": web_resources,
    "web media types": web_media_types,
    "web answers": web_answers,
    "rendered media types": rendered_media_types,
    "rendered parameters": rendered_parameters,
    "status codes": status_codes,
    "extended negotiation": extended_negotiation,
    "association limits": association_limits,
    "configuration": configuration,
}


def page() -> str:
    """The whole statement."""
    text = TEMPLATE.read_text(encoding="utf-8")
    for name, make in TABLES.items():
        marker = f"[[{name}]]"
        if marker not in text:
            raise ValueError(f"the template has no place for {marker}")
        text = text.replace(marker, make())
    return text


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
