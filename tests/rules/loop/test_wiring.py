import pytest
from rules.builders import event, findings, site, skip_reasons, trace_of

from nntrace.manifest import Manifest
from nntrace.rules import Severity
from nntrace.trace import Trace

# RUN04


@pytest.mark.parametrize(("passes", "found"), [(50, 1), (49, 0)])
def test_gradients_that_no_optimizer_acts_on_are_an_error(passes, found):
    idle = event("idle", 0, backwards=passes, file="train.py", line=9)
    trace = trace_of(steps=0, events=[idle])
    if found:
        [finding] = findings("RUN04", trace)
        assert finding.location.line == 9
    else:
        assert skip_reasons("RUN04", trace)


def test_gradients_gathered_for_a_step_that_never_came_are_an_error():
    trace = trace_of(steps=0, events=[event("idle", 0, backwards=6, needed=8)])
    [finding] = findings("RUN04", trace)
    assert finding.level is Severity.ERROR
    assert "steps after 8 of them" in finding.message


def test_epochs_of_a_model_of_which_nothing_can_be_trained_are_an_error_at_its_fit():
    loader = event("loader", 0, loader=2, file="train.py", line=31)
    epochs = [event("epoch", 9, loader=2, steps=0, trainable=False) for _ in range(3)]
    [finding] = findings("RUN04", trace_of(steps=9, events=[loader, *epochs]))
    assert finding.location.line == 31
    assert "3 epochs" in finding.message


@pytest.mark.parametrize("payload", [{"steps": 8, "trainable": False}, {"steps": 0}])
def test_epochs_with_steps_and_evaluations_are_healthy(payload):
    trace = trace_of(steps=9, events=[event("epoch", 9, loader=0, **payload)])
    assert findings("RUN04", trace) == []


@pytest.mark.parametrize(
    ("error", "word"),
    [
        ("ValueError: No gradients provided for any variable.", "stop_gradient"),
        ("RuntimeError: element 0 of tensors does not require grad and does not have a grad_fn",
         ".detach()"),
    ],
)  # fmt: skip
def test_a_run_that_ended_because_nothing_has_a_gradient_is_explained_at_its_loss(error, word):
    call = event("loss_call", 0, function="own", file="train.py", line=5)
    failed = Manifest(name="run", status="failed", error=error)
    [finding] = findings("RUN04", Trace.from_rows(events=[call], manifest=failed))
    assert finding.location.line == 5
    assert word in finding.advice


def gradients(n):
    return [site("fc.weight", "param_grad", n=n)]


@pytest.mark.parametrize(("steps", "found"), [(20, 1), (19, 0)])
def test_steps_without_a_backward_are_an_error(steps, found):
    trace = trace_of(steps=steps, backwards=0, sites=gradients(0))
    assert len(findings("RUN04", trace)) == found


def test_gradients_set_by_hand_and_two_optimizers_after_one_backward_are_healthy():
    assert findings("RUN04", trace_of(steps=50, backwards=0, sites=gradients(9))) == []
    turns = trace_of(steps=50, backwards=[1, 0] * 25, optimizer=["A", "B"] * 25, sites=gradients(0))
    assert findings("RUN04", turns) == []


def test_gradients_that_are_cleared_within_a_step_are_a_warning_at_the_backward():
    cleared = event("idle", 9, cleared_within=5, file="train.py", line=7)
    [finding] = findings("RUN04", trace_of(steps=50, backwards=4, events=[cleared]))
    assert (finding.level, finding.location.line) == (Severity.WARNING, 7)
    assert "of 4 only the last" in finding.message


@pytest.mark.parametrize(
    ("steps", "trained", "built", "found"),
    [(20, False, True, 1), (19, False, True, 0), (20, True, True, 0), (20, False, False, 0)],
)
def test_steps_of_an_optimizer_whose_parameters_are_all_frozen_are_an_error(
    steps, trained, built, found
):
    rows = [site("fc.weight", "param", std=1.0, requires_grad=False)]
    rows.append(site("head.weight", "param", std=1.0, requires_grad=trained))
    events = [event("optimizer", name="Adam")] * built
    trace = trace_of(steps=steps, backwards=1, sites=rows, events=events)
    assert len(findings("RUN04", trace)) == found


# RUN05


def model(*, calls=("fc",), extra_n=0, samples=5, extra="extra", events=(), file="train.py"):
    common = {"shape": [4, 4], "numel": 16, "file": file}
    rows = [site(path, "activation", std=1.0) for path in calls]
    rows.append(site("fc.weight", "param_grad", n=16, parent="fc", **common))
    rows.append(site(f"{extra}.weight", "param_grad", n=extra_n, parent=extra, **common))
    return trace_of(steps=samples, sites=rows, events=events)


def test_a_layer_that_is_never_called_is_a_warning():
    [finding] = findings("RUN05", model())
    assert finding.evidence["layers"] == ["extra"]


def test_a_layer_that_an_installed_library_leaves_out_is_information():
    for file, level in (
        ("/venv/lib/python3.11/site-packages/bert/model.py", Severity.INFO),
        ("/work/site-packages.py", Severity.WARNING),
    ):
        [finding] = findings("RUN05", model(file=file))
        assert finding.level is level


