"""What two Application Entities agree on: an A-ASSOCIATE-RQ and a policy → the answer (PS3.7 Annex D).

`AcceptorPolicy` says what we offer as acceptor, `RequestorParameters` what we ask for as requestor. Both are
values; a listener with a limit to keep gives an association its own policy with `replace(policy, busy=True)`.

Who gets which answer: faults of the protocol are answered for the service-provider (sources 2 and 3), what
the application declines for the service-user (source 1), as PS3.8 Table 9-21 has it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from gantry.dimse import extended
from gantry.dimse.limits import (
    ARTIM_S,
    ASSOCIATION_S,
    DEFAULT_ASYNC_WINDOW,
    DEFAULT_MAX_PDU,
    IDLE_S,
    MAX_CONTEXTS,
    MIN_PEER_PDU,
    MINIMUM_RATE_BYTES_PER_S,
    RATE_WINDOW_S,
    RELEASE_S,
    RESPONSE_S,
    UNLIMITED_PEER_PDU,
)
from gantry.dimse.pdu import (
    APPLICATION_CONTEXT,
    PROTOCOL_VERSION,
    AssociateAC,
    AssociateRJ,
    AssociateRQ,
    PresentationContextAC,
    PresentationContextRQ,
)
from gantry.dimse.reasons import ContextResult, RejectResult, RejectSource
from gantry.dimse.user_information import (
    AsyncWindow,
    CommonExtendedNegotiation,
    ExtendedNegotiation,
    IdentityType,
    RoleSelection,
    UserIdentity,
    UserInformation,
)
from gantry.errors import CallerError
from gantry.standard import sop_classes as sop
from gantry.standard.transfer_syntaxes import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TRANSFER_SYNTAXES,
)
from gantry.standard.uids import is_uid

IMPLEMENTATION_CLASS_UID: Final = "2.25.56687785754809731348717851132168816271"
IMPLEMENTATION_VERSION: Final = "GANTRY"

STORAGE_SERVICE_CLASS: Final = "1.2.840.10008.4.2"
"""The service class that a common extended negotiation names for a storage SOP class (PS3.7 D.3.3.6)."""

UNCOMPRESSED: Final = frozenset(
    (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN)
)
"""What the Identifiers of queries may be encoded in."""

_NOT_FOR_STORAGE: Final = ("1.2.840.10008.1.2.6.", "1.2.840.10008.1.2.7.")
"""Syntaxes of MIME bodies, XML and video streams: listed beside the others, but no encoding of a Data Set."""

"""PS3.5 9.1. A name that is no UID is no syntax, and an answer that repeats a longer one would not fit."""

QUERY_RETRIEVE_SERVICES: Final = frozenset(
    (
        sop.VERIFICATION,
        sop.PATIENT_ROOT_FIND,
        sop.PATIENT_ROOT_MOVE,
        sop.PATIENT_ROOT_GET,
        sop.STUDY_ROOT_FIND,
        sop.STUDY_ROOT_MOVE,
        sop.STUDY_ROOT_GET,
        sop.PATIENT_STUDY_ONLY_FIND,
        sop.PATIENT_STUDY_ONLY_MOVE,
        sop.PATIENT_STUDY_ONLY_GET,
    )
)

SERVICES: Final = QUERY_RETRIEVE_SERVICES | {sop.STORAGE_COMMITMENT_PUSH}
"""All that we are SCP of, beside storage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timers:
    """How long an association waits, in seconds; the reasons are in `limits`. None waits for ever."""

    artim_s: float = ARTIM_S
    idle_s: float | None = IDLE_S
    association_s: float | None = ASSOCIATION_S
    release_s: float | None = RELEASE_S
    rate_window_s: float = RATE_WINDOW_S
    minimum_rate_bytes_per_s: float = MINIMUM_RATE_BYTES_PER_S


def kind_of(uid: str) -> str | None:
    """Which service an abstract syntax belongs to: `SopClass.kind`, or None where the standard has it not."""
    known = sop.SOP_CLASSES.get(uid)
    return None if known is None else known.kind


@dataclass(frozen=True, slots=True)
class AcceptedContext:
    """One presentation context in force, and which roles we have in it."""

    context_id: int
    abstract_syntax: str
    transfer_syntax: str
    we_are_scu: bool
    we_are_scp: bool


