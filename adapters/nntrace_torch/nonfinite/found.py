"""The result of a search for an origin, from which the payload of the `origin` event is made."""

from typing import Any, NamedTuple

from nntrace_torch.nonfinite.finder import Origin
from nntrace_torch.replay.call import Call
from nntrace_torch.replay.calls import RootCalls


class Found(NamedTuple):
    """The result of a search.

    Attributes:
        where: `forward`, `loss`, `backward`, `update`, `data`, `weights` or `unknown`.
        origin: the operation that made the value, or the tensor it came in with.
        facts: further keys of the `origin` event.
        call: the call of the model in which it happened.
    """

    where: str
    origin: Origin | None
    facts: dict[str, Any]
    call: Call | None = None

    @property
    def is_meant(self) -> bool:
        """Whether the program wrote the value on purpose, as it does in masks."""
        return self.origin is not None and self.origin.meant

    @property
    def is_given(self) -> bool:
        """Whether no operation made the value: it was in the data, or written on purpose."""
        return self.where == "data" or self.is_meant

    @property
    def is_input(self) -> bool:
        """Whether the value came in with the model's arguments."""
        return self.where == "data" and self.origin is not None


def batch_facts(calls: RootCalls, call: Call | None = None) -> dict[str, Any]:
    """The number of a call's micro-batch, or of the current one; empty if there is only one."""
    count = calls.micro_batch
    number = count if call is None else call.micro_batch
    return {"micro_batch": number + 1} if count or number else {}
