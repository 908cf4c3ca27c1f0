"""Every case of bad input that a real server is tried with."""

from __future__ import annotations

import bad_objects
import bad_requests
import bad_wire

CASES = (*bad_wire.CASES, *bad_objects.CASES, *bad_requests.CASES)
