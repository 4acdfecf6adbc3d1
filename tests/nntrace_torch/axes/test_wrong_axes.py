"""Operations that run over another axis than is meant are found in the graph of a loss."""

import weakref

import pytest
import torch
from nntrace_torch.axes.wrong_axes import wrong_axes
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset
from torch_versions import shapes_in_graphs
from tracing import payloads

BATCH, LENGTH, HEADS, WIDTH = 3, 10, 2, 8


def projected():
    """Queries, keys and values [batch, heads, length, width] of the same positions."""
    given = torch.randn(BATCH, LENGTH, HEADS * WIDTH)
    weights = [torch.randn(HEADS * WIDTH, HEADS * WIDTH, requires_grad=True) for _ in range(3)]
    return [(given @ w).view(BATCH, LENGTH, HEADS, WIDTH).transpose(1, 2) for w in weights]


def found(loss, examples=None):
    return [(one.what, one.axis, one.right) for one in wrong_axes(loss, examples)]


def heads(dim):
    query, key, value = projected()
    scores = (query @ key.transpose(-2, -1) / WIDTH**0.5).masked_fill(
        torch.ones(LENGTH, LENGTH).triu(1).bool(), -1e9
    )
    return functional.dropout(scores.softmax(dim), 0.1) @ value


def summed_by_einsum(dim):
    query, key, value = projected()
    scores = torch.einsum("bhqd,bhkd->bhqk", query, key)
    return torch.einsum("bhqk,bhkd->bqhd", scores.softmax(dim), value)


def keys_first(dim):
    query, key, value = (tensor[:, 0] for tensor in projected())
    scores = torch.bmm(key, query.transpose(1, 2))
    return torch.bmm(value.transpose(1, 2), scores.softmax(dim))


@shapes_in_graphs
@pytest.mark.parametrize(
    ("attention", "right", "wrong"),
    [(heads, 3, 2), (heads, 3, 1), (heads, 3, 0), (summed_by_einsum, 3, 2), (keys_first, 1, 2)],
)
def test_attention_whose_softmax_ran_over_another_axis_than_the_keys(attention, right, wrong):
    assert found(attention(right).square().sum()) == []
    assert found(attention(wrong).square().sum()) == [("attention", wrong, right)]


def test_weights_that_are_divided_by_their_sum_may_compete_for_queries():
    query, key, value = (tensor[:, 0] for tensor in projected())
    weights = (query @ key.transpose(1, 2)).softmax(1)
    assert found(((weights / weights.sum(-1, keepdim=True)) @ value).sum()) == []


def test_a_product_of_two_softmaxes_may_be_taken_over_either_axis():
    query, key, _ = (tensor[:, 0] for tensor in projected())
    scores = query @ key.transpose(1, 2)
    there, back = scores.softmax(2), scores.softmax(1)
    assert found((there @ back.transpose(1, 2) @ query).sum()) == []


def test_an_assignment_to_clusters_may_be_summed_over_the_examples():
    points, weight = torch.randn(BATCH, LENGTH, WIDTH), torch.randn(WIDTH, 4, requires_grad=True)
    assigned = (points @ weight).softmax(-1)
    assert found((assigned.transpose(1, 2) @ points).square().sum()) == []


def gates(shape, dim):
    """Weights that a softmax makes of what was computed."""
    return (torch.randn(*shape, 5) @ torch.randn(5, 1, requires_grad=True)).squeeze(-1).softmax(dim)


def mixed(dim):
    return (gates((BATCH, 4), dim) * torch.randn(BATCH, 4)).sum(1).log()


def mixed_in_logarithms(dim):
    return (gates((BATCH, 4), dim).log() + torch.randn(BATCH, 4)).logsumexp(1)


def gated(dim):
    return (gates((BATCH, 4), dim).unsqueeze(-1) * torch.randn(BATCH, 4, WIDTH)).sum(1).relu()


def pooled(dim):
    return torch.bmm(gates((BATCH, 1, LENGTH), dim), torch.randn(BATCH, LENGTH, WIDTH)).relu()


@shapes_in_graphs
@pytest.mark.parametrize(
    ("weigh", "summed"), [(mixed, 1), (mixed_in_logarithms, 1), (gated, 1), (pooled, 2)]
)
def test_weights_from_a_softmax_over_the_examples(weigh, summed):
    assert found(weigh(summed).sum(), BATCH) == []
    assert found(weigh(0).sum(), BATCH) == [("weights", 0, summed)]
    assert found(weigh(0).sum(), 7) == []  # the first axis is not known to be the examples'


