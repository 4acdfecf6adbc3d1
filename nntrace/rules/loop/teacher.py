"""Whether a model that teaches another one is in training mode."""

from collections.abc import Iterable, Iterator, Sequence

from nntrace.rules.common.layers import in_modes
from nntrace.rules.common.payloads import count, place
from nntrace.rules.finding import Finding
from nntrace.trace import Event

_MOST = 0.9  # of the passes


def teacher_in_train_mode(groups: Iterable[Sequence[Event]], lessons: int) -> Iterator[Finding]:
    """Find a fixed model that runs beside the trained one in every step, with active layers.

    A mean teacher or a target network, which follows the trained model, may keep its noise.

    Args:
        groups: the evaluations of each model, from each place in the program.
        lessons: the number of passes during which its weights must have stayed the same.
    """
    for group in groups:
        last = group[-1].payload
        unchanged = count(last, "unchanged")
        if unchanged < lessons or unchanged < _MOST * count(last, "number"):
            continue
        beside = [event.payload for event in group if event.payload.get("is_beside")]
        repeated = sum(2 * count(one, "repeated") >= count(one, "calls") for one in beside)
        if len(beside) < _MOST * (len(group) - 1) or 2 * repeated > len(beside):
            continue
        dropouts, norms = count(last, "dropout_active"), count(last, "norm_active")
        if not dropouts and not norms:
            continue
        yield Finding(
            "a teacher is in training mode: a model whose weights do not change runs without "
            f"gradients on the trained model's inputs in every step, with "
            f"{in_modes(dropouts, norms)} active. Its outputs are random, or depend on the other "
            "examples of the batch.",
            steps=(group[0].step, group[-1].step),
            evidence={
                "steps": 1 + count(last, "number"),
                "dropout_active": dropouts,
                "norm_active": norms,
            },
            advice="Call `eval()` on the teacher once, after its own training or loading.",
            location=place(last),
        )
        return
