"""What older versions of PyTorch lack is done in another way, seen here on the installed one."""

import pytest
import torch
from nntrace_torch import older
from torch import nn
from torch.nn.modules import module as module_hooks


class Scaled(nn.Module):
    def forward(self, values, *, by=None):
        if by is None:
            raise ValueError("no scale")
        return values * by


@pytest.fixture(params=["as installed", "as in 2.4"])
def seen(request, monkeypatch):
    """What a hook of every module is given."""
    if request.param == "as in 2.4":
        monkeypatch.setattr(older, "_HAS_GLOBAL_KEYWORDS", False)
    given = []
    handle = older.register_forward_hook(lambda module, *rest: given.append(rest))
    yield given
    handle.remove()
    older.forget_keywords(handle)


def test_a_hook_of_every_module_is_given_the_keyword_arguments_of_a_call(seen):
    ones = torch.ones(2)
    Scaled()(ones, by=3)
    ((args, keywords, output),) = seen
    assert args == (ones,)
    assert keywords == {"by": 3}
    assert output.tolist() == [3, 3]


def test_a_hook_of_every_module_leaves_nothing_behind():
    def kept():
        return sum(
            len(held)
            for name, held in vars(module_hooks).items()
            if name.startswith("_global_") and isinstance(held, dict)
        )

    handle = older.register_forward_hook(lambda module, *rest: None)
    assert kept()
    handle.remove()
    older.forget_keywords(handle)
    assert not kept()


def test_a_hook_of_every_module_is_given_no_keyword_arguments_of_a_call_that_raised(seen):
    with pytest.raises(ValueError, match="no scale"):
        Scaled()(torch.ones(2))
    assert [len(rest) for rest in seen] == [2]


def test_a_call_that_returns_none_has_its_keyword_arguments(seen):
    class Nothing(nn.Module):
        def forward(self, **names):
            return None

    Nothing()(a=1)
    assert seen == [((), {"a": 1}, None)]


def test_before_there_was_an_error_of_accelerators_a_devices_error_was_known_by_its_text(
    monkeypatch,
):
    monkeypatch.setattr(older, "_ACCELERATOR_ERROR", None)
    assert older.is_device_error(RuntimeError("CUDA error: device-side assert triggered"))
    assert older.is_device_error(torch.OutOfMemoryError())
    assert not older.is_device_error(RuntimeError("shapes do not match"))


def test_the_generator_of_apples_device_is_asked_for_without_naming_a_device():
    assert older.place("mps:0") == ()
    assert older.place("cuda:1") == ("cuda:1",)