@shapes_in_graphs
def test_weights_from_a_softmax_over_a_single_value():
    states, score = torch.randn(BATCH, LENGTH, 5), torch.randn(5, 1, requires_grad=True)
    weigh = [((states @ score).softmax(dim) * states).sum(1).relu().sum() for dim in (1, -1)]
    assert [found(loss) for loss in weigh] == [[], [("weights", 2, 1)]]


def test_weights_of_examples_whose_losses_are_added_up_compete_by_right():
    losses = torch.randn(BATCH, 4, 5) @ torch.randn(5, requires_grad=True)
    assert found((gates((BATCH, 4), 0) * losses).sum(1).mean(), BATCH) == []
    assert found((gates((BATCH, 1), 0) * losses).sum(0).relu().sum(), BATCH) == []


LABELS = torch.randint(0, 3, (4 * 25,))


@pytest.mark.parametrize(
    ("laid_out", "number"),
    [
        (lambda out: out.view(-1, 3), 1),
        (lambda out: out.reshape(-1, 3), 1),
        (lambda out: out.permute(0, 2, 3, 1).reshape(-1, 3), 0),
        (lambda out: out.flatten(2).transpose(1, 2).reshape(-1, 3), 0),
    ],
)
def test_classes_that_are_laid_out_behind_without_being_moved_there(laid_out, number):
    out = torch.randn(4, 3, 5, 5, requires_grad=True) * 1
    loss = functional.cross_entropy(laid_out(out), LABELS)
    assert found(loss) == [("classes", 3, 1)] * number


@pytest.mark.parametrize("places", [(1, 1), (1,), ()])
def test_classes_that_a_pooling_left_at_a_single_place_are_where_they_belong(places):
    out = torch.randn(6, 5, *places, requires_grad=True)
    loss = functional.cross_entropy(out.mul(2).view(6, -1), torch.randint(0, 5, (6,)))
    assert found(loss) == []


def test_several_predictions_behind_one_another_are_laid_out_by_right():
    out = torch.randn(4, 7, 21, requires_grad=True) * 1
    assert found(functional.cross_entropy(out.view(-1, 7), torch.randint(0, 7, (84,)))) == []


class Recurrent(nn.Module):
    def __init__(self, *, batch_first):
        super().__init__()
        self.memory = nn.GRU(4, 8, batch_first=batch_first)
        self.head = nn.Linear(8, 3)

    def forward(self, given):
        return self.head(self.memory(given)[0][:, -1])


