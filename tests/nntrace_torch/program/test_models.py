import gc
import inspect
import subprocess
import sys
import weakref

import pytest
import torch
from nntrace_torch.program.living import living
from nntrace_torch.samples.modules import Models
from torch import nn
from torch.nn import functional
from torch_programs import Wrapped, classify, mlp


def activations(trace):
    return [site.path for site in trace.sites_of("activation")]


def test_a_model_called_only_by_its_parts_is_found_around_them(trace_here):
    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.encode, self.decode = nn.Linear(4, 4), nn.Linear(4, 3)

    model = Encoder()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def program():
        for _ in range(2):
            optimizer.zero_grad()
            logits = model.decode(model.encode(torch.randn(6, 4)).relu())
            functional.cross_entropy(logits, torch.arange(6) % 3).backward()
            optimizer.step()

    trace = trace_here(program)
    assert activations(trace) == ["encode", "decode"]
    assert trace.site("encode.weight", "update") is not None


class Direct(nn.Module):
    def __init__(self, *, hooked):
        super().__init__()
        self.encode, self.act, self.decode = nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3)
        self.hooked = hooked

    def forward(self, x):
        for part in (self.encode, self.act, self.decode):
            x = part(x) if self.hooked else part.forward(x)
        return x


@pytest.mark.parametrize("hooked", [True, False])
def test_where_the_program_calls_forward_itself_its_parts_are_seen_or_it_is_said(
    trace_here, hooked
):
    model = Direct(hooked=hooked)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def program():
        for _ in range(4):
            optimizer.zero_grad()
            logits = model.forward(torch.randn(6, 4))
            functional.cross_entropy(logits, torch.arange(6) % 3).backward()
            optimizer.step()

    trace = trace_here(program)
    assert activations(trace) == (["encode", "act", "decode"] if hooked else [])
    said = [event.payload["reason"] for event in trace.events_of("unseen")]
    assert ["model.forward(x)" in reason for reason in said] == [True] * (not hooked)


