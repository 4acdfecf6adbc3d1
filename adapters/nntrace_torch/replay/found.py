"""What a search has found, which becomes the payload of an `origin` event."""

from typing import Any, NamedTuple

from nntrace_torch.replay.calls import Call, RootCalls
from nntrace_torch.replay.finder import Birth


class Found(NamedTuple):
    """What a search has found.

    Attributes:
        where: `forward`, `loss`, `backward`, `update`, `data`, `weights` or `unknown`.
        birth: the operation, or the tensor it came in with.
        facts: what else is known, as keys of the `origin` event.
        call: the call of the model it was in.
    """

    where: str
    birth: Birth | None
    facts: dict[str, Any]
    call: Call | None = None

    @property
    def is_meant(self) -> bool:
        """Whether the program wrote the value there itself, as masks are made."""
        return self.birth is not None and self.birth.meant

    @property
    def is_given(self) -> bool:
        """Whether no operation made it: it came in so, or the program wrote it there itself."""
        return self.where == "data" or self.is_meant

    @property
    def is_input(self) -> bool:
        """Whether it came in with what the model was given."""
        return self.where == "data" and self.birth is not None


def batch_facts(calls: RootCalls, call: Call | None = None) -> dict[str, Any]:
    """The micro-batch of a call, or the one that is under way; nothing where there is only one."""
    count = calls.micro_batch
    number = count if call is None else call.micro_batch
    return {"micro_batch": number + 1} if count or number else {}
