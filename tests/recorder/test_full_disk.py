import json
import subprocess
import sys
from pathlib import Path

import pytest

from nntrace.trace import Trace

FULL_DISK = """
import sys, time
import numpy as np
from pathlib import Path
sys.path[:0] = {path!r}
from nntrace.manifest import Manifest
from nntrace.recorder import Cadence, Layout, Recorder, Sample, SiteSample, writer
from nntrace.schema import Role, RunStatus
writer.FLUSH_SECONDS = 0.02
if {limit}:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
run = Path(sys.argv[1])
recorder = Recorder(run, Manifest.begin("run", (), {{}}), Cadence(every=1))
layout = Layout(1, 1, 64, per_unit=False)
sites = tuple(recorder.add_site(f"layer{{n}}", Role.PARAM) for n in range(50))
numbers = np.random.default_rng(0)
done = 0
while recorder.active and done < 4000:
    values = numbers.standard_normal(50 * 64).astype(np.float32)
    recorder.add_sample(
        Sample(done, values, tuple(SiteSample(s, 64 * s, layout) for s in sites)))
    recorder.add_step(data_wait_ns=0, loss=0.0, lr=0.1, grad_norm=None, batch_size=1,
        optimizer="SGD", phase="train", sampled=True, gradients_cleared=None)
    done += 1
    time.sleep(0.002)
meanwhile = Manifest.read(recorder.run)
end = time.monotonic() + 60
while not meanwhile.error and time.monotonic() < end:  # the writer's thread says it in its time
    time.sleep(0.01)
    meanwhile = Manifest.read(recorder.run)
print(meanwhile.status, "tracing stopped" in (meanwhile.error or ""))
recorder.close(RunStatus.FINISHED)
print("trained", done < 4000)
"""


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 400 KiB where one can be mounted, and the limit to set elsewhere."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = (
        sys.platform == "linux"
        and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)],
            capture_output=True,
            check=False,
        ).returncode
        == 0
    )
    yield disk, 0 if mounted else 200_000
    if mounted:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_stops_tracing_and_nothing_else(small_disk):
    disk, limit = small_disk
    code = FULL_DISK.format(path=[str(Path(__file__).parents[2])], limit=limit)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(disk / "run")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout == "running True\ntrained True\n"
    assert done.stderr.count("\n") == 1, done.stderr
    reason = "No space left on device" if not limit else "File too large"
    assert f"tracing stopped in the writer: OSError: {reason}. Training goes on." in done.stderr
    trace = Trace.open(disk / "run")
    assert len(trace.steps) > 10
    assert trace.manifest.status == "finished"
    assert "tracing stopped" in json.loads((disk / "run" / "manifest.json").read_text())["error"]