class Mixer(nn.Module):
    """Reads a batch in another layout than it has."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(20, 3)

    def forward(self, given):
        return self.head(given.transpose(0, 1).reshape(len(given), -1))


def train(model, batches, rate=0.05):
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    for given, labels in batches:
        optimizer.zero_grad()
        functional.cross_entropy(model(given), labels).backward()
        optimizer.step()


def drawn(steps=8, *, size=6):
    torch.manual_seed(0)
    return [(torch.randn(size, 5, 4), torch.arange(size) % 3) for _ in range(steps)]


def told(trace):
    return payloads(trace, "axes")


def in_heads(cut, attend, heads=2):
    """The loss of attention over what `cut` makes of queries, keys and values [N, T, heads·D]."""
    given = torch.randn(BATCH, LENGTH, HEADS * WIDTH)
    parts = [cut(nn.Linear(HEADS * WIDTH, HEADS * WIDTH)(given), heads) for _ in range(3)]
    return attend(*parts).square().mean()


def exchanged_by_view(x, heads):
    return x.view(BATCH, heads, LENGTH, HEADS * WIDTH // heads)


def cut_and_transposed(x, heads):
    return x.view(BATCH, LENGTH, heads, HEADS * WIDTH // heads).transpose(1, 2)


def by_products(query, key, value):
    return (query @ key.transpose(-2, -1) * 0.3).softmax(-1) @ value


@shapes_in_graphs
@pytest.mark.parametrize("attend", [by_products, functional.scaled_dot_product_attention])
def test_heads_that_a_view_cut_out_of_the_positions_are_found(attend):
    assert {one[0] for one in found(in_heads(exchanged_by_view, attend))} == {"heads"}
    assert found(in_heads(cut_and_transposed, attend)) == []


@shapes_in_graphs
@pytest.mark.parametrize("attend", [by_products, functional.scaled_dot_product_attention])
def test_heads_that_are_put_together_without_moving_their_axis_are_found(attend):
    def back(*parts, move):
        out = attend(*parts)
        return (out.transpose(1, 2) if move else out).reshape(BATCH, LENGTH, HEADS * WIDTH)

    loss = in_heads(cut_and_transposed, lambda *parts: back(*parts, move=False))
    assert {one[0] for one in found(loss)} == {"heads"}
    assert found(in_heads(cut_and_transposed, lambda *parts: back(*parts, move=True))) == []


@shapes_in_graphs
def test_as_many_heads_as_positions_leave_open_which_axis_is_which(monkeypatch):
    monkeypatch.setitem(globals(), "LENGTH", 4)
    assert found(in_heads(exchanged_by_view, by_products, heads=4)) == []


@shapes_in_graphs
def test_classes_that_a_view_was_to_move_to_the_first_axis_are_found():
    out, labels = torch.randn(6, 5, 7, requires_grad=True) * 1, torch.randint(0, 7, (6, 5))
    assert found(functional.cross_entropy(out.view(6, 7, 5), labels)) == [("classes", 2, 1)]
    assert found(functional.cross_entropy(out.transpose(1, 2), labels)) == []


@pytest.mark.parametrize(("batch_first", "number"), [(False, 1), (True, 0)])
def test_a_recurrence_along_the_examples_is_told_with_its_line(trace_here, batch_first, number):
    answers = told(trace_here(lambda: train(Recurrent(batch_first=batch_first), drawn())))
    assert [answer["layer"] for answer in answers] == ["GRU"] * number
    if number:
        assert answers[0]["file"] == __file__


def test_a_model_whose_loss_stays_where_it_is_is_asked_whether_it_mixes_examples(trace_here):
    answers = told(trace_here(lambda: train(Mixer(), drawn(40), rate=1e-4), every=1))
    assert [answer["what"] for answer in answers] == ["examples"]


class Placed(nn.Module):
    """Adds positions along the examples, where time was meant."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(20, 3)
        self.register_buffer("positions", torch.arange(64.0)[:, None, None])

    def forward(self, given):
        return self.head((given + self.positions[: len(given)]).flatten(1))


def test_positions_that_are_added_along_the_examples_are_told(trace_here):
    answers = told(trace_here(lambda: train(Placed(), drawn(40), rate=1e-6), every=1))
    assert [answer["what"] for answer in answers] == ["examples"]
    assert "moved by one place" in answers[0]["text"]


def test_the_same_batch_in_every_step_may_be_a_graph_whose_nodes_belong_together(trace_here):
    assert told(trace_here(lambda: train(Recurrent(batch_first=False), drawn(1) * 8))) == []


class OfRows(nn.Module):
    """Takes rows [N, 4], which its recurrent layer takes for the time steps of one example."""

    def __init__(self):
        super().__init__()
        self.memory = nn.GRU(4, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, given):
        return self.head(self.memory(given)[0])


def test_an_episode_without_a_loader_is_no_batch(trace_here):
    torch.manual_seed(0)
    episodes = [(torch.randn(9, 4), torch.arange(9) % 3) for _ in range(8)]
    assert told(trace_here(lambda: train(OfRows(), episodes))) == []


def test_the_rows_a_loader_delivers_are_examples(trace_here):
    torch.manual_seed(0)
    rows = TensorDataset(torch.randn(72, 4), torch.arange(72) % 3)
    answers = told(trace_here(lambda: train(OfRows(), DataLoader(rows, batch_size=9))))
    assert [answer["layer"] for answer in answers] == ["GRU"]


@pytest.mark.parametrize(("exchanges", "number"), [(False, 1), (True, 0)])
def test_as_many_examples_as_features_are_examples_as_the_loader_stacked_them(
    trace_here, exchanges, number
):
    torch.manual_seed(0)
    rows = TensorDataset(torch.randn(48, 4), torch.arange(48) % 3)

    def program():
        batches = DataLoader(rows, batch_size=4)
        train(OfRows(), ((x.T if exchanges else x, labels) for x, labels in batches))

    answers = told(trace_here(program))
    assert len(answers) == number


