"""The data loaders of a run: the passes over them, and the sizes of their data sets.

Numbers of loaders are those of `loader` and `epoch` events.
"""

from dataclasses import dataclass

from nntrace.rules.common.payloads import count, place, whole
from nntrace.rules.finding import Location
from nntrace.schema import EventKind
from nntrace.trace import Trace


@dataclass(frozen=True, slots=True)
class Pass:
    """A pass over a loader; it ended at `step`, after `steps` optimizer steps.

    Attributes:
        epoch: how many passes over this loader came before.
        batches: how many it delivered; 0 where that is not known.
        order: a checksum of the indices that were drawn; None for a stream, which has none.
        complete: whether the loader was exhausted.
    """

    loader: int
    epoch: int
    step: int
    steps: int
    batches: int
    examples: int | None
    order: int | None
    complete: bool


def loader_passes(trace: Trace) -> list[Pass]:
    """The passes over loaders, in the order in which they ended."""
    found = []
    for event in trace.events_of(EventKind.EPOCH):
        values = event.payload
        loader, steps = whole(values, "loader"), whole(values, "steps")
        if loader is None or steps is None:
            continue  # an epoch that a framework counts, over no loader that was seen
        found.append(
            Pass(
                loader,
                count(values, "epoch"),
                event.step,
                steps,
                count(values, "batches"),
                whole(values, "examples"),
                whole(values, "order"),
                values.get("complete") is True,
            )
        )
    return found


def trained_loaders(trace: Trace) -> set[int]:
    """The loaders from which training draws: a pass over them held optimizer steps."""
    passes = [event.payload for event in trace.events_of(EventKind.EPOCH)]
    loaders = (whole(one, "loader") for one in passes if count(one, "steps"))
    return {loader for loader in loaders if loader is not None}


def data_set_sizes(trace: Trace) -> dict[int, int]:
    """The number of examples in each loader's data set, where it is known."""
    loaders = [event.payload for event in trace.events_of(EventKind.LOADER)]
    sizes = {whole(one, "loader"): count(one, "dataset_size") for one in loaders}
    return {loader: size for loader, size in sizes.items() if loader is not None and size}


def drawn_at(trace: Trace) -> Location | None:
    """The line that passes on the data that training draws from, if known."""
    training = trained_loaders(trace)
    loaders = (event.payload for event in trace.events_of(EventKind.LOADER))
    return place(next((one for one in loaders if whole(one, "loader") in training), {}))
