"""What replaying a step's forward says of small models: mixing, causality, backward."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch_programs import Wrapped, classify

from nntrace.rules.probes import told

LINE = torch.randn(6, 5, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def answers(under):
    """What is told of a program's last step."""

    def ask(program, steps=2):
        return told(under(program, dependencies=True, steps=steps))

    return ask


def fit(forward, inputs=LINE, **parts):
    """Two steps of a model given by its forward."""

    def program():
        torch.manual_seed(1)
        model = Wrapped(forward, **parts)
        classify(model, inputs, steps=2)

    return program


def flat(self, x):
    return self.head(x.flatten(1))


HEAD = {"head": lambda: nn.Linear(20, 3)}


def parts(**made):
    return {name: make() for name, make in made.items()}


def test_a_plain_model_mixes_nothing(answers):
    assert answers(fit(flat, **parts(**HEAD)))["mixing"]["state"] == "clean"


def test_a_program_s_default_device_is_not_where_its_forward_is_examined(answers):
    def program():
        model, targets = nn.Linear(4, 3), torch.arange(6) % 3
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with torch.device("meta"):  # where whatever is made without saying where has no values
            for _ in range(2):
                optimizer.zero_grad()
                functional.cross_entropy(model(LINE[:, 0]), targets).backward()
                optimizer.step()

    assert answers(program)["mixing"]["state"] == "clean"


@pytest.mark.parametrize("by_name", [True, False])
def test_a_forward_within_the_closure_of_a_step_is_examined(answers, by_name):
    def program():
        model = nn.Linear(4, 3)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

        def closure():
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(LINE[:, 0]), torch.arange(6) % 3)
            loss.backward()
            return loss

        for _ in range(2):
            optimizer.step(closure=closure) if by_name else optimizer.step(closure)

    found = answers(program)
    assert found["mixing"]["state"] == "clean"
    assert "text" in found["causality"]


def test_a_view_for_a_transpose_mixes_examples(answers):
    def forward(self, x):  # [batch, time, features] is to be [time, batch, features]
        turned = x.view(x.shape[1], x.shape[0], x.shape[2])
        return self.head(turned.transpose(0, 1).flatten(1))

    answer = answers(fit(forward, **parts(**HEAD)))["mixing"]
    assert answer["state"] == "found"
    assert answer["evidence"]["depends_on"]


def test_a_softmax_over_the_batch_mixes_examples(answers):
    def forward(self, x):
        return self.head(x.flatten(1)).softmax(0)

    assert answers(fit(forward, **parts(**HEAD)))["mixing"]["state"] == "found"


def by_place(self, x):
    """Positions that are added along the examples."""
    return self.head(x.flatten(1) + torch.arange(len(x))[:, None])


def with_noise(self, x):
    return self.head(x.flatten(1) + torch.randn(len(x), 1))


def with_a_state(self, x):
    """As a recurrence that goes on where it was, example by example."""
    self.state = getattr(self, "state", torch.arange(len(x))[:, None]) + x[:, 0, :1].detach()
    return self.head(x.flatten(1) + self.state)


@pytest.mark.parametrize(
    ("forward", "state"), [(by_place, "found"), (with_noise, "clean"), (with_a_state, "clean")]
)
def test_an_output_that_goes_by_the_place_in_the_batch_is_found(answers, forward, state):
    answer = answers(fit(forward, **parts(**HEAD)))["mixing"]
    assert answer["state"] == state
    if state == "found":
        assert answer["evidence"]["by_place"]


def test_a_state_that_goes_from_call_to_call_belongs_to_a_place_in_the_batch(answers):
    def program():
        torch.manual_seed(1)
        model = Wrapped(lambda self, x, h: self.cell(x, h), cell=nn.GRUCell(4, 3))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(2):
            optimizer.zero_grad()
            state = torch.zeros(6, 3)
            for x in LINE.unbind(1):
                state = model(x, state)
            functional.cross_entropy(state, torch.arange(6) % 3).backward()
            optimizer.step()

    assert answers(program)["mixing"]["state"] == "clean"


