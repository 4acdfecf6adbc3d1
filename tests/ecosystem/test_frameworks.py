"""Real training programs of the frameworks over PyTorch, unmodified, in one process and in two."""

import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from processes import bare

from nntrace.diagnosis import diagnose
from nntrace.rules import Severity
from nntrace.trace import Trace

PROGRAMS = Path(__file__).parent / "programs"
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
# Name, launcher of two processes, arguments of the program for one and for two processes.
FRAMEWORKS = {
    "lightning_trainer": ((), ["1"], ["2"]),
    "hf_trainer": (TORCHRUN, ["out"], ["out"]),
    "accelerate_loop": (TORCHRUN, [], []),
}


@pytest.fixture(scope="module", params=[(name, n) for name in FRAMEWORKS for n in (1, 2)], ids=str)
def run(request, tmp_path_factory):
    """The name, the number of processes, the output and the trace of a program, run once."""
    name, processes = request.param
    launcher, alone, together = FRAMEWORKS[name]
    folder = tmp_path_factory.mktemp(name)
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("NNTRACE")},
        "NNTRACE_STRICT": "1",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    words = [*(launcher if processes > 1 else ()), str(PROGRAMS / f"{name}.py")]
    process = bare(
        folder,
        *(sys.executable, "-m", "nntrace", "run", "--every", "4", "--out", "run"),
        *(sys.executable, *words, *(together if processes > 1 else alone)),
        env=environment,
    )
    assert process.returncode == 0, process.stderr
    assert "tracing stopped" not in process.stderr
    return name, processes, process.stdout, Trace.open(folder / "run")


def test_every_optimizer_step_is_a_step_on_every_rank(run):
    _, processes, output, trace = run
    told = {int(number) for number in re.findall(r"steps (\d+)", output)}
    assert told == {len(one.steps) for one in trace.every_rank()}
    assert trace.ranks == tuple(range(processes))


def test_the_loss_falls_and_the_learning_rate_follows_its_schedule(run):
    name, _, _, trace = run
    loss, rate = trace.steps.loss, trace.steps.lr
    assert np.isfinite(loss).all()
    assert loss[-10:].mean() < 0.7 * loss[:10].mean()
    if name == "lightning_trainer":  # halved after three of six epochs
        assert set(np.round(rate, 6)) == {1e-3, 5e-4}
    else:
        assert rate.argmax() == (10 if name == "hf_trainer" else 0)
        assert rate[-1] < 0.2 * rate.max()


def test_parameters_gradients_and_updates_have_the_models_own_names(run):
    name, _, _, trace = run
    paths = {site.path for site in trace.sites_of("param")}
    expected = {
        "lightning_trainer": "net.0.weight",
        "hf_trainer": "bert.encoder.layer.1.output.dense.weight",
        "accelerate_loop": "0.weight",
    }[name]
    assert expected in paths
    assert paths == {site.path for site in trace.sites_of("update")}
    assert np.nanmin(trace.series("param_grad", "rms", trace.site(expected, "param_grad"))) > 0
    assert (trace.series("update", "rms", trace.site(expected, "update"))[1:] > 0).all()
    assert len(trace.sites_of("activation")) > 2


def test_training_is_told_from_evaluation(run):
    _, _, _, trace = run
    assert set(trace.steps.phase) == {"train"}
    assert {event.payload["training"] for event in trace.events_of("mode")} == {True}
    assert {batch.loss_function for batch in trace.batches} == {"cross_entropy"}
    assert all(batch.label_counts for batch in trace.batches)


def test_two_ranks_are_seen_to_train_one_model(run):
    _, processes, _, trace = run
    if processes == 1:
        return
    (event,) = trace.events_of("distributed")
    assert event.payload["wrapper"] == "DistributedDataParallel"
    assert event.payload["group_size"] == 2


def test_a_healthy_program_is_left_alone(run):
    _, _, _, trace = run
    found = diagnose(trace).findings
    # Whether two processes on a busy machine are equally fast is not for a test to say.
    bad = [f"{f.code}: {f.message}" for f in found if f.level is not Severity.INFO]
    assert [text for text in bad if not text.startswith("DST04")] == []
