import inspect

import numpy as np
import pytest
import torch
from nntrace_torch.loss.given import _some_rows
from torch import nn
from torch.nn import functional
from torch.nn.functional import mse_loss
from torch_programs import classify, mlp

BEFORE_TRACING = functional.cross_entropy


def test_predictions_and_targets_are_those_the_loss_function_received(trace_here):
    model, inputs = mlp(), torch.randn(6, 4)
    seen = []

    def doubled(logits, targets):
        seen.append((2 * logits).detach().numpy().copy())
        return functional.cross_entropy(2 * logits, targets)

    trace = trace_here(lambda: classify(model, inputs, loss_function=doubled))
    recorded = trace.series("output", "max", trace.site("cross_entropy", "output"))
    assert recorded == pytest.approx([logits.max() for logits in seen], rel=1e-5)
    targets = trace.series("target", "max", trace.site("cross_entropy", "target"))
    assert targets.tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    "call",
    [
        lambda x, y: functional.cross_entropy(x, y),
        lambda x, y: nn.CrossEntropyLoss()(x, y),
        lambda x, y: functional.cross_entropy(input=x, target=y),
        lambda x, y: functional.cross_entropy(x, target=y, reduction="sum") / len(x),
    ],
    ids=["function", "module", "keywords", "sum"],
)
def test_a_loss_is_seen_however_it_is_called(trace_here, call):
    trace = trace_here(lambda: classify(mlp(), torch.randn(6, 4), loss_function=call))
    (event,) = trace.events_of("loss_call")
    assert event.payload["function"] == "cross_entropy"
    assert event.payload["classes"] == 3
    assert event.payload["file"] == __file__
    source = inspect.getsource(call)
    assert event.payload["reduction"] == ("sum" if '"sum"' in source else "mean")


@pytest.mark.parametrize("swapped", [False, True])
def test_the_target_of_a_symmetric_loss_is_the_one_without_a_gradient(trace_here, swapped):
    model, goals = mlp(), torch.full((6, 3), 7.0)

    def compare(predicted, _):
        pair = (goals, predicted) if swapped else (predicted, goals)
        return functional.mse_loss(*pair)

    trace = trace_here(lambda: classify(model, torch.randn(6, 4), loss_function=compare))
    assert set(trace.series("target", "max", trace.site("mse_loss", "target"))) == {7.0}
    assert trace.series("output", "std", trace.site("mse_loss", "output")).min() > 0.0


def test_a_loss_module_with_options_says_them(trace_here):
    loss = nn.CrossEntropyLoss(weight=torch.ones(3), label_smoothing=0.1, reduction="sum")
    trace = trace_here(lambda: classify(mlp(), torch.randn(6, 4), loss_function=loss))
    (event,) = trace.events_of("loss_call")
    assert event.payload["weighted"] is True
    assert event.payload["label_smoothing"] == 0.1
    assert event.payload["reduction"] == "sum"


def test_what_a_loss_ignores_is_said_where_it_can_ignore_anything(trace_here):
    def ignored(loss):
        trace = trace_here(lambda: classify(mlp(), torch.randn(6, 4), loss_function=loss))
        (event,) = trace.events_of("loss_call")
        return event.payload.get("ignore_index")

    assert ignored(lambda x, y: functional.cross_entropy(x, y)) == -100
    assert ignored(nn.CrossEntropyLoss(ignore_index=0)) == 0
    assert ignored(lambda x, y: functional.mse_loss(x, x.detach() + 1)) is None


def test_labels_that_a_loss_ignores_are_not_counted(trace_here):
    loss = nn.CrossEntropyLoss(ignore_index=255)
    labels = torch.tensor([0, 255, 1, 2, 255, 1])
    trace = trace_here(
        lambda: classify(mlp(), torch.randn(6, 4), loss_function=lambda x, y: loss(x, labels))
    )
    assert all(batch.label_values == (0, 1, 2) for batch in trace.batches)


def test_options_given_by_place_or_in_the_old_way_are_seen_too(trace_here):
    def reduction(loss):
        trace = trace_here(lambda: classify(mlp(), torch.randn(6, 4), loss_function=loss))
        (event,) = trace.events_of("loss_call")
        return event.payload["reduction"], event.payload["weighted"]

    def by_place(x, y):
        return functional.cross_entropy(x, y, torch.ones(3), None, -100, None, "sum")

    def old(x, y):
        return functional.nll_loss(x.log_softmax(1), y, size_average=False)

    assert reduction(by_place) == ("sum", True)
    with pytest.warns(UserWarning, match="size_average"):
        assert reduction(old) == ("sum", False)


