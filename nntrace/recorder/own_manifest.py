"""The manifest of the run that this process records, from its creation to its end.

One of several ranks creates it, and only that rank writes it again.
"""

import os
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from nntrace.manifest import Manifest
from nntrace.notices import say
from nntrace.ranks import local_world_size
from nntrace.recorder.account import Account
from nntrace.recorder.commit import current_commit
from nntrace.schema import MANIFEST, RunStatus


class OwnManifest:
    """The manifest of this process's run.

    Attributes:
        is_owned: whether this process created the manifest's file.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self.is_owned = False

    def create(self, run: Path, versions: dict[str, str]) -> None:
        """Write the manifest into a new run folder, unless another rank has done so.

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
        """Write the manifest again with other values, if this process created it.

        Raises:
            OSError: the folder cannot be written to.
        """
        if self.is_owned:
            replace(self._manifest, **fields).write(run)

    def complete(self, run: Path, status: RunStatus, error: str | None, account: Account) -> None:
        """Write how the run ended and what tracing cost; report an error instead of raising it."""
        try:
            self.change(
                run,
                ended_ns=time.time_ns(),
                status=status,
                error=error,
                overhead=account.overhead,
                overhead_seconds=account.spent_ns / 1e9,
            )
        except FileNotFoundError:
            say(
                f"{run} was moved or deleted while it was written: how the run ended is not in it. "
                "Where it is now, `nntrace diagnose` reads it as that of a killed run."
            )
        except OSError as problem:
            say(f"{run / MANIFEST} was not completed: {problem}.")


def this_process(rank: int, world_size: int) -> dict[str, Any]:
    """The payload of a `rank_start` event: rank, world size and process."""
    return {
        "rank": rank,
        "world_size": world_size,
        "local_world_size": local_world_size(world_size),
        "pid": os.getpid(),
        "host": socket.gethostname(),
    }


def _commit() -> str | None:
    try:
        return current_commit(Path.cwd())
    except OSError:  # the working directory is gone
        return None
