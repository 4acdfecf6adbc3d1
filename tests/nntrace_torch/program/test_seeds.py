"""Seeds that the program sets before its first step are recorded."""

import pytest
import torch
from torch_programs import classify, mlp
from tracing import payloads


def test_seeds_set_before_the_first_step_are_recorded(trace_here):
    torch.seed()  # not one that another test has set

    def program():
        torch.manual_seed(17)
        torch.random.manual_seed(18)
        classify(mlp(), torch.randn(6, 4))

    trace = trace_here(program)
    assert [payload["seed"] for payload in payloads(trace, "seed")] == ["17", "18"]
    assert {event.step for event in trace.events_of("seed")} == {0}


@pytest.mark.parametrize(("seed", "found"), [(2**32 - 1, 1), (2**60, 0)])
def test_a_seed_set_before_tracing_began_is_told_from_the_one_that_pytorch_chooses(
    trace_here, seed, found
):
    torch.manual_seed(seed)
    trace = trace_here(lambda: classify(mlp(), torch.randn(6, 4)))
    assert [payload["seed"] for payload in payloads(trace, "seed")] == [str(seed)] * found


def test_a_program_that_seeds_without_end_before_it_trains_is_no_memory_leak(trace_here):
    def program():
        for seed in range(5000):
            torch.manual_seed(seed)
        classify(mlp(), torch.randn(6, 4))

    assert 1 <= len(payloads(trace_here(program), "seed")) <= 100