@pytest.mark.parametrize("weight", [None, torch.tensor(3.0)])
def test_a_positive_weight_is_announced(trace_here, weight):
    loss = nn.BCEWithLogitsLoss(pos_weight=weight)

    def call(x, y):
        return loss(x[:, 0], (y > 0).float())

    trace = trace_here(lambda: classify(mlp(), torch.randn(6, 4), loss_function=call))
    (event,) = trace.events_of("loss_call")
    assert event.payload["pos_weight"] is event.payload["weighted"] is (weight is not None)


@pytest.mark.parametrize(
    ("loss", "weights"),
    [
        (nn.CrossEntropyLoss(weight=torch.tensor([1.0, 0.5, 2.0])), {"0": 1.0, "1": 0.5, "2": 2.0}),
        (nn.CrossEntropyLoss(), {}),
        (lambda x, y: pos_weighed([4.0])(x[:, 0], y.gt(0).float()), {"0": 1.0, "1": 4.0}),
        (lambda x, y: pos_weighed([4.0, 2.0])(x[:, :2], y.gt(0).float()[:, None].repeat(1, 2)), {}),
    ],
    ids=["classes", "none", "positives", "of each label"],
)
def test_what_each_class_weighs_is_announced(trace_here, loss, weights):
    trace = trace_here(lambda: classify(mlp(), torch.randn(6, 4), loss_function=loss))
    (event,) = trace.events_of("loss_call")
    assert event.payload["class_weights"] == weights


def pos_weighed(weights):
    return nn.BCEWithLogitsLoss(pos_weight=torch.tensor(weights))


