"""Where the model computes, and which devices are read without waiting for them."""

import torch
from nntrace_torch.program.devices import queue
from torch_programs import classify, mlp
from tracing import payloads

from nntrace.adapter.devices import accelerator

INPUTS = torch.randn(6, 4)


def test_the_device_of_the_model_is_recorded_once(trace_here):
    [payload] = payloads(trace_here(lambda: classify(mlp(), INPUTS, steps=3)), "device")
    assert payload["device"] == "cpu"


def test_an_accelerator_is_found_by_its_driver_unless_it_is_hidden(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    (tmp_path / "gpus" / "0000:01:00.0").mkdir(parents=True)
    (tmp_path / "none").mkdir()
    assert accelerator(tmp_path / "gpus", tmp_path / "none") == "cuda"
    assert accelerator(tmp_path / "none", tmp_path / "none") is None
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert accelerator(tmp_path / "gpus", tmp_path / "none") is None


def test_copies_from_accelerators_with_streams_and_events_are_not_waited_for():
    assert queue(torch.device("cuda", 1)) is torch.cuda
    assert queue(torch.device("xpu")) is torch.xpu
    assert queue(torch.device("cpu")) is None
    assert queue(torch.device("meta")) is None
