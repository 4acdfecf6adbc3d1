"""Calls back when chosen modules have been imported.

The modules look as they would without nntrace: each keeps its own loader.
"""

from __future__ import annotations

import importlib.util

TYPE_CHECKING = False  # as type checkers read it; importing typing would cost every start-up
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import ModuleType


class ImportWatcher:
    """A meta-path finder that reports when watched modules have been imported.

    Args:
        wanted: tells by name whether to watch for a module.
        imported: called with the name once the module has been executed.
    """

    def __init__(self, wanted: Callable[[str], bool], imported: Callable[[str], None]) -> None:
        self._wanted = wanted
        self._imported = imported
        self._busy = False

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a watched module, with a loader that reports its execution; else None."""
        if self._busy:
            return None
        self._busy = True
        try:
            spec = importlib.util.find_spec(name) if self._wanted(name) else None
        finally:
            self._busy = False
        if spec is not None and spec.loader is not None:
            # Duck-typed, because every process would pay for the import of importlib.abc.
            loader = _NotifyingLoader(spec.loader, lambda: self._imported(name))
            spec.loader = loader  # type: ignore[assignment]
        return spec


class _NotifyingLoader:
    """Wraps a module's loader; calls `after` once the module has been executed."""

    def __init__(self, loader: Loader, after: Callable[[], None]) -> None:
        self._loader = loader
        self._after = after

    def __getattr__(self, name: str) -> object:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:  # the module must look as without nntrace
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._after()
