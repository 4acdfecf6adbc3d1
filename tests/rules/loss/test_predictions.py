import pytest
from rules.builders import batches, event, findings, run_rule, site, skip_reasons, trace_of
from rules.loss.loss_rows import called

from nntrace.rules.finding import Finding, Severity

PROBABILITIES = {"row_sum_min": 0.999, "row_sum_max": 1.001, "output_min": 0.0, "output_max": 0.9}


def calls(count=10, **values):
    """A trace of cross-entropy calls on ten classes."""
    healthy = {"loss_function": "cross_entropy", "classes": 10, "batch_size": 32}
    return trace_of(steps=count, batches=batches(count, **{**healthy, **PROBABILITIES, **values}))


# LOS02


def test_probabilities_given_to_cross_entropy_are_an_error():
    [finding] = findings("LOS02", calls())
    assert finding.evidence["lowest_possible_loss"] == pytest.approx(1.461, abs=1e-3)


@pytest.mark.parametrize(
    ("low", "high", "found"), [(0.991, 1.009, 1), (0.989, 1.0, 0), (1.0, 1.011, 0)]
)
def test_rows_that_do_not_sum_to_one_are_logits(low, high, found):
    assert len(findings("LOS02", calls(row_sum_min=low, row_sum_max=high))) == found


def test_negative_values_are_logits_even_when_rows_sum_to_one():
    assert findings("LOS02", calls(output_min=-0.1)) == []


def test_probabilities_given_to_another_loss_function_are_healthy():
    assert skip_reasons("LOS02", calls(loss_function="binary_cross_entropy"))


def test_a_single_batch_is_not_enough_to_tell():
    assert skip_reasons("LOS02", calls(count=1))
    assert findings("LOS02", calls(count=2))


@pytest.mark.parametrize(("logits", "found"), [(1, 1), (2, 0)])
def test_rows_must_be_probabilities_in_nine_of_ten_batches(logits, found):
    lows = [-3.0] * logits + [0.999] * (10 - logits)
    assert len(findings("LOS02", calls(row_sum_min=lows))) == found


def test_a_softmax_behind_another_is_an_error_whatever_the_loss_takes():
    call = {"function": "categorical_crossentropy", "hidden_logits": True, "line": 3}
    trace = calls(loss_function="categorical_crossentropy")
    assert skip_reasons("LOS02", trace)
    event_of = event("loss_call", file="train.py", doubled=True, **call)
    [finding] = findings("LOS02", trace_of(steps=3, events=[event_of]))
    assert "twice" in finding.message
    assert finding.location.line == 3


def test_keras_finds_the_logits_behind_a_softmax_of_which_it_is_told_that_it_is_none():
    call = {"function": "sparse_categorical_crossentropy", "hidden_logits": True, "line": 3}
    told = event("loss_call", file="train.py", from_logits=True, **call)
    [finding] = findings("LOS02", trace_of(steps=3, events=[told]))
    assert (finding.level, finding.harms_run) == (Severity.WARNING, False)
    assert finding.location.line == 3


@pytest.mark.parametrize(
    ("vertices", "found"),
    [
        (["head", ":softmax", ":logsoftmax", ":mul", ":sum"], 1),
        (["head", ":softmax", ":div", ":logsoftmax", ":sum"], 0),
        (["head", ":softmax", ":logsoftmax", "decoder", ":sum"], 0),
        (["head", ":logsoftmax", ":mul", ":sum"], 0),
    ],
)
def test_a_loss_by_hand_on_a_softmax_is_seen_in_the_graph(vertices, found):
    chain = [[place, place + 1] for place in range(len(vertices) - 1)]
    graph = event("graph", vertices=vertices, edges=chain)
    results = run_rule("LOS02", trace_of(loss=[1.0] * 20, events=[graph]))
    assert len([result for result in results if hasattr(result, "message")]) == found


# LOS03


def nll(function="nll_loss", count=12, call=None, sites=(), **values):
    """A trace with one place that calls a loss function."""
    rows = batches(count, loss_function=function, batch_size=32, **values)
    payload = {"function": function, "file": "train.py", "line": 7, **(call or {})}
    return trace_of(steps=count, batches=rows, sites=sites, events=[event("loss_call", **payload)])


@pytest.mark.parametrize(("lse", "found"), [(0.04, 0), (0.06, 1), (-0.06, 1), (3.2, 1)])
def test_rows_that_are_no_log_probabilities_are_an_error(lse, found):
    trace = nll(row_lse_min=lse, row_lse_max=lse, classes=10)
    assert len(findings("LOS03", trace)) == found


@pytest.mark.parametrize(("right", "found"), [(1, 1), (2, 0)])
def test_nine_of_ten_calls_must_be_wrong(right, found):
    lse = [0.0] * right + [2.0] * (10 - right)
    trace = nll(count=10, row_lse_min=lse, row_lse_max=lse)
    assert len(findings("LOS03", trace)) == found


