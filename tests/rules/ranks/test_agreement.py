import pytest
from rules.builders import batches, event, findings, site, skip_reasons, trace_of

from nntrace.trace import Trace

DDP = event("distributed", wrapper="DistributedDataParallel", group_size=2, world_size=2)
STATS = ("mean", "rms", "min", "max", "q25", "q50", "q75")


def parameter(path, value, grad=None, kind="Linear"):
    """A parameter and its gradient: each statistic of them is that value."""
    given = {"param": value, "param_grad": value if grad is None else grad}
    return [
        site(path, role, n=9, module_type=kind, **dict.fromkeys(STATS, one))
        for role, one in given.items()
    ]


def rank(number, *, param=1.0, grad=1.0, prints=None, events=(DDP,), steps=6, path="fc"):
    """A rank with one parameter: each statistic of it and of its gradient is that value."""
    return trace_of(
        steps=steps,
        rank=number,
        sites=parameter(f"{path}.weight", param, grad),
        batches=batches(steps, fingerprint=prints) if prints else (),
        events=events,
    )


def ranks(*traces):
    return Trace.from_ranks(traces)


@pytest.mark.parametrize("code", ["DST01", "DST02", "DST03"])
def test_one_rank_alone_is_not_judged(code):
    assert skip_reasons(code, rank(0)) == ["the run has one rank"]


@pytest.mark.parametrize("code", ["DST01", "DST02", "DST03"])
def test_ranks_without_a_process_group_are_independent(code):
    trace = ranks(rank(0, events=()), rank(1, param=5.0, events=()))
    assert "independent" in skip_reasons(code, trace)[0]


@pytest.mark.parametrize("code", ["DST01", "DST02", "DST03"])
def test_ranks_that_work_in_groups_are_not_judged(code):
    grouped = event("distributed", wrapper="DistributedDataParallel", group_size=2, world_size=4)
    trace = ranks(*(rank(n, param=n + 1.0, events=[grouped]) for n in range(4)))
    assert "groups of 2" in skip_reasons(code, trace)[0]


# DST01


@pytest.mark.parametrize("code", ["DST01", "DST03"])
def test_each_rank_may_hold_its_own_part_of_all_parameters_beside_the_model(code):
    """ZeRO's flat buffer, which bears the same name and shape on all ranks."""

    def one(number, drift):
        flat = parameter("AdamW.group0.0", [1.0, *[drift] * 5], drift, kind="Parameter")
        sites = [*parameter("fc.weight", 1.0), *flat]
        return trace_of(steps=6, rank=number, sites=sites, events=(DDP,))

    assert findings(code, ranks(one(0, 1.0), one(1, 1.5))) == []


@pytest.mark.parametrize(("other", "found"), [(1.0005, 0), (1.002, 1), (float("nan"), 1)])
def test_parameters_that_differ_between_ranks_are_an_error(other, found):
    trace = ranks(rank(0), rank(1, param=[1.0, *[other] * 5]))
    results = findings("DST01", trace)
    assert len(results) == found
    assert all(finding.steps == (1, 5) for finding in results)


@pytest.mark.parametrize(("different", "found"), [(1, 0), (2, 1)])
def test_a_difference_in_the_last_sample_alone_is_not_enough(different, found):
    other = [1.0] * (6 - different) + [2.0] * different
    assert len(findings("DST01", ranks(rank(0), rank(1, param=other)))) == found


def test_the_rank_that_differs_from_all_others_is_named():
    world = event("distributed", wrapper="DistributedDataParallel", group_size=3, world_size=3)
    trace = ranks(*(rank(n, param=2.0 if n == 1 else 1.0, events=[world]) for n in range(3)))
    [finding] = findings("DST01", trace)
    assert finding.message.startswith("rank 1 differs from the others")


def test_parameters_that_meet_again_are_averaged_now_and_then():
    trace = ranks(rank(0), rank(1, param=[1.0, 2.0, 2.0, 1.0, 2.0, 2.0], grad=2.0))
    assert findings("DST01", trace) == []
    assert findings("DST03", trace) == []


@pytest.mark.parametrize(("passes", "found"), [((3, 3), 1), ((3, 2), 0)])
def test_ranks_are_compared_until_one_begins_its_next_pass_sooner(passes, found):
    """`join` of DistributedDataParallel lets a rank with less data wait for the others."""
    evaluation = event("epoch", 1, loader=1, steps=0)  # of the first rank alone
    ends = [[event("epoch", size, loader=0, steps=size)] for size in passes]
    trace = ranks(
        rank(0, events=[DDP, evaluation, *ends[0]]),
        rank(1, events=[DDP, *ends[1]], param=[1.0, 1.0, *[2.0] * 4], grad=2.0),
    )
    assert len(findings("DST01", trace)) == found


def test_a_local_sgd_hook_means_that_parameters_may_differ():
    local = event("distributed", group_size=2, world_size=2, hooks=["post_localSGD_hook"])
    assert skip_reasons("DST01", ranks(rank(0, events=[local]), rank(1, param=2.0)))


