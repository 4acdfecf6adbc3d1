import pytest
from rules.builders import event, findings, skip_reasons, trace_of

from nntrace.manifest import Manifest
from nntrace.schema import RunStatus

# RUN11

DEVICE = event("device", 0, device="cpu", accelerator=None)


def test_a_long_run_without_evaluation_is_noted():
    assert findings("RUN11", trace_of(steps=1000, events=[DEVICE]))
    assert skip_reasons("RUN11", trace_of(steps=999, events=[DEVICE]))
    assert skip_reasons("RUN11", trace_of(steps=1000))


@pytest.mark.parametrize(
    ("at", "steps", "says"),
    [(500, 0, "keep gradients"), (0, 0, "never"), (500, 50, "never")],
    ids=["evaluation", "before training", "training"],
)
def test_a_loader_read_without_a_step_is_an_evaluation_that_keeps_gradients(at, steps, says):
    read = event("epoch", at, loader=1, batches=50, examples=200, steps=steps)
    [finding] = findings("RUN11", trace_of(steps=1000, events=[DEVICE, read]))
    assert says in finding.message


@pytest.mark.parametrize(("examples", "found"), [(31, 1), (32, 0)])
def test_a_tiny_evaluation_is_noted(examples, found):
    evaluation = event("evaluation", 500, model="", group=0, number=0, examples=examples)
    assert len(findings("RUN11", trace_of(steps=1000, events=[DEVICE, evaluation]))) == found


# RUN12


@pytest.mark.parametrize(("steps", "found"), [(99, 1), (100, 0)])
def test_a_short_run_is_noted(steps, found):
    assert len(findings("RUN12", trace_of(steps=steps))) == found


@pytest.mark.parametrize(("steps", "said"), [(1, "1 optimizer step;"), (2, "2 optimizer steps;")])
def test_a_short_run_says_how_many_steps_it_has(steps, said):
    [finding] = findings("RUN12", trace_of(steps=steps))
    assert said in finding.message


def test_a_run_that_tracing_lost_sight_of_is_not_called_short():
    trace = trace_of(steps=50)
    trace.manifest = Manifest(
        "run", status=RunStatus.FINISHED, error="tracing stopped: OSError: No space left on device"
    )
    assert skip_reasons("RUN12", trace) == ["tracing stopped before the run did"]


# LOS23


@pytest.mark.parametrize(("examples", "found"), [(199, 1), (201, 0)])
def test_evaluations_of_a_fifth_of_the_data_are_a_note(examples, found):
    passes = [event("loader", loader=1, dataset_size=1000, batch_size=100)]
    passes += [
        event("epoch", n, loader=1, epoch=n, batches=2, examples=examples, steps=0)
        for n in range(2)
    ]
    assert len(findings("LOS23", trace_of(steps=3, events=passes))) == found


def test_one_short_evaluation_may_be_a_look():
    passes = [event("loader", loader=1, dataset_size=1000)]
    passes += [event("epoch", 1, loader=1, epoch=0, batches=1, examples=9, steps=0)]
    assert skip_reasons("LOS23", trace_of(steps=3, events=passes))


@pytest.mark.parametrize(("trained", "found"), [(32, 0), (0, 1)])
def test_a_batch_taken_from_the_training_data_for_its_shape_is_no_evaluation(trained, found):
    passes = [event("loader", loader=0, dataset_size=1000), event("loader", loader=1)]
    passes += [
        event("epoch", 10 * n, loader=0, epoch=2 * n, batches=1, examples=9, steps=0)
        for n in range(3)
    ]
    passes += [event("epoch", 30, loader=0, epoch=1, batches=32, examples=99, steps=trained)]
    trace = trace_of(steps=3, events=passes)
    assert findings("LOS23", trace) if found else skip_reasons("LOS23", trace)


@pytest.mark.parametrize(("training", "found"), [(True, 0), (False, 1)])
def test_features_that_are_cached_before_training_on_them_are_no_evaluation(training, found):
    """A contrastive loss over more examples than fit in one graph: each part is seen twice."""
    rows = [event("loader", loader=0, dataset_size=1000)]
    rows += [
        event("evaluation", n, loader=0, group=0, examples=128, training=training) for n in (1, 2)
    ]
    rows += [event("epoch", 30, loader=0, epoch=0, batches=32, examples=999, steps=16)]
    trace = trace_of(steps=30, events=rows)
    assert findings("LOS23", trace) if found else skip_reasons("LOS23", trace)


@pytest.mark.parametrize(("apart", "loader", "found"), [(1, 0, 0), (2, 0, 1), (1, 1, 1)])
def test_a_frozen_part_that_is_given_the_batch_of_each_step_does_not_evaluate(apart, loader, found):
    rows = [event("loader", loader=n, dataset_size=1000) for n in range(2)]
    rows += [event("evaluation", n, loader=loader, examples=32) for n in range(0, 40, apart)]
    rows += [event("epoch", 40, loader=0, epoch=0, batches=32, examples=999, steps=40)]
    trace = trace_of(steps=40, events=rows)
    assert len(findings("LOS23", trace) if found else skip_reasons("LOS23", trace)) == 1


@pytest.mark.parametrize(("examples", "found"), [(19, 1), (20, 0)])
def test_evaluations_of_keras_tell_what_they_were_over(examples, found):
    passes = [event("loader", loader=2, dataset_size=100)]
    passes += [event("evaluation", n, loader=2, group=0, examples=examples) for n in (1, 2)]
    assert len(findings("LOS23", trace_of(steps=3, events=passes))) == found