def test_a_second_model_is_told_apart_by_its_class(trace_here):
    class Judge(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(3, 3)

        def forward(self, x):
            return self.head(x) * 2

    first, second, third = mlp(), Judge(), Judge()
    parameters = [*first.parameters(), *second.parameters(), *third.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=0.1)

    def program():
        logits = third(second(first(torch.randn(6, 4))))
        functional.cross_entropy(logits, torch.arange(6) % 3).backward()
        optimizer.step()

    trace = trace_here(program)
    assert activations(trace) == ["0", "1", "2", "Judge.head", "Judge", "Judge2.head", "Judge2"]
    assert trace.site("Judge2.head.bias", "update") is not None


def test_modules_outside_any_model_are_recorded_under_a_name_of_their_own(trace_here):
    model, loose = mlp(), nn.Linear(3, 3)
    optimizer = torch.optim.SGD([*model.parameters(), *loose.parameters()], lr=0.1)

    def program():
        functional.cross_entropy(loose(model(torch.randn(6, 4))), torch.arange(6) % 3).backward()
        optimizer.step()

    trace = trace_here(program)
    assert activations(trace)[-1] == "Linear"
    assert trace.site("Linear.weight", "param") is not None


def test_modules_without_parameters_outside_a_model_are_no_models(trace_here):
    model = mlp()

    def program():
        hidden = nn.ReLU()(torch.randn(6, 4))
        classify(model, hidden)

    assert activations(trace_here(program)) == ["0", "1", "2"]


def listing(make):
    """A model whose middle layer is no part of it."""

    class Listing(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers, self.head = [nn.Linear(4, 4)], nn.Linear(4, 3)

        def forward(self, x):
            return self.head(make(self.layers)(x))

    return Listing()


def test_a_layer_that_a_model_keeps_in_a_plain_list_is_seen_and_stays_in_no_optimizer(trace_here):
    model = listing(lambda layers: layers[0])
    trace = trace_here(lambda: classify(model, torch.randn(6, 4), steps=3))
    assert activations(trace) == ["head", "Linear"]
    assert trace.site("Linear.weight", "param_grad") is not None
    assert trace.site("Linear.weight", "update") is None


def test_layers_that_are_built_anew_in_every_forward_are_not_recorded(trace_here):
    model = listing(lambda _: nn.Linear(4, 4))
    trace = trace_here(lambda: classify(model, torch.randn(6, 4), steps=3))
    assert activations(trace) == ["head"]


def test_a_wrapper_around_the_model_names_its_parts(trace_here):
    class Wrapper(nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module

        def forward(self, x):
            return self.module(x)

    trace = trace_here(lambda: classify(Wrapper(mlp()), torch.randn(6, 4)))
    assert activations(trace) == ["module.0", "module.1", "module.2"]


def test_data_parallel_without_an_accelerator_leaves_the_models_own_paths(trace_here):
    trace = trace_here(lambda: classify(nn.DataParallel(mlp()), torch.randn(6, 4)))
    assert activations(trace) == ["0", "1", "2"]


def test_a_module_says_which_line_built_it(trace_here):
    here = inspect.currentframe().f_lineno

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(4, 3)

        def forward(self, x):
            return self.inner(x) * 2

    def program():
        classify(nn.Sequential(Block(), nn.Linear(3, 3)), torch.randn(6, 4))

    trace = trace_here(program)
    lines = {site.path: site.line - here for site in trace.sites_of("activation")}
    assert lines == {"0.inner": 5, "0": 11, "1": 11}
    assert {site.file for site in trace.sites_of("activation")} == {__file__}
    assert trace.site("0.inner.weight", "param").line - here == 5


def test_a_module_built_before_tracing_has_no_line(trace_here):
    model = mlp()
    trace = trace_here(lambda: classify(model, torch.randn(6, 4)))
    assert {(site.file, site.line) for site in trace.sites_of("activation")} == {(None, None)}


def test_a_model_that_is_gone_leaves_its_names_to_nobody():
    models = Models()
    first = mlp()
    assert models.owner_of(first[0]).root is first
    del first
    gc.collect()
    second = mlp()
    owner = models.owner_of(second)
    assert owner.root is second
    assert owner.path_of(second[0]).endswith("0")
    assert models.known[0].sites == 0


def test_parameters_shared_by_two_modules_have_the_first_ones_name(trace_here):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(7, 4)
            self.head = nn.Linear(4, 7, bias=False)
            self.head.weight = self.embed.weight

        def forward(self, tokens):
            return self.head(self.embed(tokens).mean(dim=1))

    trace = trace_here(lambda: classify(Tied(), torch.randint(7, (6, 5))))
    assert [site.path for site in trace.sites_of("param")] == ["embed.weight"]


def test_two_threads_of_forward_passes_do_not_mix(trace_here):
    from threading import Thread

    model, other = mlp(), mlp()

    def program():
        thread = Thread(target=lambda: [other(torch.randn(6, 4)) for _ in range(20)])
        thread.start()
        classify(model, torch.randn(6, 4), steps=5)
        thread.join()

    assert activations(trace_here(program)) == ["0", "1", "2"]


@pytest.mark.parametrize(
    "name", ["_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module", "_forward_module"]
)
def test_a_module_that_stands_for_another_is_no_part_of_its_path(trace_here, name):
    model = Wrapped(lambda m, x: getattr(m, name)(x), **{name: mlp()})
    assert activations(trace_here(lambda: classify(model, torch.randn(6, 4)))) == ["0", "1", "2"]


FILLING = """
import sys, threading
from nntrace_torch.program.living import living
from torch import nn

if "audited" in sys.argv:
    sys.addaudithook(lambda event, arguments: None)  # cannot be taken off again
failures, stops = [], threading.Event()
many = [[number] for number in range(400_000)]  # a search of some time

def fill():
    while not stops.is_set():
        try:
            tuple(sum(range(200)) + number for number in range(40))
        except SystemError as error:
            failures.append(error)

threads = [threading.Thread(target=fill) for _ in range(2)]
for thread in threads:
    thread.start()
sys.setswitchinterval(1e-5)
model = nn.Linear(2, 2)
found = [model in living(nn.Module) for _ in range(20)]
stops.set()
for thread in threads:
    thread.join()
print(len(failures), all(found))
"""


@pytest.mark.parametrize("hooks", [[], ["audited"]], ids=["alone", "audited"])
def test_tuples_that_other_threads_are_filling_are_not_held_while_objects_are_searched(hooks):
    words = [sys.executable, "-c", FILLING, *hooks]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "0 True\n"


def test_a_search_for_living_objects_keeps_none_of_them_alive():
    model = mlp()
    reference = weakref.ref(model)
    found = living(nn.Module)
    del found, model
    assert reference() is None


@pytest.mark.parametrize("collects", [True, False])
def test_a_search_for_living_objects_leaves_the_garbage_collector_as_it_was(collects):
    (gc.enable if collects else gc.disable)()
    living(nn.Module)
    was_enabled = gc.isenabled()
    gc.enable()
    assert was_enabled is collects
