"""Several ranks on gloo, in real processes: what is recorded, what is blamed, the first law."""

import socket
import sys

import numpy as np
import pytest
from processes import bare, only_run, traced, write

from nntrace.diagnosis import diagnose
from nntrace.rules import select_rules
from nntrace.trace import Trace

TRAIN = """
import hashlib, os, sys, time
import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler

def train(fault=""):
    rank = dist.get_rank()
    torch.manual_seed(0)
    x = torch.randn(384, 16)
    data = TensorDataset(x, (x @ torch.randn(16, 4)).argmax(1))
    sampler = None if "same" in fault else DistributedSampler(data, seed=1)
    loader = DataLoader(data, batch_size=16, sampler=sampler)
    model = nn.Sequential(nn.Linear(16, 32), nn.Dropout(0.1), nn.ReLU(), nn.Linear(32, 4))
    net = wrapped(model) if "shards" in fault else DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    losses, step = [], 0
    if "uneven" in fault:
        import nntrace_torch.nonfinite.watch as watch
        watch._SHARE = watch._EARLY_STEPS = rank  # one rank looks at gradients, the other does not
    for epoch in range(3):
        if sampler is not None:
            sampler.set_epoch(epoch)
        for images, labels in loader:
            step += 1
            if "slow" in fault and rank == 1:
                time.sleep(0.03)
            if "nan" in fault and rank == 1 and step == 30:
                images[2, 3] = float("nan")
            if "raise" in fault and rank == 1 and step == 30:
                raise ValueError("bad row")
            optimizer.zero_grad()
            loss = F.cross_entropy((model if "bypass" in fault else net)(images), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    weights = b"".join(
        (p.to_local() if "shards" in fault else p).detach().numpy().tobytes()
        for p in model.parameters()
    )
    with open(f"result-{rank}", "w") as file:
        file.write(repr(losses) + hashlib.sha256(weights).hexdigest())

def wrapped(model):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    fully_shard(model[0], mesh=mesh)
    return fully_shard(model, mesh=mesh)

def spawned(rank, file, fault):
    dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
    train(fault)

if __name__ == "__main__":
    if "spawn" in sys.argv:
        torch.multiprocessing.spawn(spawned, (os.path.abspath("meet"), sys.argv[2]), 2)
    else:
        dist.init_process_group("gloo")
        train(*sys.argv[1:])
        dist.destroy_process_group()
"""


# Deterministic algorithms fill memory that is allocated and not written with NaN.
PIPELINE = """
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.pipelining import PipelineStage, ScheduleGPipe

dist.init_process_group("gloo")
rank = dist.get_rank()
torch.manual_seed(rank)
torch.use_deterministic_algorithms(True)
part = [nn.Sequential(nn.Linear(8, 16), nn.ReLU()), nn.Linear(16, 1)][rank]
stage = PipelineStage(part, rank, 2, torch.device("cpu"))
schedule = ScheduleGPipe(stage, n_microbatches=2, loss_fn=nn.functional.mse_loss)
optimizer = torch.optim.SGD(part.parameters(), lr=0.05)
losses = []
for step in range(6):
    x = torch.randn(8, 8, generator=torch.Generator().manual_seed(step))
    optimizer.zero_grad()
    if rank:
        schedule.step(target=x[:, :1], losses=losses)
    else:
        schedule.step(x)
    optimizer.step()
with open(f"result-{rank}", "w") as file:
    file.write(repr((losses, [p.tolist() for p in part.parameters()])))
dist.destroy_process_group()
"""

# Cheaper than torchrun, which tests/test_launch_training.py starts.
LAUNCHER = """
import os, subprocess, sys
os.environ.update(WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=sys.argv[1])
ranks = [
    subprocess.Popen([sys.executable, "ranks.py", *sys.argv[2:]], env={**os.environ, "RANK": rank})
    for rank in "01"
]
sys.exit(max(rank.wait() for rank in ranks))
"""


# What `srun -n 2 nntrace run ranks.py` does, as far as nntrace can see.
SRUN = """
import os, subprocess, sys
os.environ.update(WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=sys.argv[1])
os.environ.update(SLURM_JOB_ID="7", SLURM_STEP_ID="0", SLURM_STEP_NUM_TASKS="2")
command = [sys.executable, "-m", "nntrace", "run", *sys.argv[2:], "ranks.py"]
tasks = [
    subprocess.Popen(command, env={**os.environ, "RANK": rank, "SLURM_PROCID": rank})
    for rank in "01"
]
sys.exit(max(task.wait() for task in tasks))
"""


