import numpy as np
import pytest
from rules.builders import batches, event, run_rule, trace_of
from rules.loss.test_too_easy import kept

from nntrace.rules import Finding

RANDOM = np.random.default_rng(0)


def sentences(longest, *, length=20, pad=0, before=False):
    """Whole numbers [12, length], filled up behind or before; and their targets."""
    ids = np.full((12, length), pad)
    for row, count in zip(ids, RANDOM.integers(2, longest + 1, 12), strict=True):
        row[slice(length - count, None) if before else slice(count)] = RANDOM.integers(3, 90, count)
    return ids, np.where(ids == pad, 0, ids % 5 + 1)


def tagger(ids, targets, *, dtype="int64", **says):
    rows = batches(20, loss_function="cross_entropy", classes=6, batch_size=12)
    tensors = [kept("input", ids, dtype), kept("target", targets, "int64")]
    says = {"function": "cross_entropy", **(says or {"masked": False})}
    call = event("loss_call", **says, file="train.py", line=7)
    return trace_of(steps=20, batches=rows, tensors=tensors, events=[call])


def found(trace):
    """What is found; that classes cannot be counted is of no interest."""
    results = [result for result in run_rule("DAT10", trace) if isinstance(result, Finding)]
    assert all("is padding" in finding.message for finding in results)
    return len(results)


@pytest.mark.parametrize("before", [False, True])
def test_targets_most_of_which_are_padding_are_a_warning(before):
    assert found(tagger(*sentences(8, before=before))) == 1


@pytest.mark.parametrize("masked", [True, None])
def test_a_mask_keeps_padding_out(masked):
    assert found(tagger(*sentences(8), masked=masked)) == 0


def test_little_padding_is_healthy():
    ids, targets = sentences(20)
    ids[:, :12], targets[:, :12] = 7, 2
    ids[:, 0] = np.arange(12) + 20
    assert found(tagger(ids, targets)) == 0


def test_values_that_come_again_inside_are_no_padding():
    ids, targets = sentences(8)
    ids[:, 0] = 0
    assert found(tagger(ids, targets)) == 0


def test_targets_that_differ_where_the_input_does_not_are_no_padding():
    ids, targets = sentences(8)
    targets[:, -3:] = RANDOM.integers(0, 6, (12, 3))
    assert found(tagger(ids, targets)) == 0


def torch_call(**says):
    return {"ignore_index": -100, "reduction": "mean", "weighted": False, **says}


def test_a_loss_of_pytorch_counts_what_it_is_not_told_to_ignore():
    ids, targets = sentences(8)
    assert found(tagger(ids, targets, **torch_call())) == 1
    assert found(tagger(ids, targets.reshape(-1), **torch_call(reduction="sum"))) == 1


@pytest.mark.parametrize(
    "says",
    [{"ignore_index": 0}, {"weighted": True}, {"reduction": "none"}, {"function": "nll_loss"}],
    ids=lambda says: next(iter(says)),
)
def test_a_loss_of_pytorch_that_may_leave_padding_out_is_healthy(says):
    assert found(tagger(*sentences(8), **torch_call(**says))) == 0


def test_log_probabilities_that_come_straight_from_the_softmax_are_not_masked():
    says = torch_call(function="nll_loss", head="log_softmax")
    assert found(tagger(*sentences(8), **says)) == 1


def test_targets_that_are_ignored_by_default_are_healthy():
    ids, targets = sentences(8)
    targets[ids == 0] = -100
    assert found(tagger(ids, targets, **torch_call())) == 0


def words_told_to_ignore(ignored, *, pad=1, longest=20, flat=True):
    """The next words of sentences, in PyTorch; the loss leaves out a target."""
    ids, _ = sentences(longest, pad=pad)
    targets = np.roll(ids, -1, axis=1)
    targets[:, -1] = pad
    path = {"path": "cross_entropy"}
    says = torch_call(ignore_index=ignored, **path)
    return tagger(ids, targets.reshape(-1) if flat else targets, **says)


def left_out(trace):
    results = [result for result in run_rule("DAT10", trace) if isinstance(result, Finding)]
    return [result.message for result in results if "leaves out" in result.message]


@pytest.mark.parametrize("flat", [True, False])
def test_a_loss_that_leaves_out_another_target_than_the_padding_is_a_warning(flat):
    (message,) = left_out(words_told_to_ignore(0, flat=flat))
    assert "leaves out target 0, but sequences are filled up with 1" in message


def test_a_loss_that_leaves_out_the_padding_is_healthy():
    assert left_out(words_told_to_ignore(1)) == []


def test_the_target_that_is_left_out_by_default_was_not_chosen():
    assert left_out(words_told_to_ignore(-100)) == []


def test_hardly_any_padding_may_count():
    ids, targets = sentences(20, pad=1)
    ids[:], targets[:] = 7 + np.arange(20), 8 + np.arange(20)
    targets[0, -2:], targets[1, -1:] = 1, 1
    says = torch_call(ignore_index=0, path="cross_entropy")
    assert left_out(tagger(ids, targets, **says)) == []
