"""The import redirect: ``import openai``, ``anthropic`` or ``litellm`` finds the shim, installed or not."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

ORIGINALS = ("openai", "anthropic", "litellm")
_SHIMS = "llm_sync.compat"
# Modules of the originals that scripts import from, by the shim's module that has the names.
_SUBMODULES = {
    "openai": {
        "openai._exceptions": "openai",
        "openai._types": "openai",
        "openai.openai_object": "openai.response_objects",
        "openai.error": "openai.error",
        "openai.types": "openai.types",
        "openai.version": "openai.version",
        "openai._version": "openai",
        "openai._client": "openai",
    },
    "anthropic": {
        "anthropic._exceptions": "anthropic",
        "anthropic._types": "anthropic",
        "anthropic._version": "anthropic",
        "anthropic._client": "anthropic",
        "anthropic.types": "anthropic.types",
    },
    "litellm": {
        "litellm.exceptions": "litellm.exceptions",
        "litellm.utils": "litellm",
        "litellm.types": "litellm.response_objects",
        "litellm.main": "litellm",
    },
}


class Redirect(MetaPathFinder):
    """Returns the shims for the originals in ``names``; ``on_import`` is called at the first import of each.

    Importing a submodule that the shim does not have raises ModuleNotFoundError. One finder, first in ``sys.meta_path``, is
    enough for a process; see ``install``.
    """

    def __init__(self, names: Iterable[str], on_import: Callable[[str], None]) -> None:
        self._names = frozenset(names)
        self._on_import = on_import
        self._announced: set[str] = set()

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:  # noqa: ARG002
        """The spec of a shim; None for every other module, which Python then finds as usual."""
        original = name.partition(".")[0]
        if original not in self._names:
            return None
        map_error = original if name == original else _SUBMODULES[original].get(name)
        if name.startswith(f"{original}.types."):  # it has many modules, named for the types in them
            map_error = _SUBMODULES[original][f"{original}.types"]
        if map_error is None:
            raise ModuleNotFoundError(
                f"llm-sync's stand-in for {original} has no {name!r}; to have the real {original}, name the others with --only",
                name=name,
            )
        if original not in self._announced:
            self._announced.add(original)
            self._on_import(original)
        # Declared as a package, so that imports of its submodules come here too.
        return ModuleSpec(name, _Loader(f"{_SHIMS}.{map_error}"), origin=f"{_SHIMS}.{map_error}", is_package=True)

    def find_distributions(self, context: Any) -> Iterator[Any]:
        """The distribution for ``importlib.metadata.version(original)``: it has the shim's version. Queries for all packages get
        nothing."""
        original = str(context.name or "").lower().replace("_", "-")
        if original in self._names:
            from llm_sync.compat.redirect.versions import StandInDistribution

            yield StandInDistribution(original, importlib.import_module(f"{_SHIMS}.{original}").__version__)


class _Loader(Loader):
    """Loads the shim's module under the original's name, so that its classes are the same under both."""

    def __init__(self, map_error: str) -> None:
        self._map_error = map_error
        self._spec: Any = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:  # noqa: ARG002
        """The shim's module, imported by its own name."""
        module = importlib.import_module(self._map_error)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run; restore the module's own spec, which importlib has replaced."""
        module.__spec__ = self._spec


def install(names: Iterable[str], on_import: Callable[[str], None]) -> Redirect:
    """Let every later import of ``names`` find the shim; modules that were already imported are removed from ``sys.modules``."""
    redirect = Redirect(names, on_import)
    for module in [module for module in sys.modules if module.partition(".")[0] in redirect._names]:  # noqa: SLF001
        del sys.modules[module]
    sys.meta_path.insert(0, redirect)
    return redirect


def remove(redirect: Redirect) -> None:
    """Undo ``install``: later imports find the originals again."""
    sys.meta_path.remove(redirect)
    for module in [module for module in sys.modules if module.partition(".")[0] in redirect._names]:  # noqa: SLF001
        del sys.modules[module]