def test_the_examples_that_mix_are_those_of_the_gradient(answers):
    def forward(self, x):
        out = self.head(x.flatten(1))
        return torch.cat([out[:2], out[2:4] + 1e-4 * out[[0, 5]], out[4:]])

    answer = answers(fit(forward, **parts(**HEAD)))["mixing"]
    assert answer["evidence"]["depends_on"] == [5], "example 3 is given a little of example 5"
    ratio = answer["evidence"]["gradient_of_other"] / answer["evidence"]["gradient_of_own"]
    assert ratio == pytest.approx(1e-4, rel=1e-3)


def test_integers_mix_through_their_embeddings(answers):
    def forward(self, x):
        return self.head(self.table(x).mean(0, keepdim=True).expand(len(x), -1, -1).flatten(1))

    tokens = torch.arange(30).reshape(6, 5)
    model = parts(table=lambda: nn.Embedding(30, 4), **HEAD)
    evidence = answers(fit(forward, tokens, **model))["mixing"]["evidence"]
    assert evidence["depends_on"] == [0, 1, 2, 4, 5]
    assert evidence["gradient_of_other"] == pytest.approx(evidence["gradient_of_own"])


def test_a_choice_that_has_no_gradient_is_found_by_exchange(answers):
    def forward(self, x):
        return self.head(x.flatten(1)) + x.flatten(1).sum(1).argsort().argsort()[:, None]

    answer = answers(fit(forward, **parts(**HEAD)))["mixing"]
    assert answer["state"] == "found"
    assert "no gradient" in answer["text"]


SORTED = torch.cat([LINE[:, :, :3], torch.arange(6.0, 0, -1).repeat(5, 1).T[..., None]], -1)


@pytest.mark.parametrize(("mixes", "state"), [(False, "clean"), (True, "found")])
def test_a_model_that_must_be_given_a_sorted_batch_is_examined_with_one(answers, mixes, state):
    def forward(self, x):
        if (x[:, 0, 3].diff() > 0).any():
            raise RuntimeError("`lengths` array must be sorted in decreasing order")
        others = x.detach().mean(0) if mixes else 0.0
        return self.head((x + others).flatten(1))

    assert answers(fit(forward, SORTED, **parts(**HEAD)))["mixing"]["state"] == state


def test_a_model_that_takes_one_order_alone_is_not_judged_and_says_why(answers):
    def forward(self, x):
        if (x[:, 0, 3].diff() != -1).any():
            raise ValueError("not this batch")
        return self.head(x.flatten(1))

    answer = answers(fit(forward, SORTED, **parts(**HEAD)))["mixing"]
    assert answer["state"] == "unknown"
    assert answer["text"].endswith("in the order they have only: not this batch")


def test_batch_norm_is_named_and_not_blamed(answers):
    def forward(self, x):
        return self.norm(self.head(x.flatten(1)))

    norm = {"norm": lambda: nn.BatchNorm1d(3)}
    answer = answers(fit(forward, **parts(**HEAD, **norm)))["mixing"]
    assert answer["state"] == "clean"
    assert "batch norm" in answer["text"]
    bare = {"norm": lambda: nn.BatchNorm1d(3, track_running_stats=False)}
    assert answers(fit(forward, **parts(**HEAD, **bare)))["mixing"]["state"] == "noted"


def test_an_output_that_compares_examples_is_noted(answers):
    def forward(self, x):
        z = functional.normalize(self.head(x.flatten(1)), dim=1)
        return z @ z.T

    def program():
        torch.manual_seed(1)
        model = Wrapped(forward, **parts(**HEAD))
        classify(model, LINE, classes=6, steps=2)

    assert answers(program)["mixing"]["state"] == "noted"


def test_examples_along_the_second_axis_of_a_sequence_layer_are_found(answers):
    def forward(self, x):
        return self.head(self.rnn(x)[0][-1])

    inputs = LINE.transpose(0, 1).contiguous()  # [time, batch, features]

    def program():
        torch.manual_seed(1)
        model = Wrapped(forward, rnn=nn.GRU(4, 7), head=nn.Linear(7, 3))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(2):
            functional.cross_entropy(model(inputs), torch.arange(6) % 3).backward()
            optimizer.step()

    assert answers(program)["mixing"]["state"] == "clean"


