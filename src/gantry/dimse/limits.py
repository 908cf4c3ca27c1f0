"""What a peer may make this room hold or wait for, each with its reason."""

from __future__ import annotations

from typing import Final

DEFAULT_MAX_PDU: Final = 131_072
"""Bytes of one P-DATA-TF we announce to accept; the largest that DCMTK sends."""

UNLIMITED_PEER_PDU: Final = 1_048_576
"""Bytes of one P-DATA-TF sent to a peer that sets no limit: large enough to cost nothing per PDU."""

MIN_PEER_PDU: Final = 128
"""A peer that accepts less would make us send more headers than data; it is refused."""

MAX_ASSOCIATE_BYTES: Final = 1_048_576
"""A-ASSOCIATE-RQ or -AC: 128 contexts with every known transfer syntax take about 350 KB."""

MAX_CONTEXTS: Final = 128
"""There are 128 odd numbers below 256, hence never more presentation contexts (PS3.8 9.3.2.2)."""

MAX_TRANSFER_SYNTAXES: Final = 256
"""Per presentation context; the standard knows about 60 in all."""

MAX_USER_ITEMS: Final = 512
"""One role, one extended and one common extended negotiation for each context, and the single items."""

MAX_UNKNOWN_ITEM_BYTES: Final = 16_384
"""Items of unrecognised types are kept for whoever asks, up to this in all."""

MAX_COMMAND_BYTES: Final = 65_536
"""A command set has a few hundred bytes; only a list of offending elements can make it long."""

MAX_IDENTIFIER_BYTES: Final = 16_777_216
"""Data Set of a C-FIND, C-GET or C-MOVE message, which has to be held in memory to be answered."""

MAX_OUTSTANDING_OPERATIONS: Final = 256
"""Requests of one peer not yet answered. More than the negotiated window is tolerated, more than this not."""

DEFAULT_ASYNC_WINDOW: Final = 32
"""Outstanding operations we offer in each direction (PS3.7 D.3.3.3)."""

WRITE_BATCH_BYTES: Final = 262_144
"""What `iter_pdata` hands out at once, so that small PDUs do not cost one system call each."""

ARTIM_S: Final = 10.0
"""PS3.8 9.1.5: how long a new connection may stay silent, and an ended one open."""

IDLE_S: Final = 60.0
"""How long an association that waits for its peer may stay silent."""

RESPONSE_S: Final = 600.0
"""How long a requestor waits for the answer to an operation; a C-MOVE may stay silent for minutes."""

ASSOCIATION_S: Final = 30.0
"""How long a requestor waits for the answer to its A-ASSOCIATE-RQ."""

RELEASE_S: Final = 10.0
"""How long either side waits for the answer to its A-RELEASE-RQ."""

MINIMUM_RATE_BYTES_PER_S: Final = 1_024
RATE_WINDOW_S: Final = 30.0
"""A message or PDU once begun must come at this rate, averaged over this window (slow-loris)."""
