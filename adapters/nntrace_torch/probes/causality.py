"""Does an output depend on the very thing it has to predict? (PRB04)

In a model whose target is the next input, the output at t must not depend on inputs after t. In
no model may an output depend on a target that is passed in along with the input.
"""

from collections.abc import Callable

import torch

from nntrace_torch.probes.dependencies import CLEAN, FOUND, UNKNOWN, Answer, Forward, changed

_ALIKE = 0.95  # the least share of equal elements
_SHORTEST = 4  # positions
_FEW_EXAMPLES = 8


def causality(forward: Forward) -> Answer:
    """Change the inputs after the middle of a sequence, and the targets alone; see what follows."""
    targets = _targets(forward)
    if answer := _given_targets(forward):
        return answer
    if answer := _target_among_inputs(forward, targets):
        return answer
    for place, tokens in forward.data():
        if forward.is_target(place):
            continue
        for target, inside in targets:
            for time in (1, 0):
                if (shift := _shift(tokens, target, time)) is not None:
                    return _future(forward, place, tokens, time, shift, inside)
    return Answer(UNKNOWN, "the targets are not the next inputs: there is no future to see")


def shift_of_target(forward: Forward) -> int | None:
    """How many positions the targets are ahead of the one argument that they come from: 1 or 0.

    None when they match another argument, too, at shift 0 or 1: such an argument, for example
    the source of a decoder that copies, may know the targets by right. An argument that is the
    target's own memory, as of a model that computes its own loss, counts if no other matches. None,
    too, for values that hardly change from one position to the next.
    """
    target = forward.target
    if target is None:
        return None
    shifts = {
        tensor.data_ptr(): {_shift(tensor, target, time) for time in (0, 1)} - {None}
        for _, tensor in forward.data()
    }
    own = shifts.pop(target.data_ptr(), set())
    found = [some for some in shifts.values() if some] or [own]
    if len(found) != 1 or len(found[0]) != 1:
        return None
    shift = found[0].pop()
    others = [t for _, t in forward.data() if t.data_ptr() != target.data_ptr()]
    as_long = [tensor for tensor in others if tensor.numel() == target.numel()]
    unmoved = any(_alike(tensor, target.reshape(tensor.shape)) for tensor in as_long)
    return None if shift and unmoved else shift


def _targets(forward: Forward) -> list[tuple[torch.Tensor, bool]]:
    """The targets, that of the loss function first, each with whether the model is given it.

    A model that is given its targets may shift them itself.
    """
    given = [(tensor, True) for place, tensor in forward.data() if forward.is_target(place)]
    return [*([(forward.target, False)] if forward.target is not None else []), *given]


def _given_targets(forward: Forward) -> Answer | None:
    """An answer if outputs depend on the targets of whole examples that the model is given."""
    for place, target in forward.data():
        single = target.dim() == 1 or (target.dim() == 2 and target.shape[1] == 1)
        if not forward.is_target(place) or not single or len(target) < 2:
            continue
        before = forward.outputs()
        after = forward.outputs(_moved_on(place))
        seen = [
            number
            for number, (a, b) in enumerate(zip(before, after, strict=True))
            if a.dim() > 0 and a.shape[0] == len(target) and changed(a, b).any()
        ]
        if seen and not torch.equal(target, target.roll(1, 0)):
            text = "the outputs depend on the targets that the model is given"
            return Answer(FOUND, text, {"outputs": seen})
    return None


def _moved_on(place: int) -> Callable[[int, torch.Tensor], torch.Tensor]:
    """A change that gives every example the next one's argument at that place."""
    return lambda at, tensor: tensor.roll(1, 0) if at == place else tensor


def _target_among_inputs(
    forward: Forward, targets: list[tuple[torch.Tensor, bool]]
) -> Answer | None:
    """An answer if a column of the input equals the target."""
    for target, _ in targets:
        flat = target.reshape(len(target), -1) if target.dim() else target
        if not target.dim() or flat.shape[1] != 1 or len(flat) < _FEW_EXAMPLES:
            continue
        wanted = flat[:, 0].double()
        if wanted.min() == wanted.max():
            continue
        for place, tensor in forward.data():
            if forward.is_target(place) or tensor.dim() != 2 or len(tensor) != len(flat):
                continue
            same = (tensor.double() == wanted[:, None]).all(0)
            if same.any():
                column = int(same.nonzero()[0])
                return Answer(
                    FOUND, f"column {column} of the input is the target", {"column": column}
                )
    return None


