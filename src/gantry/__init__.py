"""Gantry: an imaging archive, network node, DICOMweb server, viewer and toolkit for DICOM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = ["ConvertOptions", "__version__", "convert", "read"]

if TYPE_CHECKING:
    from gantry.toolkit.convert import convert
    from gantry.toolkit.convert_options import Options as ConvertOptions
    from gantry.toolkit.reading import read

_PLACES = {
    "ConvertOptions": ("gantry.toolkit.convert_options", "Options"),
    "convert": ("gantry.toolkit.convert", "convert"),
    "read": ("gantry.toolkit.reading", "read"),
}


def __getattr__(name: str) -> Any:
    """The names of the Python face, each loaded when it is first used, so that `import gantry` is quick."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    module, attribute = _PLACES[name]
    return getattr(importlib.import_module(module), attribute)
