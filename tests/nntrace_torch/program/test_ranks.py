"""What frames the record of a rank."""

import torch
from torch_programs import classify, mlp
from tracing import payloads


def test_rank_start_and_stop_frame_the_run(trace_here):
    trace = trace_here(lambda: classify(mlp(), torch.randn(6, 4), steps=4), every=2)
    (start,), (stop,) = payloads(trace, "rank_start"), payloads(trace, "rank_stop")
    assert start["rank"] == 0
    assert start["world_size"] == 1
    starved = stop.pop("starved")
    assert starved is None or 0.0 <= starved <= 1.0
    assert stop == {"steps": 4, "sampled_steps": 2, "status": "finished", "error": None}