def _shift(tokens: torch.Tensor, target: torch.Tensor, time: int) -> int | None:
    """How many positions the target is ahead of the input: 1, 0, or None for no relation."""
    if tokens.dim() < 2 or tokens.shape[time] < _SHORTEST:
        return None
    length = tokens.shape[time]
    tokens = tokens.movedim(time, 1)
    for shorter in (0, 1):
        shape = (tokens.shape[0], length - shorter, *tokens.shape[2:])
        wanted = target.movedim(time, 1) if target.dim() > 1 else target
        if wanted.numel() != torch.Size(shape).numel():
            continue
        if time == 0 and target.dim() == 1:  # flattened in the order of the axes
            wanted = target.reshape(length - shorter, -1, *tokens.shape[2:]).movedim(0, 1)
        wanted = wanted.reshape(shape)
        if _alike(tokens[:, 1:], wanted[:, : length - 1]):
            return 1
        if not shorter and _alike(tokens, wanted, 1.0):
            return 0
    return None


def _alike(tokens: torch.Tensor, target: torch.Tensor, least: float = _ALIKE) -> bool:
    counted = target >= 0 if not target.is_floating_point() else torch.ones_like(target).bool()
    if counted.double().mean() < 0.5 or target[counted].unique().numel() < 2:
        return False
    same = (tokens == target) if not tokens.is_floating_point() else torch.isclose(tokens, target)
    return bool(same[counted].double().mean() >= least)


def _future(
    forward: Forward, place: int, tokens: torch.Tensor, time: int, shift: int, inside: bool
) -> Answer:
    length = tokens.shape[time]
    middle = length // 2
    batch = 1 - time
    before = forward.outputs()

    def with_other(first: int, last: int) -> list[torch.Tensor]:
        """The outputs with other inputs from position `first` to `last`."""
        there = torch.arange(length, device=tokens.device)
        there = ((there >= first) & (there <= last)).reshape(
            [-1 if axis == time else 1 for axis in range(tokens.dim())]
        )
        axis = batch if tokens.shape[batch] > 1 else time
        other = torch.where(there, tokens.roll(1, axis), tokens)
        return forward.outputs(lambda at, t: other if at == place else t)

    rows = tokens.shape[batch]
    counted = _counted(forward.target, time, rows, length)
    own = [n for n, out in enumerate(before) if _by_time(out, time, rows, length) is not None]
    if not own:
        return Answer(UNKNOWN, "no output has a part for each position")

    def moved(after: list[torch.Tensor]) -> torch.Tensor:
        """Whether any output that has a target changed at each position [length]."""
        found = torch.zeros(length, dtype=torch.bool, device="cpu")
        for n in own:
            a, b = (_by_time(out[n], time, rows, length) for out in (before, after))
            assert a is not None
            assert b is not None
            positions = changed(a, b).reshape(len(a), rows, -1).any(2).cpu()
            found[: len(positions)] |= (positions & counted[: len(positions)]).any(1)
        return found

    early = moved(with_other(middle + 1, length - 1))[: middle + 1]
    # An autoencoder, whose targets are its inputs, reads all of them by right.
    if (shift or inside) and early.any():
        first = int(early.nonzero()[0])
        return Answer(
            FOUND,
            f"the output at position {first} depends on inputs after position {middle}, and the "
            "target is the next input",
            {"position": first, "depends_on_after": middle, "length": length},
        )
    # Values may be put through a bottleneck at each step, as by a codec; ids are not.
    copies = not (shift or inside or early.any() or tokens.is_floating_point())
    # Positions that know nothing of each other are examples of a batch.
    copies = copies and bool(moved(with_other(0, middle - 1))[middle])
    if copies and moved(with_other(middle, middle))[middle]:
        text = "the target at each position is the input at that position: it need only be copied"
        return Answer(FOUND, text, {"length": length, "given": place})
    return Answer(CLEAN, f"the output at position {middle} of {length} depends on no later input")


def _counted(target: torch.Tensor | None, time: int, rows: int, length: int) -> torch.Tensor:
    """Which positions have a target that counts [length, rows]; all where that is not known."""
    counted = torch.ones(length, rows, dtype=torch.bool, device="cpu")
    if target is not None and not target.is_floating_point():
        positions = target.numel() // rows
        if target.numel() == rows * positions and length - 1 <= positions <= length:
            shape = (rows, positions) if time == 1 else (positions, rows)
            counted[:positions] = (target.reshape(shape).movedim(time, 0) >= 0).cpu()
    return counted


def _by_time(out: torch.Tensor, time: int, rows: int, length: int) -> torch.Tensor | None:
    """The output as [length, …] or [length - 1, …]; None for one without positions."""
    for positions in (length, length - 1):
        shape = (rows, positions) if time == 1 else (positions, rows)
        if out.shape[:2] == shape:
            return out.movedim(time, 0)
        if out.dim() > 1 and out.shape[0] == rows * positions:
            return out.reshape(*shape, *out.shape[1:]).movedim(time, 0)
    return None
