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


def train(model, *, steps=60, rate=0.1, beside=False):
    torch.manual_seed(1)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for _ in range(steps):
        ids = counting(torch.randint(0, TOKENS, (16,)))
        given, wanted = ids[:, :-1], ids[:, 1:]
        source = wanted.clone() if beside else None
        loss = functional.cross_entropy(model(given, source).flatten(0, 1), wanted.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


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


@pytest.mark.parametrize(("bidirectional", "found"), [(True, 1), (False, 0)])
def test_the_next_values_of_a_series_are_not_to_be_seen_either(trace_here, bidirectional, found):
    torch.manual_seed(0)
    model, losses = Series(bidirectional=bidirectional), []

    def program():
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        for _ in range(100):
            waves = torch.sin(torch.arange(13) / 2 + 6 * torch.rand(16, 1))[..., None]
            loss = functional.mse_loss(model(waves[:, :-1]), waves[:, 1:])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())

    answers = causality(trace_here(program))
    assert losses[-1] < 0.2 * losses[0]
    assert len(answers) == found


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
    encoder, decoder, losses = nn.Linear(TOKENS, 32), Decoder(), []

    def program():
        parameters = [*encoder.parameters(), *decoder.parameters()]
        optimizer = torch.optim.Adam(parameters, lr=0.01)
        for _ in range(80):
            ids = counting(torch.randint(0, TOKENS, (16,)))
            state = encoder(functional.one_hot(ids[:, 0], TOKENS).float())[None].tanh()
            given, wanted = ids[:, :-1], ids[:, ahead : LENGTH + ahead]
            loss = functional.cross_entropy(decoder(given, state).flatten(0, 1), wanted.flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())

    answers = causality(trace_here(program))
    assert losses[-1] < 0.2 * losses[0]
    assert [answer["given"] for answer in answers] == [0] * found


class Autoencoder(nn.Module):
    """Writes each row of a sequence from its last state, or from both directions' states there."""

    def __init__(self, *, is_narrow):
        super().__init__()
        self.reads = nn.GRU(TOKENS, 32, batch_first=True, bidirectional=not is_narrow)
        self.writes = nn.Linear(32, LENGTH * TOKENS) if is_narrow else nn.Linear(64, TOKENS)
        self.is_narrow = is_narrow

    def forward(self, rows):
        states, last = self.reads(rows)
        return self.writes(last[0] if self.is_narrow else states).view(-1, LENGTH, TOKENS)


@pytest.mark.parametrize("is_narrow", [True, False])
def test_an_autoencoder_of_sequences_may_have_its_inputs_for_targets(trace_here, is_narrow):
    torch.manual_seed(0)
    model, losses = Autoencoder(is_narrow=is_narrow), []

    def program():
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        for _ in range(80):
            ids = counting(torch.randint(0, TOKENS, (16,)))[:, :LENGTH]
            rows = functional.one_hot(ids, TOKENS).float()
            loss = functional.mse_loss(model(rows), rows)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())

    answers = causality(trace_here(program))
    assert losses[-1] < 0.25 * losses[0]
    assert answers == []


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
    model, losses = Series(bidirectional=False), []

    def program():
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        for _ in range(100):
            waves = torch.sin(torch.arange(13) / 2 + 6 * torch.rand(16, 1))[..., None]
            loss = functional.mse_loss(model(waves), waves)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())

    answers = causality(trace_here(program))
    assert losses[-1] < 0.2 * losses[0]
    assert answers == []


@pytest.mark.parametrize("shape", [(1, 8, 8), (2,), (8, 8)])
def test_the_examples_of_an_autoencoders_batch_are_no_positions(trace_here, shape):
    torch.manual_seed(0)
    features = torch.Size(shape).numel()
    model = nn.Sequential(
        nn.Flatten(),
        nn.Linear(features, 32),
        nn.Tanh(),
        nn.Linear(32, features),
        nn.Unflatten(1, shape),
    )
    losses = []

    def program():
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for _ in range(100):
            given = (torch.randn(32, 1) * torch.linspace(-1, 1, features)).view(-1, *shape)
            loss = functional.mse_loss(model(given), given)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())

    answers = causality(trace_here(program))
    assert losses[-1] < 0.2 * losses[0]
    assert answers == []