@pytest.mark.parametrize(
    ("used", "left", "level"),
    [(0, 0, Severity.INFO), (0, 1, Severity.WARNING), (None, None, Severity.WARNING)],
)
def test_a_minor_part_of_a_librarys_model_that_is_not_called_is_information(used, left, level):
    common = {"shape": [4, 4], "file": "train.py"}
    large, small = ({**common, "numel": numel} for numel in (16, 12))
    rows = [
        site("net.fc", "activation", std=1.0),
        site("net.fc.weight", "param_grad", n=16, parent="net.fc", library_object=used, **large),
        site("net.head.weight", "param_grad", n=0, parent="net.head", library_object=left, **small),
    ]
    [finding] = findings("RUN05", trace_of(steps=5, sites=rows))
    assert finding.level is level


def test_a_layer_that_is_called_or_gets_gradients_is_used():
    assert findings("RUN05", model(calls=("fc", "extra"))) == []
    assert findings("RUN05", model(extra_n=16)) == []


@pytest.mark.parametrize(("part", "found"), [("target", 0), ("targets", 1), ("", 1)])
def test_a_part_that_is_called_by_itself_without_gradients_is_used(part, found):
    trace = model(extra="target.fc", events=[event("evaluation", model="", part=part)])
    assert len(findings("RUN05", trace)) == found


@pytest.mark.parametrize(("called", "found"), [("Target", 0), ("Targets", 1), ("", 1)])
def test_a_second_model_that_is_called_without_gradients_is_used(called, found):
    trace = model(extra="Target.fc", events=[event("evaluation", model=called)])
    assert len(findings("RUN05", trace)) == found


@pytest.mark.parametrize(
    ("extra", "held", "found"),
    [("extra", "Copy.extra", 0), ("Copy.extra", "extra", 0), ("extra", "Copy.other", 1)],
)
def test_a_copy_of_what_is_trained_that_no_optimizer_holds_need_not_be_called(extra, held, found):
    common = {"shape": [4, 4], "numel": 16, "file": "train.py"}
    rows = [site(path, "activation", std=1.0) for path in ("fc", held)]
    rows += [site(f"{path}.weight", "update", rms=0.1, **common) for path in ("fc", held)]
    rows += [
        site(f"{path}.weight", "param_grad", n=n, parent=path, **common)
        for path, n in (("fc", 16), (held, 16), (extra, 0))
    ]
    assert len(findings("RUN05", trace_of(steps=5, sites=rows))) == found


@pytest.mark.parametrize(
    ("beside", "level"),
    [("experts.0.up", Severity.INFO), ("experts.0", Severity.WARNING), ("fc2", Severity.WARNING)],
)
def test_a_layer_of_which_each_step_chooses_some_is_information(beside, level):
    common = {"shape": [4, 4], "numel": 16}
    at_times = site(beside, "activation", n=[64, None, 64, None, 64])
    trace = trace_of(
        steps=5,
        sites=[
            site("fc", "activation", std=1.0),
            at_times,
            site("fc.weight", "param_grad", n=16, parent="fc", **common),
            site("experts.7.up.weight", "param_grad", n=0, parent="experts.7.up", **common),
        ],
    )
    [finding] = findings("RUN05", trace)
    assert finding.level is level
    assert finding.evidence["layers"] == ["experts.7.up"]


@pytest.mark.parametrize(
    ("never", "steps", "level"),
    [(3, 20, Severity.WARNING), (3, 19, Severity.INFO), (2, 20, Severity.INFO)],
)
def test_most_experts_without_an_example_are_a_warning(never, steps, level):
    calls = [64] * (4 - never)
    common = {"shape": [4, 4], "numel": 16}
    sites = [site("fc", "activation", std=1.0)]
    for number, n in enumerate([*calls, *[0] * never]):
        path = f"experts.{number}"
        if n:
            sites.append(site(path, "activation", n=[64, None] * 10))
        sites.append(site(f"{path}.weight", "param_grad", n=n, parent=path, **common))
    [finding] = findings("RUN05", trace_of(steps=steps, sites=sites))
    assert finding.level is level
    assert len(finding.evidence["layers"]) == never


@pytest.mark.parametrize(("own_n", "found"), [(0, 0), (16, 1)])
def test_attention_without_any_gradient_may_use_the_layer_within_it(own_n, found):
    common = {"shape": [4, 4], "numel": 16, "file": "train.py"}
    rows = [site(path, "activation", std=1.0) for path in ("fc", "attn")]
    rows.append(site("fc.weight", "param_grad", n=16, parent="fc", **common))
    rows.append(site("attn.in_proj_weight", "param_grad", n=own_n, parent="attn", **common))
    rows.append(site("attn.out.weight", "param_grad", n=0, parent="attn.out", **common))
    assert len(findings("RUN05", trace_of(steps=5, sites=rows))) == found


def test_few_samples_say_nothing_about_unused_layers():
    assert skip_reasons("RUN05", model(samples=4))


def test_what_cannot_be_seen_is_not_called_unused():
    trace = model()
    rows = {name: trace.table(name).to_pylist() for name in ("sites", "steps", "stats")}
    hidden = type(trace).from_rows(**rows, events=[event("unseen", what="activation")])
    assert skip_reasons("RUN05", hidden)


# RUN06


def test_a_norm_called_several_times_is_noted():
    [finding] = findings("RUN06", trace_of(steps=5, events=[event("reused", path="bn")]))
    assert finding.evidence["layers"] == ["bn"]
    assert findings("RUN06", trace_of(steps=5, events=[event("device", device="cpu")])) == []
    assert skip_reasons("RUN06", trace_of(steps=5))
