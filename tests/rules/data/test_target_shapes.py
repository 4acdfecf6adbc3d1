import pytest
from rules.builders import batches, event, findings, skip_reasons, trace_of

from nntrace.rules import Severity


@pytest.mark.parametrize(("positions", "found"), [(24, 1), (0, 0)])
def test_positions_that_share_the_one_target_of_an_example_are_a_warning(positions, found):
    shapes = {"shape": [8, 1], "target_shape": [8, 1], "file": "a.py", "line": 3}
    call = event("loss_call", function="mse_loss", positions=positions, **shapes)
    results = findings("LOS18", trace_of(steps=3, batches=batches(3), events=[call]))
    assert [result.level for result in results] == [Severity.WARNING] * found
    assert all("return_sequences=False" in result.advice for result in results)


@pytest.mark.parametrize(
    ("shape", "target", "found"),
    [
        ([32, 1], [32], 1),
        ([32], [32, 1], 1),
        ([32, 1], [32, 1], 0),
        ([32, 10], [1, 10], 0),
        ([32, 1], [1], 0),
        ([32, 1], [], 0),
        ([1, 1], [1], 0),
        ([5, 5, 1], [5, 5], 1),
    ],
)
def test_shapes_that_broadcast_beyond_both_are_an_error(shape, target, found):
    call = event("loss_call", function="mse_loss", shape=shape, target_shape=target)
    assert len(findings("LOS18", trace_of(steps=3, batches=batches(3), events=[call]))) == found


def test_cross_entropy_wants_different_shapes():
    call = event("loss_call", function="cross_entropy", shape=[4, 10, 8], target_shape=[4, 8])
    assert findings("LOS18", trace_of(steps=3, events=[call])) == []


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ([[32, 1], [32, 32]], ["(32, 1) minus targets have shape (32, 32)"]),
        ([[32], [32, 32]], ["(32,) minus targets have shape (32, 32)"]),
        ([[None, 1], [None, None]], ["(N, 1) minus targets have shape (N, N)"]),
        ([[32], [32, 32], [32, 1]], ["(32,), times data of shape (32, 1) has shape (32, 32)"]),
        ([["N", 1], [None, None]], []),
        (None, []),
    ],
)
def test_a_loss_written_by_hand_broadcasts_too(shapes, said):
    seen = event("objective", terms=["other"], broadcast=shapes, file="train.py", line=3)
    results = findings("LOS18", trace_of(steps=3, events=[seen]))
    assert len(results) == len(said)
    assert all(words in found.message for words, found in zip(said, results, strict=True))
    assert all(finding.location.line == 3 for finding in results)


def test_shapes_that_were_not_recorded_are_not_judged():
    assert skip_reasons("LOS18", trace_of(steps=3, events=[event("loss_call", function="x")]))
