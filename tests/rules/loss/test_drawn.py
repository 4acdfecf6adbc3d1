import pytest
from rules.activations.test_architecture import graph
from rules.builders import run_rule, site, trace_of

from nntrace.rules import Finding

DIVERGENCE = (
    *("logs :add#1 :sub#1 :sub#2 :mul#h :sum :add#t", "mean :pow :sub#1", "logs :exp#k :sub#2"),
    ":loss :add#t",
)
DECODED = "mean :add#z decoder :loss"
HALF = "logs :mul#half :exp#s :mul#noise :add#z"


def told(*chains):
    """What is found in the graph of a variational autoencoder of these chains, besides skips."""
    names = ("trunk", "mean", "logs", "decoder")
    rows = [
        site(name, "activation", shape=[32, 4], module_type="Linear", n=128, rms=1.0)
        for name in names
    ]
    trace = trace_of(loss=[0.7] * 4, sites=rows, events=[graph(*chains)])
    return [result.message for result in run_rule("LOS06", trace) if isinstance(result, Finding)]


def faults(*drawn):
    return told("trunk mean", "trunk logs", *DIVERGENCE, *drawn)


def test_a_code_drawn_with_the_root_of_the_variance_is_healthy():
    assert faults(DECODED, HALF) == []
    assert faults(DECODED, "logs :exp#s :sqrt :mul#noise :add#z") == []


def test_noise_that_is_multiplied_by_the_variance_is_found():
    (message,) = faults(DECODED, "logs :exp#s :mul#noise :add#z")
    assert "exp(`logs`)" in message


def test_so_it_is_where_the_divergence_takes_the_same_exponential():
    (message,) = faults(DECODED, "logs :exp#k :mul#noise :add#z")
    assert "exp(`logs`)" in message


def test_noise_that_is_multiplied_by_the_logarithm_is_found():
    (message,) = faults(DECODED, "logs :mul#noise :add#z")
    assert "`logs` as it is" in message


def test_a_code_that_is_not_drawn_is_found():
    (message,) = faults("mean decoder :loss")
    assert "nothing is drawn" in message


def test_a_code_that_was_drawn_without_a_gradient_is_found():
    (message,) = faults("decoder :loss")
    assert "has no gradient" in message


@pytest.mark.parametrize(
    "divergence",
    [
        ("logs :mul#2 :exp#k :add#1", "logs :sub#1", "mean :pow :add#1"),
        ("logs :exp#s :pow#2 :add#1", "logs :sub#1", "mean :pow :add#1"),
        ("logs :exp#s :mul#2 :add#1", "logs :sub#1", "mean :pow :add#1"),
        ("logs :exp#s :add#e :log :sub#1", "mean :pow :add#1", "logs :sub#1"),
    ],
    ids=["twice the logarithm", "squared", "by itself", "kept from 0"],
)
def test_a_logarithm_of_the_deviation_is_healthy(divergence):
    drawn = "logs :exp#s :mul#noise :add#z"
    ends = ":add#1 :sub#1 :sum :add#t", ":loss :add#t"
    assert told("trunk mean", "trunk logs", DECODED, drawn, *divergence, *ends) == []


def test_the_mean_and_spread_of_a_target_are_no_code():
    likelihood = ("mean :sub#1 :pow :mul#1 :add#1 :sum", "logs :neg :exp :mul#1", "logs :add#1")
    assert told("trunk mean", "trunk logs", "mean decoder :sum", *likelihood) == []


SPLIT = (
    *("trunk :split", ":split :add#1 :sub#1 :sub#2 :mul#h :sum :add#t", ":split :pow :sub#1"),
    *(":split :exp#k :sub#2", ":loss :add#t", ":split :add#z decoder :loss"),
)


@pytest.mark.parametrize(
    ("noise", "word"),
    [
        (":split :mul#half :exp#s :mul#noise :add#z", ""),
        (":split :exp#s :mul#noise :add#z", "exp(`trunk`), the variance"),
        (":split :mul#noise :add#z", "`trunk` as it is"),
    ],
)
def test_one_layer_may_make_the_mean_and_the_logarithm(noise, word):
    found = told(*SPLIT, noise)
    assert len(found) == bool(word)
    assert all(word in message and "two halves of `trunk`" in message for message in found)


def test_slices_of_one_layer_are_told_apart():
    chains = [chain.replace("mean", ":slice#m").replace("logs", ":slice#l") for chain in DIVERGENCE]
    heads = ("trunk :slice#m :add#z decoder :loss", "trunk :slice#l")
    assert told(*heads, *chains, ":slice#l :mul#half :exp#s :mul#noise :add#z") == []
    assert told(*heads, *chains, ":slice#l :exp#s :mul#noise :add#z")