def test_the_question_leaves_the_training_as_it_was(trace_here):
    ends = []

    def program():
        torch.manual_seed(1)
        model = Recurrent(batch_first=False)
        train(model, drawn())
        ends.append(model.head.weight.detach().clone())

    program()
    assert told(trace_here(program))
    assert torch.equal(*ends)


@shapes_in_graphs
def test_the_line_of_a_softmax_over_another_axis_is_told(trace_here):
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.query, self.key, self.value = (nn.Linear(4, 4) for _ in range(3))

        def forward(self, given):
            weights = (self.query(given) @ self.key(given).transpose(1, 2)).softmax(1)
            return (weights @ self.value(given)).mean(1)

    [answer] = told(trace_here(lambda: train(Attention(), drawn())))
    assert (answer["what"], answer["axis"], answer["right"]) == ("attention", 1, 2)
    assert answer["file"] == __file__


def test_layers_that_an_encoder_copied_have_the_line_of_the_encoder(trace_here):
    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            layer = nn.TransformerEncoderLayer(4, 2, 8)
            self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
            self.head = nn.Linear(4, 3)

        def forward(self, given):
            return self.head(self.encoder(given).mean(1))

    [answer] = told(trace_here(lambda: train(Encoder(), drawn())))
    assert answer["layer"] == "TransformerEncoderLayer"
    assert answer["file"] == __file__


def test_the_line_of_a_softmax_over_another_axis_keeps_no_graph_alive(trace_here):
    class Mark:
        pass

    marks, alive = [], []

    def program():
        weight = nn.Parameter(torch.randn(4, 5, 6))
        optimizer = torch.optim.SGD([weight], lr=0.1)
        for _ in range(5):
            rows = torch.softmax(weight * 2, 1)
            rows.grad_fn.metadata["test"] = mark = Mark()
            marks.append(weakref.ref(mark))
            (weight.grad,) = torch.autograd.grad(rows.square().sum(), weight)
            optimizer.step()
            del rows, mark
            alive.append(sum(one() is not None for one in marks))

    trace_here(program)
    assert alive == [0] * 5


def normalised(given, dim):
    return functional.normalize(given, dim=dim)


def by_hand(given, dim):
    return given / (given.norm(dim=dim, keepdim=True) + 1e-8)


def by_inverse(given, dim):
    return given * given.square().sum(dim, keepdim=True).rsqrt().minimum(torch.tensor(1e7))


@shapes_in_graphs
@pytest.mark.parametrize("normalise", [normalised, by_hand, by_inverse])
def test_a_product_of_vectors_that_were_normalised_over_another_axis(normalise):
    weight = torch.randn(WIDTH, WIDTH, requires_grad=True)
    one, other = torch.randn(LENGTH, WIDTH) @ weight, torch.randn(LENGTH, WIDTH) @ weight
    right = normalise(one, 1) @ normalise(other, -1).t() / 0.1
    wrong = normalise(one, 0) @ normalise(other, 0).t() / 0.1
    assert found(right.logsumexp(1).sum()) == []
    assert found(wrong.logsumexp(1).sum()) == [("norm", 0, 1)]


@shapes_in_graphs
def test_the_axis_that_normalize_takes_by_itself_is_not_that_of_the_width_of_a_sequence():
    weight = torch.randn(WIDTH, WIDTH, requires_grad=True)
    sequence = torch.randn(BATCH, LENGTH, WIDTH) @ weight
    unit, fine = functional.normalize(sequence), functional.normalize(sequence, dim=-1)
    assert found((unit @ unit.transpose(1, 2)).square().sum()) == [("norm", 1, 2)]
    assert found((fine @ fine.transpose(1, 2)).square().sum()) == []


def test_features_normalised_over_the_batch_may_be_correlated_over_it():
    weight = torch.randn(WIDTH, WIDTH, requires_grad=True)
    features = functional.normalize(torch.randn(LENGTH, WIDTH) @ weight, dim=0)
    assert found((features.t() @ features).square().sum()) == []
    unit = functional.normalize(torch.randn(WIDTH, 4, requires_grad=True), dim=0)
    assert found((functional.normalize(torch.randn(LENGTH, WIDTH) @ weight) @ unit).sum()) == []
