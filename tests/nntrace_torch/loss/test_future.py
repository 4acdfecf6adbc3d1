"""A language model is asked whether it sees the next token when its loss becomes suspicious."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from tracing import payloads

TOKENS, LENGTH = 12, 10


class Model(nn.Module):
    """Predicts the next token from the token `ahead` positions further on."""

    def __init__(self, ahead, *, dropout=0.0):
        super().__init__()
        self.table = nn.Embedding(TOKENS, 32)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(32, TOKENS)
        self.ahead = ahead

    def forward(self, ids, beside=None):
        hidden = self.dropout(self.table(ids)).roll(-self.ahead, 1)
        return self.head(hidden if beside is None else self.table(beside))


def counting(start):
    """Sequences that count up, so that each token tells the next: [examples, LENGTH + 1]."""
    return (start[:, None] + torch.arange(LENGTH + 1)) % TOKENS


def descend(loss_of, *models, steps, rate):
    """The losses of steps by Adam on what `loss_of()` computes."""
    parameters = [parameter for model in models for parameter in model.parameters()]
    optimizer, losses = torch.optim.Adam(parameters, lr=rate), []
    for _ in range(steps):
        loss = loss_of()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def some_ids(length=LENGTH + 1):
    return counting(torch.randint(0, TOKENS, (16,)))[:, :length]


def train(model, *, steps=60, rate=0.1, beside=False):
    torch.manual_seed(1)

    def loss_of():
        ids = some_ids()
        given, wanted = ids[:, :-1], ids[:, 1:]
        source = wanted.clone() if beside else None
        return functional.cross_entropy(model(given, source).flatten(0, 1), wanted.flatten())

    return descend(loss_of, model, steps=steps, rate=rate)[-1]


def causality(trace):
    return payloads(trace, "causality")


@pytest.mark.parametrize(("ahead", "found"), [(1, 1), (0, 0)])
def test_a_model_that_looks_ahead_is_told_from_one_that_does_not(trace_here, ahead, found):
    model, ends = Model(ahead), []
    answers = causality(trace_here(lambda: ends.append(train(model))))
    assert ends[0] < 0.5
    assert len(answers) == found
    if found:
        assert answers[0]["depends_on_after"] == LENGTH // 2


def test_a_loss_that_stays_high_is_no_suspicion(trace_here):
    assert not causality(trace_here(lambda: train(Model(1), steps=8, rate=1e-4)))


def test_a_source_beside_the_decoders_input_may_hold_the_targets(trace_here):
    ends = []
    answers = causality(trace_here(lambda: ends.append(train(Model(0), beside=True))))
    assert ends[0] < 0.5
    assert answers == []


def test_the_replay_leaves_the_training_as_it_was(trace_here):
    weights = []

    def program():
        torch.manual_seed(0)
        model = Model(1, dropout=0.3)
        train(model)
        weights.append(model.head.weight.detach().clone())

    program()
    assert causality(trace_here(program))
    assert torch.equal(*weights)


class Series(nn.Module):
    """Predicts the next value of a series [N, T, 1], by a memory of one or both directions."""

    def __init__(self, *, bidirectional):
        super().__init__()
        self.memory = nn.GRU(1, 16, batch_first=True, bidirectional=bidirectional)
        self.head = nn.Linear(32 if bidirectional else 16, 1)

    def forward(self, given):
        return self.head(self.memory(given)[0])


def waves():
    return torch.sin(torch.arange(13) / 2 + 6 * torch.rand(16, 1))[..., None]


def judged(trace_here, loss_of, *models, steps=100, rate=0.02, below=0.2):
    """What is told of a program whose loss falls below a share of the first."""
    losses = []
    trace = trace_here(lambda: losses.extend(descend(loss_of, *models, steps=steps, rate=rate)))
    assert losses[-1] < below * losses[0]
    return causality(trace)


@pytest.mark.parametrize(("bidirectional", "found"), [(True, 1), (False, 0)])
def test_the_next_values_of_a_series_are_not_to_be_seen_either(trace_here, bidirectional, found):
    torch.manual_seed(0)
    model = Series(bidirectional=bidirectional)

    def loss_of():
        series = waves()
        return functional.mse_loss(model(series[:, :-1]), series[:, 1:])

    assert len(judged(trace_here, loss_of, model)) == found


class Decoder(nn.Module):
    """Reads tokens from the left beside what an encoder made of a source."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(TOKENS, 32)
        self.memory = nn.GRU(32, 32, batch_first=True)
        self.head = nn.Linear(32, TOKENS)

    def forward(self, ids, state):
        return self.head(self.memory(self.table(ids), state)[0])


@pytest.mark.parametrize(("ahead", "found"), [(0, 1), (1, 0)])
def test_a_decoder_must_not_be_given_its_targets_as_they_are(trace_here, ahead, found):
    torch.manual_seed(0)
    encoder, decoder = nn.Linear(TOKENS, 32), Decoder()

    def loss_of():
        ids = some_ids()
        state = encoder(functional.one_hot(ids[:, 0], TOKENS).float())[None].tanh()
        given, wanted = ids[:, :-1], ids[:, ahead : LENGTH + ahead]
        return functional.cross_entropy(decoder(given, state).flatten(0, 1), wanted.flatten())

    answers = judged(trace_here, loss_of, encoder, decoder, steps=80, rate=0.01)
    assert [answer["given"] for answer in answers] == [0] * found


