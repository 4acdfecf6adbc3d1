"""Training and evaluation mode, and what norms bring from an earlier training, are recorded."""

import pytest
import torch
from torch import nn
from torch_programs import classify
from tracing import payloads


def test_a_mode_is_recorded_when_it_changes(trace_here):
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))

    def program():
        classify(model, torch.randn(6, 4), steps=3)
        model[2].eval()
        classify(model, torch.randn(6, 4), steps=2)
        model.eval()
        classify(model, torch.randn(6, 4), steps=2)

    trace = trace_here(program)
    assert [
        (e.step, e.payload["training"], e.payload["dropout_active"], e.payload["norm_active"])
        for e in trace.events_of("mode")
    ] == [(0, True, 1, 1), (3, True, 0, 1), (5, False, 0, 0)]


@pytest.mark.parametrize(("batches", "counted"), [(0, 0), (6, 0), (7, 1)])
def test_norms_that_bring_statistics_of_an_earlier_training_are_counted(
    trace_here, batches, counted
):
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    with torch.no_grad():
        for _ in range(batches):
            model(torch.randn(6, 4))

    trace = trace_here(lambda: classify(model, torch.randn(6, 4), steps=2))
    assert payloads(trace, "mode")[0]["norm_trained"] == counted
