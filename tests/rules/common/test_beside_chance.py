from rules.builders import batch, event, trace_of

from nntrace.rules.common.beside_chance import BesideChance
from nntrace.rules.common.chance import training_batches


def beside_chance(**content):
    trace = trace_of(**content)
    return BesideChance(trace, training_batches(trace))


def test_the_loss_of_every_step_is_used_where_it_is_the_loss_functions():
    rows = [batch(step, loss_value=2.0) for step in (0, 5)]
    assert len(beside_chance(loss=[2.0] * 10, batches=rows).series) == 10
    assert len(beside_chance(loss=[4.0] * 10, batches=rows).series) == 2


def test_the_lowest_chance_is_the_entropy_of_uneven_labels():
    labels = {"label_values": [0, 1], "label_counts": [90, 10]}
    loss = beside_chance(batches=[batch(0, loss_function="cross_entropy", classes=2, **labels)])
    assert [chance.name for chance in loss.chances] == ["ln 2", "label entropy"]
    assert loss.lowest == loss.chances[1].value


def test_a_sum_over_the_batch_is_not_compared_with_the_chance_of_a_mean():
    call = event("loss_call", function="cross_entropy", reduction="sum")
    rows = [batch(0, loss_function="cross_entropy", classes=2)]
    loss = beside_chance(batches=rows, events=[call])
    assert loss.chances
    assert loss.lowest is None


def test_a_run_with_two_loss_functions_has_no_chance_to_be_compared_with():
    rows = [batch(0, loss_function="cross_entropy", classes=2), batch(1, loss_function="mse_loss")]
    loss = beside_chance(batches=rows)
    assert loss.lowest is None
    assert loss.unknown == "several loss functions: cross_entropy, mse_loss"
