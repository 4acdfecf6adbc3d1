import numpy as np
import pytest
from rules.builders import event, findings, skip_reasons, trace_of

from nntrace.rules import Severity

PLACE = {"file": "train.py", "line": 7}
READ = event("objective", 0, terms=[], **PLACE)


def told(examples=0.9, share=0.4, reads="output", **columns):
    payload = {"class": "LSTM", "reads": reads, "examples": examples, "share": share, **PLACE}
    return findings(
        "DAT22", trace_of(steps=60, events=[READ, event("padded", 3, **payload)], **columns)
    )


def test_without_the_graph_of_a_loss_nothing_is_judged():
    assert skip_reasons("DAT22", trace_of(steps=20))


@pytest.mark.parametrize(
    ("reads", "word"), [("output", "output at the end"), ("state", "last state")]
)
def test_what_is_read_after_the_padding_is_a_warning(reads, word):
    [finding] = told(reads=reads)
    assert finding.level is Severity.WARNING
    assert word in finding.message
    assert finding.location.line == 7


@pytest.mark.parametrize(
    ("examples", "share", "count"), [(0.5, 0.15, 1), (0.49, 0.15, 0), (0.5, 0.14, 0)]
)
def test_some_padding_is_in_every_batch(examples, share, count):
    assert len(told(examples, share)) == count


@pytest.mark.parametrize(("end", "level"), [(0.29, Severity.INFO), (0.32, Severity.WARNING)])
def test_it_is_information_where_the_loss_fell_well(end, level):
    [finding] = told(loss=np.r_[np.ones(20), np.full(40, end)])
    assert finding.level is level


def test_an_inverted_mask_of_attention_is_an_error_however_much_is_padding():
    [finding] = told(examples=0.0, share=0.0, reads="mask")
    assert finding.level is Severity.ERROR
    assert "key_padding_mask" in finding.advice
    assert finding.location.line == 7
