"""The manifest of the run that this process records, from its creation to its end.

Of several ranks one creates it, and that one alone writes it again.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from nntrace.manifest import Manifest
from nntrace.recorder.commit import current_commit


class OwnManifest:
    """What this process says about its run.

    Attributes:
        is_owned: whether this process created it.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self.is_owned = False

    def create(self, run: Path, versions: dict[str, str]) -> None:
        """Write it into a new run folder, unless another rank did.

        Raises:
            OSError: the folder cannot be written to.
        """
        manifest = self._manifest = replace(
            self._manifest,
            name=run.name,
            git_commit=_commit(),
            versions={**self._manifest.versions, **versions},
        )
        self.is_owned = manifest.create(run)

    def change(self, run: Path, **fields: Any) -> None:
        """Write it again with other values, if it is this process's.

        Raises:
            OSError: the folder cannot be written to.
        """
        if self.is_owned:
            replace(self._manifest, **fields).write(run)


def _commit() -> str | None:
    try:
        return current_commit(Path.cwd())
    except OSError:  # the working directory is gone
        return None
