"""A `load_state_dict` that leaves every weight as it was is noticed."""

import copy

import pytest
import torch
from torch import distributed, nn


def program(load, *, steps=3):
    def run():
        model = nn.Linear(3, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        kept = {"references": model.state_dict(), "copy": copy.deepcopy(model.state_dict())}
        for _ in range(steps):
            optimizer.zero_grad()
            model(torch.randn(4, 3)).square().mean().backward()
            optimizer.step()
        load(model, kept)

    return run


def loaded(trace_here, load, **options):
    return [event.payload for event in trace_here(program(load, **options)).events_of("loaded")]


def test_weights_kept_by_reference_are_not_put_back(trace_here):
    [payload] = loaded(trace_here, lambda model, kept: model.load_state_dict(kept["references"]))
    assert (payload["why"], payload["class"]) == ("own", "Linear")
    assert payload["file"] == __file__


def test_weights_that_were_copied_are(trace_here):
    assert loaded(trace_here, lambda model, kept: model.load_state_dict(kept["copy"])) == []


def test_a_distributed_checkpoint_was_read_into_the_modules_own_before(trace_here):
    from torch.distributed.checkpoint.state_dict import get_model_state_dict, set_model_state_dict

    def load(model, kept):
        set_model_state_dict(model, get_model_state_dict(model))

    assert loaded(trace_here, load) == []


def test_a_part_of_the_weights_may_be_the_modules_own(trace_here):
    def load(model, kept):
        model.load_state_dict(kept["references"] | {"bias": kept["copy"]["bias"]})

    assert loaded(trace_here, load) == []


def prefixed(model, kept):
    model.load_state_dict({f"module.{k}": v for k, v in kept["copy"].items()}, strict=False)


def test_names_of_which_none_is_known_are_told_with_one_of_either_kind(trace_here):
    [payload] = loaded(trace_here, prefixed)
    assert (payload["why"], payload["given"], payload["wanted"]) == (
        "unmatched",
        "module.weight",
        "weight",
    )


def test_another_attempt_that_works_is_told_too(trace_here):
    def load(model, kept):
        prefixed(model, kept)
        model.load_state_dict(kept["copy"])

    first, second = loaded(trace_here, load)
    assert (first["why"], second["why"]) == ("unmatched", None)
    assert first["module"] == second["module"]


def test_a_few_names_that_are_not_known_are_no_reason(trace_here):
    def load(model, kept):
        model.load_state_dict({"weight": kept["copy"]["weight"], "other": 1}, strict=False)

    assert loaded(trace_here, load) == []


@pytest.fixture
def mesh(tmp_path):
    """A device mesh of this process alone."""
    from torch.distributed.device_mesh import init_device_mesh

    meeting = f"file://{tmp_path}/meeting"
    distributed.init_process_group("gloo", init_method=meeting, rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    distributed.destroy_process_group()


@pytest.mark.filterwarnings("ignore:DTensor random operators:UserWarning")  # PyTorch 2.5's own
@pytest.mark.parametrize(("kind", "expected"), [("references", ["own"]), ("copy", [])])
def test_of_distributed_weights_it_is_the_shards_that_are_compared(
    trace_here, mesh, kind, expected
):
    from torch.distributed.tensor import distribute_module

    def run():
        model = distribute_module(nn.Linear(3, 1), mesh)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        kept = {"references": model.state_dict(), "copy": copy.deepcopy(model.state_dict())}
        for _ in range(3):
            sum(parameter.square().sum() for parameter in model.parameters()).backward()
            optimizer.step()
        model.load_state_dict(kept[kind])

    assert [event.payload["why"] for event in trace_here(run).events_of("loaded")] == expected
