"""What every test runs under."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

QUICK_EXAMPLES = 20

# How long one example takes says more about the machine's other work than about the code
settings.register_profile("gantry", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# For `make check`: a fifth of the examples, and all failures that `make test` found with all of them
settings.register_profile("quick", settings.get_profile("gantry"), max_examples=QUICK_EXAMPLES)
settings.load_profile("gantry")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name binary parameters by their length: some hold the time they were packed at, and every test
    process must give a test the same name."""
    return f"{argname}-{len(val)}-bytes" if isinstance(val, bytes) and not val.isascii() else None