def test_probabilities_given_to_nll_are_called_so():
    sums = {"row_sum_min": 1.0, "row_sum_max": 1.0, "row_lse_min": 2.4, "row_lse_max": 2.5}
    [finding] = findings("LOS03", nll(**sums))
    assert "receives probabilities" in finding.message
    assert finding.location.line == 7


def test_other_loss_functions_may_have_any_rows():
    assert skip_reasons("LOS03", nll("cross_entropy", row_lse_min=3.0, row_lse_max=3.0))


@pytest.mark.parametrize(("low", "found"), [(-0.0005, 0), (-0.1, 1)])
@pytest.mark.parametrize("name", ["categorical_crossentropy", "kl_divergence"])
def test_logits_given_to_a_loss_of_keras_on_probabilities_are_an_error(name, low, found):
    call = {"keras_function": name, "from_logits": False}
    results = findings("LOS03", nll(name, call=call, output_min=low, output_max=4.0))
    assert len(results) == found
    assert all("logits, not probabilities" in finding.message for finding in results)


@pytest.mark.parametrize(
    "call",
    [
        {"keras_function": "categorical_crossentropy", "from_logits": True},
        {"keras_function": "categorical_crossentropy", "hidden_logits": True},
        {},
    ],
)
def test_logits_where_logits_are_due_are_healthy(call):
    name = "categorical_crossentropy"
    assert skip_reasons("LOS03", nll(name, call=call, output_min=-9.0, output_max=4.0))


def over_an_axis(low, head="softmax", shape=(32, 10)):
    call = {"keras_function": "categorical_crossentropy", "head": head}
    rows = {"row_sum_min": low, "row_sum_max": 1.02, "output_min": 0.0, "output_max": 0.9}
    output = site("categorical_crossentropy", "output", shape=list(shape))
    return nll("categorical_crossentropy", call=call, sites=[output], classes=10, **rows)


@pytest.mark.parametrize(("low", "found"), [(0.96, 0), (0.94, 1)])
def test_a_softmax_that_is_not_over_the_classes_is_an_error(low, found):
    results = findings("LOS03", over_an_axis(low))
    assert len(results) == found
    assert all("axis=-1" in finding.advice for finding in results)


@pytest.mark.parametrize("other", [{"head": None}, {"shape": (32, 10, 8)}])
def test_shares_that_the_loss_divides_by_their_sum_are_healthy(other):
    assert findings("LOS03", over_an_axis(0.5, **other)) == []


AXES = [
    ("nll_loss", "log_softmax", 32, [32, 10], 1),
    ("nll_loss", "log_softmax", 10, [32, 10], 0),
    ("nll_loss", "log_softmax", 12, [32, 10], 0),  # two heads in one
    ("nll_loss", "log_softmax", 6, [8, 10, 6, 6], 1),
    ("cross_entropy", "softmax", 32, [32, 10], 1),
    ("cross_entropy", "log_softmax", 32, [32, 10], 1),
    ("cross_entropy", "log_softmax", 10, [32, 10], 0),
    ("cross_entropy", "affine", 32, [32, 10], 0),
    ("cross_entropy", "softmax", 10, [32, 6, 10], 0),  # Keras has classes last
]


@pytest.mark.parametrize(("function", "head", "width", "shape", "found"), AXES)
def test_a_softmax_over_another_axis_than_the_classes_is_an_error(
    function, head, width, shape, found
):
    call = {"shape": shape, "classes": 10}
    logs = {"classes": 10, "row_lse_min": 0.0, "row_lse_max": 0.0}
    results = run_rule("LOS03", called(function, head=head, width=width, call=call, **logs))
    told = [result for result in results if isinstance(result, Finding)]
    assert [finding.location.line for finding in told] == [7] * found


@pytest.mark.parametrize(("over_classes", "found"), [(True, 0), (None, 0), (False, 1)])
def test_in_a_batch_of_as_many_examples_as_classes_the_axis_itself_tells(over_classes, found):
    call = {"shape": [10, 10], "classes": 10, "over_classes": over_classes}
    logs = {"classes": 10, "row_lse_min": 0.0, "row_lse_max": 0.0}
    trace = called("nll_loss", head="log_softmax", width=10, call=call, **logs)
    assert len(findings("LOS03", trace)) == found


def test_a_softmax_over_the_batch_is_told_once():
    call = {"shape": [32, 10], "classes": 10}
    raw = {"classes": 10, "row_lse_min": -1.9, "row_lse_max": -1.8}
    trace = called("nll_loss", head="log_softmax", width=32, call=call, **raw)
    [finding] = findings("LOS03", trace)
    assert "32 examples of the batch" in finding.message
    assert "dim=1" in finding.advice