class Autoencoder(nn.Module):
    """Writes the ids of a sequence from its last state, or from both directions' states there."""

    def __init__(self, *, is_narrow, time_first):
        super().__init__()
        self.table = nn.Embedding(TOKENS, 32)
        self.reads = nn.GRU(32, 32, batch_first=not time_first, bidirectional=not is_narrow)
        self.writes = nn.Linear(32, LENGTH * TOKENS) if is_narrow else nn.Linear(64, TOKENS)
        self.is_narrow, self.time_first = is_narrow, time_first

    def forward(self, ids):
        states, last = self.reads(self.table(ids))
        if not self.is_narrow:
            return self.writes(states)
        written = self.writes(last[0]).unflatten(1, (LENGTH, TOKENS))
        return written.transpose(0, 1) if self.time_first else written


@pytest.mark.parametrize("is_narrow", [True, False])
@pytest.mark.parametrize("time_first", [True, False])
def test_an_autoencoder_of_ids_may_have_its_inputs_for_targets(trace_here, is_narrow, time_first):
    """With time first the examples of a batch, too, are to give what they were given."""
    torch.manual_seed(0)
    model = Autoencoder(is_narrow=is_narrow, time_first=time_first)

    def loss_of():
        ids = some_ids(LENGTH).T if time_first else some_ids(LENGTH)
        return functional.cross_entropy(model(ids).flatten(0, 1), ids.flatten())

    assert judged(trace_here, loss_of, model) == []


class Reader(nn.Module):
    """Predicts the next token by attention, which hides what `hidden` [LENGTH, LENGTH] says."""

    def __init__(self, hidden):
        super().__init__()
        self.table = nn.Embedding(TOKENS, 32)
        self.attention = nn.MultiheadAttention(32, 2, batch_first=True)
        self.head = nn.Linear(32, TOKENS)
        self.hidden = hidden

    def forward(self, ids, beside=None):
        x = self.table(ids)
        x = x + self.attention(x, x, x, attn_mask=self.hidden, need_weights=False)[0]
        return self.head(x)


LATER = torch.ones(LENGTH, LENGTH).triu(1).bool()
BEHIND_THE_NEXT = torch.ones(LENGTH, LENGTH).triu(2).bool()


@pytest.mark.parametrize(("hidden", "found"), [(None, 1), (BEHIND_THE_NEXT, 1), (LATER, 0)])
def test_attention_that_looks_ahead_is_a_suspicion_while_the_loss_is_high(
    trace_here, hidden, found
):
    trace = trace_here(lambda: train(Reader(hidden), steps=8, rate=1e-4))
    assert len(causality(trace)) == found


class Translator(Reader):
    """Reads a source with attention to all of it, beside the decoder's own tokens."""

    def __init__(self):
        super().__init__(LATER)
        self.encoder = nn.TransformerEncoderLayer(32, 2, 32, batch_first=True)

    def forward(self, ids, beside):
        return super().forward(ids) + self.head(self.encoder(self.table(beside)).mean(1))[:, None]


def test_an_encoder_may_look_at_all_of_its_source(trace_here):
    model = Translator()

    def program():
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
        for _ in range(8):
            ids = counting(torch.randint(0, TOKENS, (16,)))
            source = torch.randint(0, TOKENS, (16, LENGTH))
            logits = model(ids[:, :-1], source)
            functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten()).backward()
            optimizer.step()

    trace = trace_here(program)
    assert payloads(trace, "causality") == []


@pytest.mark.parametrize("counts", [False, True])
def test_a_prompt_may_be_read_from_both_sides_if_its_tokens_are_no_targets(trace_here, counts):
    prompt = 8  # positions of every second example, of which all but the last are told
    hidden = LATER.repeat(32, 1, 1)  # for each example and head
    hidden.view(16, 2, LENGTH, LENGTH)[1::2, :, :prompt, :prompt] = False
    model = Reader(hidden)

    def program():
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
        for _ in range(8):
            ids = counting(torch.randint(0, TOKENS, (16,)))
            wanted = ids[:, 1:].clone()
            if not counts:
                wanted[1::2, : prompt - 1] = -100
            functional.cross_entropy(model(ids[:, :-1]).flatten(0, 1), wanted.flatten()).backward()
            optimizer.step()

    assert len(causality(trace_here(program))) == counts


def test_values_that_hardly_change_are_not_the_next_ones(trace_here):
    model = Reader(None)

    def program():
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
        for _ in range(8):
            ids = torch.zeros(16, LENGTH, dtype=torch.int64)
            ids[:4, 3:] = 1
            functional.cross_entropy(model(ids).flatten(0, 1), ids.clone().flatten()).backward()
            optimizer.step()

    assert causality(trace_here(program)) == []


def test_an_autoencoder_of_values_may_read_nothing_ahead(trace_here):
    torch.manual_seed(0)
    model = Series(bidirectional=False)

    def loss_of():
        series = waves()
        return functional.mse_loss(model(series), series)

    assert judged(trace_here, loss_of, model) == []


def test_the_pictures_of_an_autoencoders_batch_are_no_positions(trace_here):
    torch.manual_seed(0)
    layers = nn.Flatten(), nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 64)
    model = nn.Sequential(*layers, nn.Unflatten(1, (1, 8, 8)))

    def loss_of():
        pictures = (torch.randn(32, 1) * torch.linspace(-1, 1, 64)).view(-1, 1, 8, 8)
        return functional.mse_loss(model(pictures), pictures)

    assert judged(trace_here, loss_of, model, rate=0.01) == []
