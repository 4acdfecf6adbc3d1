import pytest
from rules.builders import event, findings, skip_reasons, trace_of


def watched(kind="EarlyStopping", *, better="lower", meant="higher", epochs=30, rates=1e-3, **more):
    told = {"class": kind, "metric": "val_accuracy", "better": better, "meant": meant, **more}
    values = (0.5, 0.7, 0.8)
    ended = [
        event("epoch", 10 * n, epoch=n, metrics={"val_accuracy": v}) for n, v in enumerate(values)
    ]
    monitor = event("monitor", 10, epochs=epochs, file="train.py", line=9, **told)
    return trace_of(steps=30, lr=rates, events=[*ended, monitor])


@pytest.mark.parametrize(
    ("better", "meant", "found"),
    [("lower", "higher", 1), ("higher", "lower", 1), ("higher", "higher", 0), ("lower", None, 0)],
)
def test_a_callback_is_told_that_takes_the_worse_values_for_better(better, meant, found):
    assert len(findings("RUN14", watched(better=better, meant=meant))) == found


def test_training_that_ended_because_of_it_is_said():
    [finding] = findings("RUN14", watched(restores=True))
    assert "went from 0.5 to 0.8" in finding.message
    assert "ended after 3 of 30 epochs" in finding.message
    assert "weights of its lowest value were put back" in finding.message
    assert 'mode="max"' in finding.advice
    assert (finding.location.file, finding.location.line) == ("train.py", 9)


def test_training_that_went_on_to_its_end_was_not_ended_by_it():
    [finding] = findings("RUN14", watched(epochs=3))
    assert "ended" not in finding.message


def test_the_rate_that_was_taken_away_is_said():
    rates = [1e-3] * 20 + [1e-5] * 10
    [finding] = findings("RUN14", watched("ReduceLROnPlateau", rates=rates))
    assert "lowered from 0.001 to 1e-05" in finding.message


def test_the_epoch_that_was_kept_is_said():
    [finding] = findings("RUN14", watched("ModelCheckpoint"))
    assert "the epoch with 0.5 was kept as the best" in finding.message


def test_without_such_a_callback_nothing_is_judged():
    assert skip_reasons("RUN14", trace_of(steps=5))