@pytest.mark.filterwarnings("ignore:.*Profiler clears events:UserWarning")  # PyTorch 2.12's own
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_rows_of_dense_predictions_are_taken_without_copying_all_of_them(memory_format):
    predicted = torch.randn(4, 5, 64, 64).contiguous(memory_format=memory_format).movedim(1, -1)
    with torch.profiler.profile(profile_memory=True) as profile:
        rows = _some_rows(predicted)
    whole = predicted.reshape(-1, 5)
    step = len(whole) // (8192 // 5)
    assert torch.equal(rows, whole[::step][: 8192 // 5])
    largest = max(event.self_cpu_memory_usage for event in profile.key_averages())
    assert largest < whole.nbytes / 2


def test_each_call_site_is_announced_once_with_its_line(trace_here):
    first_line = inspect.currentframe().f_lineno + 2

    def two(logits, targets):
        a = functional.cross_entropy(logits, targets)
        b = mse_loss_here(logits, functional.one_hot(targets, 3).float())
        return a + b

    mse_loss_here = functional.mse_loss
    trace = trace_here(lambda: classify(mlp(), torch.randn(6, 4), loss_function=two))
    lines = [(e.payload["function"], e.payload["line"]) for e in trace.events_of("loss_call")]
    assert lines[0] == ("cross_entropy", first_line + 1)
    assert len(lines) == len(set(lines)) <= 2


def test_a_function_imported_from_its_module_under_trace_is_seen(trace_here):
    def program():
        from torch.nn.functional import cross_entropy

        classify(mlp(), torch.randn(6, 4), loss_function=cross_entropy)

    assert len(trace_here(program).events_of("loss_call")) == 1


def test_the_traced_function_is_the_original_again_afterwards(trace_here):
    trace_here(lambda: classify(mlp(), torch.randn(6, 4)))
    assert functional.cross_entropy is BEFORE_TRACING
    assert functional.mse_loss is mse_loss


@pytest.mark.parametrize(
    ("name", "outputs", "targets"),
    [
        ("cross_entropy", (8, 3), torch.arange(8) % 3),
        ("cross_entropy", (8, 3), torch.full((8, 3), 1 / 3)),
        ("cross_entropy", (2, 3, 4, 4), torch.zeros(2, 4, 4, dtype=torch.long)),
        ("cross_entropy", (3,), torch.tensor(1)),
        ("nll_loss", (8, 3), torch.arange(8) % 3),
        ("binary_cross_entropy", (8, 1), torch.ones(8, 1)),
        ("binary_cross_entropy_with_logits", (8,), torch.ones(8)),
        ("mse_loss", (8, 1), torch.randn(8, 1)),
        ("mse_loss", (), torch.tensor(1.0)),
        ("l1_loss", (8, 2), torch.randn(8, 2)),
        ("smooth_l1_loss", (8, 2), torch.randn(8, 2)),
        ("huber_loss", (8, 2), torch.randn(8, 2)),
        ("kl_div", (8, 3), torch.full((8, 3), 1 / 3)),
        ("poisson_nll_loss", (8,), torch.ones(8)),
        ("soft_margin_loss", (8,), torch.ones(8)),
        ("multi_margin_loss", (8, 3), torch.arange(8) % 3),
        ("multilabel_soft_margin_loss", (8, 3), torch.ones(8, 3)),
    ],
)
def test_every_known_loss_function_is_recorded(trace_here, name, outputs, targets):
    weight = torch.zeros(outputs, requires_grad=True)
    options = {"reduction": "batchmean"} if name == "kl_div" else {}

    def program():
        optimizer = torch.optim.SGD([weight], lr=0.1)
        function = getattr(functional, name)
        for _ in range(2):
            function(weight.sigmoid(), targets, **options).backward()
            optimizer.step()

    trace = trace_here(program)
    assert [event.payload["function"] for event in trace.events_of("loss_call")] == [name]
    assert np.isfinite(trace.steps.loss).all()


def test_the_classes_of_dense_predictions_are_on_axis_one(trace_here):
    model = nn.Conv2d(1, 5, 1)

    def program():
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        targets = torch.zeros(2, 4, 4, dtype=torch.long)
        functional.cross_entropy(model(torch.randn(2, 1, 4, 4)), targets).backward()
        optimizer.step()

    (batch,) = trace_here(program).batches
    assert batch.classes == 5
    assert batch.label_values == (0,)
    assert batch.label_counts == (32,)


def test_row_sums_tell_probabilities_from_logits(trace_here):
    def on_probabilities(logits, targets):
        return functional.cross_entropy(logits.softmax(dim=1), targets)

    inputs = torch.randn(6, 4)
    trace = trace_here(lambda: classify(mlp(), inputs, loss_function=on_probabilities))
    batch, on_logits = trace.batches[0], trace_here(lambda: classify(mlp(), inputs)).batches[0]
    assert (batch.row_sum_min, batch.row_sum_max) == (pytest.approx(1), pytest.approx(1))
    assert batch.output_min >= 0
    assert on_logits.row_sum_max - on_logits.row_sum_min > 1e-3


def test_of_several_losses_in_a_step_the_first_describes_the_batch(trace_here):
    def both(logits, targets):
        first = functional.cross_entropy(logits, targets)
        return first + functional.mse_loss(logits, torch.zeros_like(logits))

    trace = trace_here(lambda: classify(mlp(), torch.randn(6, 4), loss_function=both))
    assert {batch.loss_function for batch in trace.batches} == {"cross_entropy"}
    functions = {event.payload["function"] for event in trace.events_of("loss_call")}
    assert functions == {"cross_entropy", "mse_loss"}


def test_a_loss_without_gradient_is_not_the_steps(trace_here):
    def validated(logits, targets):
        with torch.no_grad():
            functional.mse_loss(logits.detach(), torch.zeros_like(logits))
        return functional.cross_entropy(logits, targets)

    trace = trace_here(lambda: classify(mlp(), torch.randn(6, 4), loss_function=validated))
    assert {batch.loss_function for batch in trace.batches} == {"cross_entropy"}


def test_the_loss_value_of_the_batch_is_the_one_returned(trace_here):
    trace = trace_here(lambda: classify(mlp(), torch.randn(6, 4)))
    recorded = [batch.loss_value for batch in trace.batches]
    assert recorded == pytest.approx(trace.steps.loss.tolist(), rel=1e-6)


@pytest.mark.parametrize(
    ("predict", "over_classes"),
    [
        (lambda out: out.log_softmax(0), False),
        (lambda out: out.log_softmax(1), True),
        (lambda out: out.T.log_softmax(0).T, True),
        (lambda out: out.T.log_softmax(-1).T, False),
        (lambda out: out, None),
    ],
)
def test_whether_a_softmax_is_over_the_classes_is_known_in_a_square_of_predictions(
    trace_here, predict, over_classes
):
    model = nn.Linear(4, 4)

    def program():
        given, labels = torch.randn(4, 4), torch.arange(4)
        functional.nll_loss(predict(model(given)), labels).backward()
        torch.optim.SGD(model.parameters(), lr=0.1).step()

    [event] = trace_here(program).events_of("loss_call")
    assert event.payload["over_classes"] is over_classes


@pytest.mark.parametrize("is_detached", [False, True])
def test_a_target_that_another_network_learns_to_make_is_told_from_data(trace_here, is_detached):
    teacher = mlp()

    def compare(predicted, _):
        made = teacher(torch.ones(6, 4))
        return functional.mse_loss(predicted, made.detach() if is_detached else made)

    trace = trace_here(lambda: classify(mlp(), torch.randn(6, 4), loss_function=compare))
    (event,) = trace.events_of("loss_call")
    assert event.payload["learned_target"] is not is_detached
