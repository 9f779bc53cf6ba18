"""In a checkout, the names that an installed wheel has: `fleetprice.emulator` is `services.emulator`.

Each name below `fleetprice` is the same module object as below `services` or `shared`, not a copy.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import find_spec
from types import CodeType, ModuleType

from shared import __version__

__all__ = ["__version__"]

_ROOTS = ("services", "shared")


class _Alias(Loader):
    """A loader that gives out the module which `spec` loads."""

    def __init__(self, spec: ModuleSpec) -> None:
        self._spec = spec

    def create_module(self, spec: ModuleSpec) -> ModuleType:  # noqa: ARG002 - the protocol's signature
        return import_module(self._spec.name)

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec  # the import system has just put the alias's in its place

    def get_code(self, _name: str) -> CodeType | None:
        """Return the module's code, for `python -m`."""
        loader = self._spec.loader
        return loader.get_code(self._spec.name) if isinstance(loader, SourceFileLoader) else None


class _Aliases(MetaPathFinder):
    def find_spec(
        self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, rest = name.partition(".")
        if package != __name__:
            return None
        child = rest.partition(".")[0]
        root = next((one for one in _ROOTS if find_spec(f"{one}.{child}")), None)
        spec = find_spec(f"{root}.{rest}") if root else None
        if spec is None:
            return None
        is_package = spec.submodule_search_locations is not None
        return ModuleSpec(name, _Alias(spec), origin=spec.origin, is_package=is_package)


# First: Python's own finder would load a second copy of what lies in an aliased package's folder.
sys.meta_path.insert(0, _Aliases())