@pytest.mark.parametrize("code", ["DST01", "DST03"])
def test_shards_are_not_compared(code):
    sharded = event("distributed", wrapper="FSDPModule", group_size=2, world_size=2, sharded=True)
    trace = ranks(rank(0, events=[sharded]), rank(1, param=2.0, grad=2.0))
    assert skip_reasons(code, trace) == ["each rank holds a part of the parameters"]


BARE = event("distributed", world_size=2)


@pytest.mark.parametrize("code", ["DST01", "DST03"])
@pytest.mark.parametrize(
    ("first", "grads", "sampler", "is_judged"),
    [
        (1.0, 2.0, None, True),  # began alike
        (2.0, 2.0, None, False),  # may be parts of one model, or trials
        (2.0, 1.0, None, True),  # gradients are averaged by hand
        (2.0, 2.0, "DistributedSampler", True),  # the data is shared out
    ],
)
def test_without_a_wrapper_ranks_are_judged_that_show_that_they_train_together(
    code, first, grads, sampler, is_judged
):
    events = [BARE, event("loader", sampler=sampler)]
    trace = ranks(
        rank(0, events=events), rank(1, param=[first, *[2.0] * 5], grad=grads, events=events)
    )
    assert bool(skip_reasons(code, trace)) != is_judged


def test_ranks_with_other_layers_hold_parts_of_one_model():
    trace = ranks(rank(0, events=[BARE]), rank(1, events=[BARE], path="fc2", param=2.0))
    assert skip_reasons("DST01", trace) == ["the ranks hold different parameters"]


# DST02

FRESH = [10, 11, 12, 13, 14, 15, 16, 17, 18, 19]
OTHER = [20, 21, 22, 23, 24, 25, 26, 27, 28, 29]


@pytest.mark.parametrize(("equal", "found"), [(9, 1), (8, 0)])
def test_equal_batches_on_nine_tenths_of_the_steps_are_an_error(equal, found):
    prints = FRESH[:equal] + OTHER[equal:]
    trace = ranks(rank(0, prints=FRESH, steps=10), rank(1, prints=prints, steps=10))
    results = findings("DST02", trace)
    assert len(results) == found
    assert all(finding.evidence["ranks"] == [0, 1] for finding in results)


@pytest.mark.parametrize(("count", "skipped"), [(4, True), (5, False)])
def test_same_data_needs_five_shared_samples(count, skipped):
    trace = ranks(*(rank(n, prints=FRESH[:count], steps=count) for n in range(2)))
    assert bool(skip_reasons("DST02", trace)) == skipped


def test_two_of_three_ranks_with_the_same_data_are_named():
    world = event("distributed", wrapper="DistributedDataParallel", group_size=3, world_size=3)
    prints = [FRESH, OTHER, FRESH]
    trace = ranks(*(rank(n, prints=prints[n], steps=10, events=[world]) for n in range(3)))
    [finding] = findings("DST02", trace)
    assert finding.evidence["ranks"] == [0, 2]


def test_the_same_data_on_all_ranks_is_found_where_it_is_drawn():
    drawn = [
        event("loader", loader=0, file="train.py", line=9),
        event("epoch", 10, loader=0, steps=10),
    ]
    trace = ranks(*(rank(n, prints=FRESH, steps=10, events=[DDP, *drawn]) for n in range(2)))
    [finding] = findings("DST02", trace)
    assert (finding.location.file, finding.location.line) == ("train.py", 9)


def test_one_batch_for_ever_on_every_rank_is_another_matter():
    trace = ranks(*(rank(n, prints=[7] * 6) for n in range(2)))
    assert skip_reasons("DST02", trace) == ["every rank uses one single batch"]


# DST03


@pytest.mark.parametrize(("other", "found"), [(1.005, 0), (1.02, 1)])
def test_gradients_that_differ_while_parameters_drift_are_an_error(other, found):
    trace = ranks(rank(0), rank(1, grad=other, param=[1.0, *[1.1] * 5]))
    assert len(findings("DST03", trace)) == found


def test_gradients_that_differ_while_parameters_stay_equal_are_averaged_in_the_step():
    assert findings("DST03", ranks(rank(0), rank(1, grad=2.0))) == []


def test_gradients_that_agree_in_some_steps_are_synchronised():
    trace = ranks(rank(0), rank(1, grad=[2.0, 2.0, 1.0, 2.0, 2.0, 2.0], param=[1.0, *[1.1] * 5]))
    assert findings("DST03", trace) == []


@pytest.mark.parametrize(("count", "skipped"), [(2, True), (3, False)])
def test_gradients_are_compared_in_three_shared_samples(count, skipped):
    trace = ranks(rank(0, steps=count), rank(1, grad=2.0, steps=count))
    assert bool(skip_reasons("DST03", trace)) == skipped
