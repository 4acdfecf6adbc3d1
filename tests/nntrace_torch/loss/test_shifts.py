"""Labels of a language model that were shifted twice are noticed."""

import pytest
import torch
from nntrace_torch.loss.shifts import is_shifted_twice
from torch import nn
from torch.nn import functional
from tracing import payloads

WORDS, LENGTH = 12, 10


class Model(nn.Module):
    """Computes its own loss, for which it shifts the labels."""

    def __init__(self):
        super().__init__()
        self.words, self.head = nn.Embedding(WORDS, 8), nn.Linear(8, WORDS)
        self.layer = nn.GRU(8, 8, batch_first=True)

    def forward(self, ids, labels):
        logits = self.head(self.layer(self.words(ids))[0])[:, :-1]
        return functional.cross_entropy(logits.reshape(-1, WORDS), labels[:, 1:].reshape(-1))


def told(trace_here, labels_of, ahead=False):
    def train():
        model = Model()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(12):
            text = torch.randint(0, WORDS, (6, LENGTH + 2))
            loss = model(text[:, :-2], labels_of(text))
            if ahead:
                loss = model(text[:, :-2], text[:, :-2]) + loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return payloads(trace_here(train), "shifted")


def test_labels_that_were_shifted_before_are_told_once(trace_here):
    assert told(trace_here, lambda text: text[:, 1:-1]) == [
        {"path": "cross_entropy", "length": LENGTH}
    ]


def test_labels_that_the_model_alone_shifts_are_fine(trace_here):
    assert told(trace_here, lambda text: text[:, :-2]) == []


def test_the_token_after_the_next_may_be_predicted_beside_the_next(trace_here):
    assert told(trace_here, lambda text: text[:, 1:-1], ahead=True) == []


def shifted(tokens, by, length):
    whole = torch.cat([tokens, torch.full((len(tokens), by), -100)], dim=1)
    return whole[:, by : by + length]


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("length", [LENGTH, LENGTH - 1, LENGTH - 2])
def test_only_labels_two_positions_on_were_shifted_twice(length, flat):
    tokens = torch.randint(0, WORDS, (8, LENGTH))
    for by in (0, 1, 2, 3):
        labels = shifted(tokens, by, length)
        assert is_shifted_twice(tokens, labels.reshape(-1) if flat else labels) == (by == 2)


def test_a_text_of_one_word_tells_nothing():
    tokens = torch.ones(8, LENGTH, dtype=torch.int64)
    assert not is_shifted_twice(tokens, tokens)