@pytest.fixture
def ranks(folder, monkeypatch):
    monkeypatch.setenv("NNTRACE_STRICT", "1")
    write(folder, "ranks.py", TRAIN)
    write(folder, "launch.py", LAUNCHER)
    return folder


def launched(start, folder, *words):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    process = start(folder, *words, "launch.py", port)
    assert process.returncode == 0, process.stderr
    return [(folder / f"result-{rank}").read_text() for rank in (0, 1)]


def trained(folder, fault=""):
    results = launched(
        lambda *words: traced(*words, *([fault] if fault else [])), folder, "--out", "run"
    )
    return Trace.open(folder / "run"), results


def diagnosed(trace):
    found = diagnose(trace, rules=select_rules(["DST"]))
    return {one.code for one in found.findings}, {one.code for one in found.skipped}


def test_healthy_data_parallel_training_is_bit_for_bit_the_same_and_left_alone(ranks):
    untraced = launched(bare, ranks, sys.executable)
    trace, results = trained(ranks)
    assert results == untraced
    assert [len(one.steps) for one in trace.every_rank()] == [36, 36]
    assert [site.path for site in trace.sites_of("update")] == [
        *("0.weight", "0.bias", "3.weight", "3.bias")
    ]
    (event,) = trace.events_of("distributed")
    assert event.payload["wrapper"] == "DistributedDataParallel"
    assert event.payload["group_size"] == event.payload["world_size"] == 2
    assert (trace.steps.before_backward_ns[1:] <= trace.steps.duration_ns[1:]).all()
    # Whether two processes on a busy machine are equally fast is not for a test to say.
    assert diagnosed(trace)[0] - {"DST04"} == set()


@pytest.mark.parametrize("options", [[], ["--out", "nntrace-runs/here"]], ids=["named", "out"])
def test_tasks_that_srun_starts_each_under_nntrace_write_one_run(ranks, options):
    write(ranks, "launch.py", SRUN)
    launched(lambda *words: bare(*words, *options), ranks, sys.executable)
    trace = only_run(ranks)
    assert [len(one.steps) for one in trace.every_rank()] == [36, 36]
    assert diagnosed(trace)[0] - {"DST04"} == set()


def test_what_a_pipeline_computes_to_learn_its_shapes_is_no_part_of_its_training(ranks):
    write(ranks, "ranks.py", PIPELINE)
    untraced = launched(bare, ranks, sys.executable)
    trace, results = trained(ranks)
    assert results == untraced
    assert not [event for one in trace.every_rank() for event in one.events_of("nonfinite")]
    activations = [one.series("activation", "mean") for one in trace.every_rank()]
    assert all(len(of_rank) == 6 and np.isfinite(of_rank).all() for of_rank in activations)


def test_a_model_called_without_its_wrapper_a_slow_rank_and_a_bad_batch_are_found(ranks):
    trace, _ = trained(ranks, "bypass nan slow")
    assert diagnosed(trace)[0] == {"DST01", "DST03", "DST04", "DST05"}


def test_of_a_sharded_model_each_rank_records_its_own_shard(ranks):
    trace, _ = trained(ranks, "shards")
    for one in trace.every_rank():
        assert one.site("0.weight", "param").shape == (16, 16)
        assert one.site("0.weight", "param").module_type == "Linear"
        assert (one.series("update", "rms") > 0).all()
        assert (one.series("param_grad", "rms") > 0).all()
    codes, skipped = diagnosed(trace)
    assert codes - {"DST04"} == set()
    assert skipped == {"DST01", "DST03"}


def test_a_sharded_model_is_looked_at_and_never_called_again_by_one_rank_alone(ranks):
    trace, _ = trained(ranks, "shards uneven nan")
    (origin,) = trace.every_rank()[1].events_of("origin")
    assert origin.payload["where"] == "data"
    assert [len(one.steps) for one in trace.every_rank()] == [36, 36]


def test_spawned_ranks_share_a_run_and_the_one_that_failed_is_named(ranks):
    process = traced(ranks, "--out", "run", "ranks.py", "spawn", "same raise")
    assert "ValueError: bad row" in process.stderr
    assert [path.name for path in ranks.glob("run*")] == ["run"]
    trace = Trace.open(ranks / "run")
    assert trace.ranks == (0, 1)
    starts = [one.events_of("rank_start")[0].payload for one in trace.every_rank()]
    assert [(start["rank"], start["world_size"]) for start in starts] == [(0, 2), (1, 2)]
    assert diagnosed(trace)[0] - {"DST04"} == {"DST02", "DST06"}