def test_the_words_of_the_one_sentence_that_a_model_transposes_are_no_examples(answers):
    def forward(self, x, state):
        return self.head(self.rnn(x.transpose(0, 1), state)[0]).transpose(0, 1).squeeze(0)

    def program():
        torch.manual_seed(1)
        model = Wrapped(forward, rnn=nn.GRU(4, 7), head=nn.Linear(7, 3))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(2):
            outputs = model(LINE[:1], torch.zeros(1, 1, 7))
            functional.cross_entropy(outputs, torch.arange(5) % 3).backward()
            optimizer.step()

    answer = answers(program)["mixing"]
    assert (answer["state"], answer["text"]) == (
        "unknown",
        "a batch of 1 is too small to exchange others than one",
    )


def test_the_examination_leaves_the_training_as_it_was(under):
    losses = []

    def program():
        torch.manual_seed(1)
        model = nn.Sequential(nn.Flatten(), nn.Linear(20, 3), nn.Dropout(0.5), nn.BatchNorm1d(3))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(4):
            loss = functional.cross_entropy(model(LINE), torch.arange(6) % 3)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        losses.append([loss.item(), *model.state_dict().values()])
        losses[-1][1:] = [value.clone() for value in losses[-1][1:]]
        assert model.training

    program()
    under(program, dependencies=True, steps=2)
    bare, examined = losses
    assert bare[0] == examined[0]
    assert all(torch.equal(a, b) for a, b in zip(bare[1:], examined[1:], strict=True))


class Attention(nn.Module):
    def __init__(self, *, causal):
        super().__init__()
        self.table = nn.Embedding(11, 8)
        self.position = nn.Parameter(torch.randn(12, 8))
        self.qkv = nn.Linear(8, 24)
        self.head = nn.Linear(8, 11)
        self.causal = causal

    def forward(self, tokens):
        x = self.table(tokens) + self.position[: tokens.shape[1]]
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        x = x + functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.head(x)


def speak(model, shift=1):
    def program():
        generator = torch.Generator().manual_seed(2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(2):
            text = torch.randint(0, 11, (4, 9), generator=generator)
            x, y = text[:, : 9 - shift], text[:, shift:]
            logits = model(x)
            optimizer.zero_grad()
            functional.cross_entropy(logits.reshape(-1, 11), y.reshape(-1)).backward()
            optimizer.step()

    return program


def test_a_causal_mask_keeps_the_future_out(answers):
    assert answers(speak(Attention(causal=True)))["causality"]["state"] == "clean"


def test_attention_without_its_mask_sees_the_future(answers):
    answer = answers(speak(Attention(causal=False)))["causality"]
    assert answer["state"] == "found", answer
    assert "after position" in answer["text"]


def test_targets_that_are_not_shifted_need_only_be_copied(answers):
    answer = answers(speak(Attention(causal=True), shift=0))["causality"]
    assert answer["state"] == "found", answer
    assert "copied" in answer["text"]


@pytest.mark.parametrize(("cut", "state"), [(0, "found"), (1, "clean")])
def test_of_targets_that_a_model_is_given_those_that_reach_its_loss_are_judged(answers, cut, state):
    class Speaker(Attention):
        def forward(self, tokens, targets):
            logits = super().forward(tokens)[:, : tokens.shape[1] - cut]
            shifted = targets[:, cut:]
            loss = functional.cross_entropy(logits.reshape(-1, 11), shifted.reshape(-1))
            return logits, loss

    def program():
        generator = torch.Generator().manual_seed(2)
        model = Speaker(causal=True)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(2):
            tokens = torch.randint(0, 11, (4, 9), generator=generator)
            optimizer.zero_grad()
            model(tokens, tokens.clone())[1].backward()
            optimizer.step()

    assert answers(program)["causality"]["state"] == state


def test_an_autoencoder_of_sequences_is_no_copy(answers):
    class Autoencoder(Attention):
        def forward(self, tokens):
            x = self.table(tokens).mean(1, keepdim=True) + self.position[: tokens.shape[1]]
            return self.head(x)

    answer = answers(speak(Autoencoder(causal=False), shift=0))["causality"]
    assert answer["state"] == "clean", answer


def test_a_column_that_is_the_target_is_found(answers):
    def program():
        torch.manual_seed(0)
        model = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(2):
            x = torch.randn(16, 4)
            functional.mse_loss(model(x), x[:, 2:3]).backward()
            optimizer.step()

    answer = answers(program)["causality"]
    assert answer["state"] == "found"
    assert answer["evidence"] == {"column": 2}


def test_outputs_that_use_the_given_targets_are_found(answers):
    class Leaks(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(20, 3)

        def forward(self, x, labels):
            logits = self.head(x.flatten(1)) + functional.one_hot(labels, 3)
            return functional.cross_entropy(logits, labels), logits

    def program():
        model = Leaks()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(2):
            model(LINE, labels=torch.arange(6) % 3)[0].backward()
            optimizer.step()

    assert "given" in answers(program)["causality"]["text"]


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x


class WrongSquare(Square):
    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return x * g


class RightSquare(Square):
    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2 * x * g


class Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx, g):
        return g


class Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, g):
        return -g


