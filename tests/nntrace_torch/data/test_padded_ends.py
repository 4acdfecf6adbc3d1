"""What a recurrent layer says after the padding of its sequences is noticed where it is used."""

import gc
import weakref

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
from tracing import payloads

LENGTHS = torch.tensor([12, 9, 4, 7, 5, 11, 3, 6, 8, 10])
ROWS = torch.arange(len(LENGTHS))


def told(trace_here, read, *, kind=nn.LSTM, batch_first=True, in_front=False, bidirectional=False):
    def train():
        words = nn.Embedding(20, 5, padding_idx=0)
        layer = kind(5, 4, batch_first=batch_first, bidirectional=bidirectional)
        head = nn.Linear(8 if bidirectional else 4, 1)
        parts = nn.ModuleList([words, layer, head])
        optimizer = torch.optim.SGD(parts.parameters(), lr=0.01)
        for _ in range(12):
            ids = pad_sequence([torch.randint(1, 20, (n,)) for n in LENGTHS], batch_first=True)
            ids = ids.flip(1) if in_front else ids
            x = words(ids if batch_first else ids.T)
            optimizer.zero_grad()
            head(read(layer, x)).square().mean().backward()
            optimizer.step()

    return payloads(trace_here(train), "padded")


def last(layer, x):
    return layer(x)[0][:, -1, :]


def everything(x, axis):
    """As older PyTorch takes a `:`."""
    return torch.ops.aten.slice(x, axis, 0, 2**63 - 1, 1)


def last_of_slices(layer, x):
    return everything(everything(layer(x)[0], 0)[:, -1], 1)


def mean_of_slices(layer, x):
    return everything(layer(x)[0], 0).mean(1)


def last_in_time(layer, x):
    return layer(x)[0][-1]


def last_state(layer, x):
    state = layer(x)[1]
    return (state[0] if isinstance(state, tuple) else state)[-1]


def own_last(layer, x):
    return layer(x)[0][ROWS, LENGTHS - 1]


def mean(layer, x):
    return layer(x)[0].mean(1)


def packed(layer, x):
    return last_state(layer, pack_padded_sequence(x, LENGTHS, True, enforce_sorted=False))


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM, nn.RNN])
@pytest.mark.parametrize(("read", "name"), [(last, "output"), (last_state, "state")])
def test_what_is_read_after_the_padding_is_told_once(trace_here, kind, read, name):
    [payload] = told(trace_here, read, kind=kind)
    assert payload["class"] == kind.__name__
    assert payload["reads"] == name
    assert payload["file"] == __file__
    assert payload["examples"] == pytest.approx(0.9)
    assert payload["share"] == pytest.approx(1 - LENGTHS.sum() / (12 * len(LENGTHS)))


def test_an_axis_may_be_taken_whole_before(trace_here):
    [payload] = told(trace_here, last_of_slices)
    assert payload["reads"] == "output"


def test_time_may_come_first(trace_here):
    [payload] = told(trace_here, last_in_time, batch_first=False)
    assert payload["reads"] == "output"


@pytest.mark.parametrize("read", [own_last, mean, mean_of_slices, packed])
def test_what_each_sequence_says_at_its_own_end_is_read_well(trace_here, read):
    assert told(trace_here, read) == []


def test_padding_in_front_does_no_harm(trace_here):
    assert told(trace_here, last, in_front=True) == []


def test_the_state_of_a_layer_in_both_directions_began_behind(trace_here):
    assert (
        told(trace_here, lambda *given: last_state(*given).repeat(1, 2), bidirectional=True) == []
    )


def test_a_layer_whose_last_outputs_were_read_is_not_kept_alive(trace_here):
    gone = []

    def train():
        layer, head = nn.GRU(5, 4, batch_first=True), nn.Linear(4, 1)
        optimizer = torch.optim.SGD(nn.ModuleList([layer, head]).parameters(), lr=0.01)
        for _ in range(2):
            padded = pad_sequence([torch.randn(n, 5) for n in LENGTHS], batch_first=True)
            head(last(layer, padded)).square().mean().backward()
            optimizer.step()
        gone.append(weakref.ref(layer))

    def program():
        train()
        gc.collect()
        gone.append(gone[0]())

    trace_here(program)
    assert gone[1] is None
