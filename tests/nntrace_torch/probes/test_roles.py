"""Which arguments of a model are inputs."""

import torch
from nntrace_torch.probes.roles import INPUT, Roles
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence
from torch.overrides import TorchFunctionMode


class Following(TorchFunctionMode):
    def __init__(self, roles):
        super().__init__()
        self.roles = roles

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.roles.saw(getattr(func, "__name__", ""), args, kwargs or {}, result)
        return result


def test_the_lengths_of_packed_sequences_are_no_inputs_though_they_size_the_state():
    table, recurrent, head = nn.Embedding(20, 4), nn.LSTM(4, 5, batch_first=True), nn.Linear(5, 1)
    tokens, lengths = torch.randint(0, 20, (3, 6)), torch.tensor([6, 4, 2])
    roles = Roles(enumerate((tokens, lengths)))
    with Following(roles):
        packed = pack_padded_sequence(table(tokens), lengths, batch_first=True)
        head(recurrent(packed)[1][0][-1])
    assert (roles.of(0), roles.of(1)) == (INPUT, "")
