"""The optimizer steps that training graphs hold, numbered in the order in which they are built.

A step's number is noted on its graph and on those around it; what the step holds of them is
released with the function that trains.
"""

from collections.abc import Sequence
from typing import Any

from nntrace_keras.graphs.on_graph import functions_around, list_on
from nntrace_keras.samples.calls import Step
from nntrace_keras.tape.under_tape import key


class GraphSteps:
    """All steps in graphs.

    Attributes:
        made: the steps, by their numbers.
    """

    def __init__(self) -> None:
        self.made: list[Step] = []

    @property
    def count(self) -> int:
        """The number of steps, which is the number of the next one."""
        return len(self.made)

    @property
    def have_one_optimizer(self) -> bool:
        """Whether all steps are of the same optimizer, as of no pair of networks that compete."""
        return len({step.optimizer for step in self.made}) == 1

    def add(self, step: Step) -> None:
        """Add a step of the graph that is being built."""
        note_step(len(self.made))
        self.made.append(step)

    def repeats(self, graph: Any, optimizer: str, variables: Sequence[Any]) -> bool:
        """Whether the graph already samples a step of this optimizer on one of these variables.

        If so, that step's update is computed, too: the variables only show the sum of all changes.
        """
        mine = {key(variable) for variable in variables}
        for step in self.made:
            second = step.second if step.optimizer == optimizer else None
            if second is None or second.graph is not graph:
                continue
            if any(key(stepped.variable) in mine for stepped in step.updates):
                second.with_update = True
                return True
        return False


def steps_in(graph: Any) -> list[int]:
    """The numbers of the steps in a graph and in the functions that it calls."""
    return list_on(graph, "_nntrace_steps")


def note_step(number: int) -> None:
    """Note a step on the graph that is being built and on those around it."""
    for graph in functions_around():
        if number not in steps_in(graph):
            steps_in(graph).append(number)


def release(step: Step) -> None:
    """Let go what the step holds, as the function that made it is gone."""
    step.second, step.updates, step.waiting, step.keepsakes = None, [], [], None
    step.spans, step.losses, step.forward = (), (), None