_OUR_WINDOW: Final = AsyncWindow(DEFAULT_ASYNC_WINDOW, DEFAULT_ASYNC_WINDOW)

IdentityAnswer = bytes | None
"""The server response for a requestor whose identity is right, or None where it is not."""


def accept_any_identity(identity: UserIdentity) -> IdentityAnswer:
    """Accepts everybody without checking."""
    return b""


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptorPolicy:
    """What we accept when others call.

    `services` are the abstract syntaxes offered beside storage. `kind` tells storage classes from others;
    a class that it does not know, and nobody declared to be something else, is taken as private storage
    where `accept_unknown_storage` allows. `preferred_transfer_syntaxes` come first where they are offered,
    then the peer's own order. `check_identity` returns None to refuse. `automatic` False leaves the answer
    to the driver, who gets it as `AssociationRequested` and calls `accept` or `reject`.
    """

    ae_title: str = "GANTRY"
    check_called_aet: bool = False
    calling_aets: frozenset[str] | None = None
    services: frozenset[str] = SERVICES
    kind: Callable[[str], str | None] = kind_of
    accept_storage: bool = True
    accept_unknown_storage: bool = True
    preferred_transfer_syntaxes: tuple[str, ...] = ()
    query_options: extended.QueryOptions = field(default_factory=extended.QueryOptions)
    check_identity: Callable[[UserIdentity], IdentityAnswer] = accept_any_identity
    busy: bool = False
    automatic: bool = True
    max_pdu: int = DEFAULT_MAX_PDU
    async_window: AsyncWindow = _OUR_WINDOW
    implementation_class_uid: str = IMPLEMENTATION_CLASS_UID
    implementation_version: str = IMPLEMENTATION_VERSION
    timers: Timers = Timers()


@dataclass(frozen=True, slots=True)
class ProposedContext:
    """One abstract syntax that we ask for, with the transfer syntaxes we can use for it."""

    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestorParameters:
    """What we ask for when we call. `contexts` get the IDs 1, 3, 5 … in their order; 128 at most."""

    calling_aet: str
    called_aet: str
    contexts: tuple[ProposedContext, ...]
    max_pdu: int = DEFAULT_MAX_PDU
    async_window: AsyncWindow | None = None
    roles: tuple[RoleSelection, ...] = ()
    extended: tuple[ExtendedNegotiation, ...] = ()
    common_extended: tuple[CommonExtendedNegotiation, ...] = ()
    user_identity: UserIdentity | None = None
    implementation_class_uid: str = IMPLEMENTATION_CLASS_UID
    implementation_version: str = IMPLEMENTATION_VERSION
    timers: Timers = Timers(idle_s=RESPONSE_S)

    def request(self) -> AssociateRQ:
        """The A-ASSOCIATE-RQ that asks for this; CallerError where PS3.8 has no room for it."""
        if not 1 <= len(self.contexts) <= MAX_CONTEXTS:
            raise CallerError(
                f"{len(self.contexts)} presentation contexts; 1 to {MAX_CONTEXTS} can be asked for"
            )
        for title in (self.calling_aet, self.called_aet):
            if not is_ae_title(title):
                raise CallerError(f"{title!r} is no AE title: 1 to 16 ASCII characters, no backslash")
        contexts = tuple(
            PresentationContextRQ(2 * index + 1, context.abstract_syntax, context.transfer_syntaxes)
            for index, context in enumerate(self.contexts)
        )
        user = UserInformation(
            max_length=self.max_pdu,
            implementation_class_uid=self.implementation_class_uid,
            implementation_version=self.implementation_version,
            async_window=self.async_window,
            roles=self.roles,
            extended=self.extended,
            common_extended=self.common_extended,
            user_identity=self.user_identity,
        )
        return AssociateRQ(self.called_aet, self.calling_aet, contexts, user)