@pytest.mark.parametrize(
    ("function", "expected"),
    [(RightSquare, "clean"), (WrongSquare, "found"), (Step, "noted"), (Reverse, "noted")],
)
def test_backwards_are_compared_with_differences(answers, function, expected):
    def forward(self, x):
        return function.apply(self.head(x.flatten(1)))

    told_of = answers(fit(forward, **parts(**HEAD)))["functions"]
    (answer,) = told_of.values()
    assert answer["state"] == expected, answer
    if expected == "found":
        assert answer["evidence"]["factor"] == pytest.approx(0.5, rel=1e-3)
        assert answer["file"] == __file__


def layered_model(forward):
    """A head of PyTorch's around a layer of one's own."""

    class Mine(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.full((3,), 0.7))

        def forward(self, x):
            return forward(self, x)

    def whole(self, x):
        return self.mine(self.head(x.flatten(1)))

    return fit(whole, **parts(**HEAD, mine=Mine))


def test_layers_of_ones_own_are_compared_with_differences(answers):
    told_of = answers(layered_model(lambda self, x: torch.tanh(x * self.scale)))["layers"]
    assert {name.rpartition(".")[2]: one["state"] for name, one in told_of.items()} == {
        "Mine": "clean",
        "Wrapped": "clean",
    }


def test_a_layer_that_is_cut_off_inside_is_noted_where_it_is(answers):
    told_of = answers(layered_model(lambda self, x: x * (x * self.scale).detach()))["layers"]
    ((name, answer),) = told_of.items()
    assert name.endswith("Mine")
    assert answer["state"] == "noted"
    assert "detached" in answer["text"]
    assert answer["evidence"]["module"] == "mine"
    assert answer["evidence"]["factor"] == pytest.approx(0.5, rel=1e-3)


def test_an_operator_of_a_library_of_ones_own_is_compared_with_differences(answers):
    @torch.library.custom_op("nntrace_tests::square", mutates_args=())
    def square(x: torch.Tensor) -> torch.Tensor:
        return x * x

    def backward(ctx, g):
        return ctx.saved_tensors[0] * g

    def keep(ctx, inputs, output):
        ctx.save_for_backward(inputs[0])

    square.register_autograd(backward, setup_context=keep)
    told_of = answers(fit(lambda self, x: square(self.head(x.flatten(1))), **parts(**HEAD)))
    answer = told_of["functions"]["nntrace_tests.square"]
    assert answer["evidence"]["factor"] == pytest.approx(0.5, rel=1e-3)
    assert answer["line"] == backward.__code__.co_firstlineno
