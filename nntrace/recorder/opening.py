"""Opens the folder of one rank, and imports what writes it, pyarrow with it.

A process that only imports a framework (a launcher of ranks, a worker of a loader) needs none of
that.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from nntrace.recorder.account import Account
from nntrace.recorder.cadence import Cadence
from nntrace.recorder.own_manifest import OwnManifest
from nntrace.sampling import Sampling

if TYPE_CHECKING:
    from nntrace.recorder.rank_folder import RankFolder


def import_writing(account: Account) -> None:
    """Import what writes the folder, as one-time set-up.

    Not on the writer's thread: a process forked meanwhile would wait for that import forever.
    """
    with account.setting_up():
        import_module("nntrace.recorder.rank_folder")


def open_folder(
    run: Path,
    rank: int,
    manifest: OwnManifest,
    versions: dict[str, str],
    sampling: Sampling,
    cadence: Cadence,
) -> "tuple[Path, RankFolder]":
    """Claim the folder of a rank and write the run's manifest.

    Returns:
        The path of the run, which may be a new one beside `run`, and the rank's folder.

    Raises:
        OSError: the folder cannot be written to.
    """
    from nntrace.recorder.rank_folder import RankFolder, claim

    run = claim(run, rank)
    manifest.create(run, versions)
    folder = RankFolder(run, rank, all_gradients=sampling.is_whole, on_unrest=cadence.look_closer)
    return run, folder
