from math import log, prod

import pytest
from rules.builders import batches, run_rule, site, trace_of

from nntrace.rules import Finding, Severity

RARE = 0.01
ENTROPY = -RARE * log(RARE) - (1 - RARE) * log(1 - RARE)


def told(
    *,
    share=RARE,
    highest=0.2,
    loss=0.95 * ENTROPY,
    steps=100,
    shape=(16, 24, 24, 1),
    spread=1.0,
    after="",
):
    """What DAT10 finds in a binary cross-entropy's masks."""
    function = f"binary_cross_entropy{after}"
    rows = batches(
        steps,
        loss_function=function,
        loss_path=function,
        loss_value=loss,
        target_mean=share,
        target_std=spread * (share * (1 - share)) ** 0.5,
        target_min=0.0,
        target_max=1.0,
        output_max=highest,
    )
    output = site(function, "output", shape=list(shape), numel=prod(shape))
    results = run_rule("DAT10", trace_of(steps=steps, loss=loss, batches=rows, sites=[output]))
    return [result for result in results if isinstance(result, Finding)]


@pytest.mark.parametrize(
    ("highest", "after"), [(0.49, ""), (-0.01, "_with_logits")], ids=["probabilities", "logits"]
)
def test_rare_foreground_that_is_never_predicted_is_a_warning(highest, after):
    [finding] = told(highest=highest, after=after)
    assert finding.level is Severity.WARNING
    assert finding.evidence["foreground"] == pytest.approx(RARE)
    assert "-4.6" in finding.advice


@pytest.mark.parametrize(
    "change",
    [
        {"highest": 0.51},
        {"highest": 0.01, "after": "_with_logits"},
        {"loss": 0.85 * ENTROPY},
        {"loss": [4.0 * ENTROPY * 0.99**step for step in range(100)]},
        {"steps": 99},
        {"share": 0.06, "loss": 1.0},
        {"shape": (16, 400)},
        {"shape": (16, 7, 9, 1)},
        {"spread": 0.9},
    ],
    ids=[
        *("predicted", "predicted by its logit", "knows more", "learns more", "early", "not rare"),
        *("labels of each example", "few places", "shades of grey"),
    ],
)
def test_foreground_that_is_predicted_or_learnt_or_no_mask_is_not_told(change):
    assert told(**change) == []


@pytest.mark.parametrize(("begin", "fall"), [(3.0, 0.998), (1.8, 0.996)])
def test_a_loss_that_hardly_falls_or_has_come_down_to_the_constants_is_stuck(begin, fall):
    assert told(loss=[begin * ENTROPY * fall**step for step in range(100)])