def negotiate(request: AssociateRQ, policy: AcceptorPolicy) -> AssociateAC | AssociateRJ:
    """The answer of `policy` to `request`."""
    refusal = _provider_refusal(request, policy) or _title_refusal(request, policy)
    if refusal is not None:
        return refusal
    identity_response, refusal = _check_identity(request, policy)
    if refusal is not None:
        return refusal
    contexts = _answer_contexts(request, policy)
    accepted = {c.context_id for c in contexts if c.accepted}
    classes = [c.abstract_syntax for c in request.contexts if c.context_id in accepted]
    user = UserInformation(
        max_length=policy.max_pdu,
        implementation_class_uid=policy.implementation_class_uid,
        implementation_version=policy.implementation_version,
        async_window=_answer_window(request.user.async_window, policy.async_window),
        roles=_answer_roles(request, policy, classes),
        extended=_answer_extended(request, policy, classes),
        identity_response=identity_response,
    )
    return AssociateAC(request.called_aet, request.calling_aet, contexts, user)


def _provider_refusal(request: AssociateRQ, policy: AcceptorPolicy) -> AssociateRJ | None:
    if policy.busy:
        return AssociateRJ(RejectResult.TRANSIENT, RejectSource.PRESENTATION, 2)
    if not request.protocol_version & PROTOCOL_VERSION:
        return AssociateRJ(RejectResult.PERMANENT, RejectSource.ACSE, 2)
    announced = request.user.max_length or 0
    if 0 < announced < MIN_PEER_PDU:
        return AssociateRJ(RejectResult.PERMANENT, RejectSource.ACSE, 1)
    if request.application_context != APPLICATION_CONTEXT:
        return AssociateRJ(RejectResult.PERMANENT, RejectSource.USER, 2)
    return None


def _title_refusal(request: AssociateRQ, policy: AcceptorPolicy) -> AssociateRJ | None:
    calling, called = request.calling_aet, request.called_aet
    is_calling_known = policy.calling_aets is None or calling in policy.calling_aets
    is_called_known = not policy.check_called_aet or called == policy.ae_title
    if not (is_ae_title(calling) and is_calling_known):
        return AssociateRJ(RejectResult.PERMANENT, RejectSource.USER, 3)
    if not (is_ae_title(called) and is_called_known):
        return AssociateRJ(RejectResult.PERMANENT, RejectSource.USER, 7)
    return None


def is_ae_title(title: str) -> bool:
    """PS3.5 6.2, VR AE: 1 to 16 characters, not only spaces, no backslash or control.

    What climbs in a path is refused as well: titles end up in names and logs.
    """
    is_path = "../" in title or "/.." in title or title in (".", "..")
    is_printable = all(" " <= c <= "~" and c != "\\" for c in title)
    return len(title) <= 16 and bool(title.strip(" ")) and is_printable and not is_path


def _check_identity(request: AssociateRQ, policy: AcceptorPolicy) -> tuple[bytes | None, AssociateRJ | None]:
    """The sub-item to answer with, and the refusal (PS3.7 D.3.3.7.3: source 2)."""
    identity = request.user.user_identity
    if identity is None:
        return None, None
    known = identity.kind in IdentityType.__members__.values()
    answer = policy.check_identity(identity) if known else None
    if answer is None:
        return None, AssociateRJ(RejectResult.PERMANENT, RejectSource.ACSE, 1)
    return (answer if identity.positive_response_requested else None), None


def _answer_contexts(request: AssociateRQ, policy: AcceptorPolicy) -> tuple[PresentationContextAC, ...]:
    declared = {item.sop_class_uid: item.service_class_uid for item in request.user.common_extended}
    times = Counter(context.context_id for context in request.contexts)
    answers: dict[int, PresentationContextAC] = {}
    for context in request.contexts:
        number = context.context_id
        if number % 2 == 0 or times[number] > 1:
            # Which one would a message on it mean? Better none than the wrong one
            result, syntax = ContextResult.NO_REASON, None
        else:
            result, syntax = _answer_context(context, policy, declared.get(context.abstract_syntax))
        answers[number] = PresentationContextAC(number, result, syntax or IMPLICIT_VR_LITTLE_ENDIAN)
    return tuple(answers.values())


