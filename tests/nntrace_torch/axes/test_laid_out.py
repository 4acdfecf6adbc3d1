"""A model's input whose axes are exchanged by `view`, as a layer is given it."""

import pytest
import torch
from torch import nn
from torch_programs import classify


class Reader(nn.Module):
    """Reads [N, 4, 6] by a recurrent layer over the last axis, or the one before."""

    def __init__(self, rearrange):
        super().__init__()
        self.rearrange = rearrange
        self.memory = nn.GRU(4, 8, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, given):
        return self.head(self.memory(self.rearrange(given))[0][:, -1])


def told(trace):
    return [e.payload for e in trace.events_of("axes") if e.payload["what"] == "input"]


@pytest.mark.parametrize("lay_out", [torch.Tensor.view, torch.Tensor.reshape])
def test_axes_that_a_view_exchanges_are_told_where_the_layer_is_called(trace_here, lay_out):
    model = Reader(lambda given: lay_out(given, len(given), 6, 4))
    (found,) = told(trace_here(lambda: classify(model, torch.randn(8, 4, 6))))
    assert (found["shape"], found["result"], found["layer"]) == ([8, 4, 6], [8, 6, 4], "GRU")
    assert found["file"] == __file__


@pytest.mark.parametrize(
    "rearrange",
    [
        lambda given: given.transpose(1, 2),
        lambda given: given.transpose(1, 2).contiguous(),
        lambda given: given.permute(0, 2, 1).reshape(len(given), 6, 4),
        lambda given: given.unsqueeze(1).transpose(1, 3).squeeze(3),
    ],
    ids=["transposed", "and copied", "and laid out as it is", "by an axis of one"],
)
def test_axes_that_are_moved_are_healthy(trace_here, rearrange):
    assert told(trace_here(lambda: classify(Reader(rearrange), torch.randn(8, 4, 6)))) == []


def test_an_axis_of_one_element_may_be_anywhere(trace_here):
    model = Reader(lambda given: given.view(len(given), 6, 1).expand(-1, -1, 4))
    assert told(trace_here(lambda: classify(model, torch.randn(8, 1, 6)))) == []


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace")  # what is looked at
def test_a_graph_that_is_being_captured_holds_nothing_of_it(trace_here):
    class Halves(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(6, 3)

        def forward(self, given):
            return self.inner(given.view(3, 6))

    bare = torch.jit.trace(Halves(), torch.ones(6, 3)).code
    traced = []

    def program():
        traced.append(torch.jit.trace(Halves(), torch.ones(6, 3)).code)
        classify(nn.Sequential(nn.Linear(4, 3)), torch.randn(6, 4))

    trace_here(program)
    assert traced == [bare]
