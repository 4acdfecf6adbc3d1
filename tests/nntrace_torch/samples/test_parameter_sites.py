"""What a parameter's site says of it, and how often a frozen one is recorded."""

from types import ModuleType

import torch
from torch import nn
from torch_programs import classify

from nntrace.schema import Role

INPUTS = torch.randn(6, 4)


def test_a_frozen_parameter_is_recorded_once(trace_here):
    model = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 3))
    model[0].requires_grad_(False)
    trace = trace_here(lambda: classify(model, INPUTS, steps=4))
    std = trace.series(Role.PARAM, "std", trace.site("0.weight", Role.PARAM))
    assert std[0] > 0
    assert not (std[1:] > 0).any()


BERT = """
from torch import nn

class Pooler(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(8, 8)

    def forward(self, hidden):
        return self.dense(hidden)

class Bert(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 8))
        self.pooler = Pooler()

    def forward(self, inputs):
        hidden = self.layers(inputs)
        return hidden, self.pooler(hidden)
"""


def test_parameters_of_what_a_library_built_within_a_module_share_its_number(trace_here, tmp_path):
    library = ModuleType("bert")
    path = tmp_path / "site-packages" / "bert.py"
    exec(compile(BERT, path, "exec"), vars(library))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.bert, self.head = library.Bert(), nn.Linear(8, 3)

        def forward(self, inputs):
            return self.head(self.bert(inputs)[0])

    sites = trace_here(lambda: classify(Model(), INPUTS, steps=3)).sites_of(Role.PARAM)
    numbers = {site.path: site.library_object for site in sites if site.path.endswith("weight")}
    assert numbers == {
        "bert.layers.0.weight": 0,
        "bert.layers.2.weight": 0,
        "bert.pooler.dense.weight": 0,
        "head.weight": None,
    }
