"""pydicom's tables without pydicom: their modules are plain literals, read without importing the package.

Importing any part of pydicom runs all of it, NumPy and Pillow included: half a second and 30 MB, which
`gantry echo` and a server that decodes nothing need not pay.
"""

from __future__ import annotations

from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from types import ModuleType


def pydicom_table(name: str) -> ModuleType:
    """The module `name` of pydicom, one that imports nothing. Raises ImportError where there is none."""
    package = find_spec("pydicom")
    if package is None or package.submodule_search_locations is None:
        raise ImportError("pydicom is not installed", name="pydicom")
    spec = PathFinder.find_spec(f"pydicom.{name}", package.submodule_search_locations)
    if spec is None or spec.loader is None:
        raise ImportError(f"this version of pydicom has no module {name}", name=f"pydicom.{name}")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
