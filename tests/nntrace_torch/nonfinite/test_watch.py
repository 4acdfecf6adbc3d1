"""The first non-finite value of each site is recorded, once."""

import torch
from torch_programs import classify, mlp


def test_the_first_nonfinite_value_of_a_site_is_recorded_once(trace_here):
    model = mlp()

    def program():
        inputs = torch.randn(6, 4)
        classify(model, inputs, steps=2)
        with torch.no_grad():
            model[0].weight[0, 0] = float("nan")
        classify(model, inputs, steps=2)

    events = trace_here(program).events_of("nonfinite")
    steps = {(event.payload["role"], event.payload["site"]): event.step for event in events}
    assert len(steps) == len(events)
    for site in (("param", "0.weight"), ("activation", "0"), ("output", "cross_entropy")):
        assert steps[site] == 2
