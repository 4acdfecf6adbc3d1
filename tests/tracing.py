"""Traces training in this process; hooks and patches of the adapter are always removed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from event_docs import undocumented

from nntrace.experiment import Experiment
from nntrace.manifest import Manifest
from nntrace.recorder import Cadence, Recorder
from nntrace.sampling import Sampling
from nntrace.schema import RunStatus
from nntrace.trace import Trace


@contextmanager
def tracing(
    run: Path,
    *,
    every: int | None = 1,
    framework: str = "torch",
    experiment: Experiment | None = None,
    **sampling: Any,
) -> Iterator[Recorder]:
    """Trace all training inside the `with` block into `run`, which is complete afterwards.

    The test fails where its events hold what docs/trace-format.md does not mention.

    An experiment of `nntrace check` changes the training inside, but does not end it.
    """
    if framework == "torch":
        from nntrace_torch import TorchAdapter as Adapter
    else:
        from nntrace_keras import KerasAdapter as Adapter

    chosen = Sampling(every=every, **sampling)
    cadence = Cadence(chosen.budget, every)
    config = {} if experiment is None else {"experiment": asdict(experiment)}
    recorder = Recorder(
        run, Manifest.begin(run.name, (), config), cadence, sampling=chosen, experiment=experiment
    )
    recorder.on_failure(Adapter().install(recorder))
    try:
        yield recorder
    finally:
        recorder.close(RunStatus.FINISHED)
    missing = undocumented(recorder.run)
    assert not missing, f"docs/trace-format.md does not say what this is: {', '.join(missing)}"


def payloads(trace: Trace, kind: str) -> list[dict[str, Any]]:
    """What the run's events of a kind say, in their order."""
    return [event.payload for event in trace.events_of(kind)]