def _answer_context(
    context: PresentationContextRQ, policy: AcceptorPolicy, declared_service: str | None
) -> tuple[ContextResult, str | None]:
    uid = context.abstract_syntax
    offered = [syntax for syntax in context.transfer_syntaxes if is_uid(syntax)]
    if uid in policy.services:
        usable = [syntax for syntax in offered if syntax in UNCOMPRESSED]
    elif _is_storage(uid, policy, declared_service):
        usable = [syntax for syntax in offered if not syntax.startswith(_NOT_FOR_STORAGE)]
        # What is in a private syntax can be kept but not read: only where the peer has nothing else
        usable.sort(key=lambda syntax: syntax not in TRANSFER_SYNTAXES)
    else:
        return ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED, None
    if not usable:
        return ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED, None
    preferred = (syntax for syntax in policy.preferred_transfer_syntaxes if syntax in usable)
    return ContextResult.ACCEPTANCE, next(preferred, usable[0])


def _is_storage(uid: str, policy: AcceptorPolicy, declared_service: str | None) -> bool:
    if not policy.accept_storage or not is_uid(uid):
        return False
    kind = policy.kind(uid)
    if kind is not None:
        # What belongs to no study is another service (PS3.4 Annex GG)
        return kind == "storage" and uid not in sop.NON_PATIENT_STORAGE
    return policy.accept_unknown_storage and declared_service in (None, "", STORAGE_SERVICE_CLASS)


def _answer_window(offered: AsyncWindow | None, ours: AsyncWindow) -> AsyncWindow | None:
    if offered is None:
        return None
    return AsyncWindow(_lesser(offered.invoked, ours.invoked), _lesser(offered.performed, ours.performed))


def _lesser(one: int, other: int) -> int:
    """The smaller window, where 0 is without limit."""
    return min(one, other) if one and other else one or other


def _answer_roles(
    request: AssociateRQ, policy: AcceptorPolicy, classes: list[str]
) -> tuple[RoleSelection, ...]:
    """The requestor is SCU of what it likes, and SCP of storage, which is how C-GET sends it objects."""
    answers = []
    for role in request.user.roles:
        if role.sop_class_uid in classes:
            is_storage = role.sop_class_uid not in policy.services
            answers.append(RoleSelection(role.sop_class_uid, role.scu, role.scp and is_storage))
    return tuple(answers)


def _answer_extended(
    request: AssociateRQ, policy: AcceptorPolicy, classes: list[str]
) -> tuple[ExtendedNegotiation, ...]:
    answers = []
    for item in request.user.extended:
        if item.sop_class_uid not in classes:
            continue
        if item.sop_class_uid not in policy.services:
            information: bytes | None = extended.answer_storage(item.information)
        else:
            kind = policy.kind(item.sop_class_uid)
            information = extended.answer_query(kind, item.information, policy.query_options)
        if information is not None:
            answers.append(ExtendedNegotiation(item.sop_class_uid, information))
    return tuple(answers)


def accepted_contexts(
    request: AssociateRQ, answer: AssociateAC, *, we_request: bool
) -> Mapping[int, AcceptedContext]:
    """The contexts in force after `answer`, by ID.

    An acceptance of what was not offered is passed over: nothing may be sent on it (PS3.8 7.1.1.14).
    """
    offered = {context.context_id: context for context in request.contexts}
    proposed_roles = {role.sop_class_uid: role for role in request.user.roles}
    answered_roles = {role.sop_class_uid: role for role in answer.user.roles}
    found: dict[int, AcceptedContext] = {}
    for context in answer.contexts:
        proposal = offered.get(context.context_id)
        if not context.accepted or proposal is None:
            continue
        if context.transfer_syntax not in proposal.transfer_syntaxes:
            continue
        uid = proposal.abstract_syntax
        scu, scp = _requestor_roles(proposed_roles.get(uid), answered_roles.get(uid))
        ours = (scu, scp) if we_request else (scp, scu)
        found[context.context_id] = AcceptedContext(context.context_id, uid, context.transfer_syntax, *ours)
    return found


def _requestor_roles(proposed: RoleSelection | None, answered: RoleSelection | None) -> tuple[bool, bool]:
    """Which roles the requestor has (PS3.7 D.3.3.4): SCU only, unless both sides said otherwise."""
    if proposed is None or answered is None:
        return True, False
    return proposed.scu and answered.scu, proposed.scp and answered.scp


def sendable_pdu(peer: UserInformation) -> int:
    """The longest P-DATA-TF to send to a peer with this user information, in bytes after its header."""
    return min(peer.max_length or UNLIMITED_PEER_PDU, UNLIMITED_PEER_PDU)
