"""The first law: tracing never changes training. Real processes, bare and traced, bit for bit."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from nntrace.trace import Trace

EXAMPLES = Path(__file__).parents[2] / "examples"

# Each program defines `train()`, which appends to `losses` and returns what it trained.
PROGRAMS = {
    "digits CNN: dropout, batch norm, shuffled loader, evaluation": """
        sys.path.insert(0, EXAMPLES)
        from digits_cnn import DigitsCNN, load
        from torch.utils.data import DataLoader

        def train():
            train_set, test_set = load()
            model = DigitsCNN()
            optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
            for _ in range(2):
                model.train()
                for images, labels in DataLoader(train_set, batch_size=64, shuffle=True):
                    optimizer.zero_grad()
                    loss = F.cross_entropy(model(images), labels)
                    loss.backward()
                    optimizer.step()
                    losses.append(loss.item())
                model.eval()
                with torch.no_grad():
                    losses.append(float(model(test_set.tensors[0]).sum()))
            return [model, optimizer]
        """,
    "transformer block with attention dropout": """
        class Block(nn.Module):
            def __init__(self):
                super().__init__()
                self.embed, self.place = nn.Embedding(31, 32), nn.Parameter(torch.randn(12, 32))
                self.block = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.2, batch_first=True)
                self.head = nn.Linear(32, 31)

            def forward(self, tokens):
                mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1])
                hidden = self.embed(tokens) + self.place
                return self.head(self.block(hidden, src_mask=mask, is_causal=True))

        def train():
            model = Block()
            optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
            for _ in range(30):
                tokens = torch.randint(31, (8, 13))
                logits = model(tokens[:, :-1])
                loss = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                losses.append(loss.item())
            return [model, optimizer]
        """,
    "LSTM with dropout and accumulated gradients": """
        class Tagger(nn.Module):
            def __init__(self):
                super().__init__()
                self.lstm = nn.LSTM(5, 16, num_layers=2, dropout=0.3, batch_first=True)
                self.head = nn.Linear(16, 1)

            def forward(self, series):
                return self.head(self.lstm(series)[0][:, -1])

        def train():
            model = Tagger()
            optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
            for _ in range(15):
                optimizer.zero_grad()
                for _ in range(3):
                    series = torch.randn(4, 7, 5)
                    loss = F.mse_loss(model(series), series.sum((1, 2)).unsqueeze(1)) / 3
                    loss.backward()
                    losses.append(loss.item())
                optimizer.step()
            return [model, optimizer]
        """,
    "in-place ReLU, in-place residual sum, channels last": """
        class Residual(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv, self.norm = nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6)
                self.act = nn.ReLU(inplace=True)

            def forward(self, x):
                hidden = self.norm(self.conv(x))
                hidden += x
                return self.act(hidden)

        def train():
            model = nn.Sequential(nn.Conv2d(3, 6, 3), Residual(), Residual(), nn.Dropout2d(0.1),
                                  nn.Flatten(), nn.Linear(384, 4))
            model = model.to(memory_format=torch.channels_last)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
            for _ in range(20):
                images = torch.randn(8, 3, 10, 10).contiguous(memory_format=torch.channels_last)
                loss = F.cross_entropy(model(images), torch.randint(4, (8,)))
                optimizer.zero_grad(set_to_none=False)
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            return [model, optimizer]
        """,
    "LBFGS with a closure": """
        def train():
            model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
            inputs = torch.randn(32, 4)
            targets = inputs.prod(dim=1, keepdim=True)
            optimizer = torch.optim.LBFGS(model.parameters(), max_iter=5, history_size=4)

            def closure():
                optimizer.zero_grad()
                loss = F.mse_loss(model(inputs), targets)
                loss.backward()
                losses.append(loss.item())
                return loss

            for _ in range(8):
                optimizer.step(closure)
            return [model, optimizer]
        """,
    "GAN with two optimizers": """
        def train():
            generator = nn.Sequential(nn.Linear(3, 8), nn.LeakyReLU(), nn.Linear(8, 2))
            judge = nn.Sequential(nn.Linear(2, 8), nn.LeakyReLU(), nn.Dropout(0.2), nn.Linear(8, 1))
            first = torch.optim.Adam(judge.parameters(), lr=1e-3)
            second = torch.optim.Adam(generator.parameters(), lr=1e-3)
            for _ in range(15):
                real, fake = torch.randn(16, 2), generator(torch.randn(16, 3))
                loss = F.binary_cross_entropy_with_logits(judge(real), torch.ones(16, 1))
                loss = loss + F.binary_cross_entropy_with_logits(
                    judge(fake.detach()), torch.zeros(16, 1))
                first.zero_grad()
                loss.backward()
                first.step()
                losses.append(loss.item())
                loss = F.binary_cross_entropy_with_logits(judge(fake), torch.ones(16, 1))
                second.zero_grad()
                loss.backward()
                second.step()
                losses.append(loss.item())
            return [generator, judge, first, second]
        """,
    "a custom autograd function, hooks of the user's own, numpy and random in the loop": """
        class Clip(torch.autograd.Function):
            @staticmethod
            def forward(context, x):
                context.save_for_backward(x)
                return x.clamp(-1, 1)

            @staticmethod
            def backward(context, gradient):
                (x,) = context.saved_tensors
                return gradient * (x.abs() < 1)

        def train():
            model = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 3))
            model[0].register_forward_hook(lambda m, a, output: Clip.apply(output) * 1.5)
            model[2].weight.register_hook(lambda gradient: gradient * 0.5)
            model[1].register_full_backward_hook(lambda m, i, o: (i[0] * 2,))
            optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
            for _ in range(20):
                batch = torch.tensor(numpy.random.randn(6, 4), dtype=torch.float32)
                batch *= random.random()
                loss = F.cross_entropy(model(batch), torch.arange(6) % 3)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            return [model, optimizer]
        """,
    "values that are not finite: a batch, a derivative, the weights in the end": """
        def train():
            layers = nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 3)
            model = nn.Sequential(*layers)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
            for step in range(30):
                batch = torch.randn(6, 4) * (1e3 if step == 24 else 1)
                if step == 6:
                    batch[2, 1] = float("nan")
                output = model(batch)
                loss = F.cross_entropy(output, torch.arange(6) % 3)
                if step >= 27:
                    loss = loss + (output - output.detach()).square().sum().sqrt()
                optimizer.zero_grad()
                loss.backward()
                losses.append(loss.item())
                if step != 6:
                    optimizer.step()
            return [model, optimizer]
        """,
}

FRAME = """
import hashlib, json, random, sys
import numpy
import torch
from torch import nn
from torch.nn import functional as F

def digest(value):
    if isinstance(value, torch.Tensor):
        array = value.detach().contiguous().numpy()
        kind = repr((array.dtype, array.shape)).encode()
        return hashlib.sha256(kind + array.tobytes()).hexdigest()
    if isinstance(value, dict):
        return {str(key): digest(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [digest(item) for item in value]
    return repr(value)

def outcome(source):
    random.seed(1)
    numpy.random.seed(2)
    torch.manual_seed(3)
    names = {**globals(), "losses": []}
    exec(source, names)
    trained = names["train"]()
    states = (torch.get_rng_state().tolist(), random.getstate(),
              numpy.random.get_state()[1].tolist())
    return {
        "losses": [repr(loss) for loss in names["losses"]],
        "weights, buffers and optimizer states": [digest(p.state_dict()) for p in trained],
        "gradients": [[None if p.grad is None else digest(p.grad) for p in part.parameters()]
                      for part in trained if isinstance(part, nn.Module)],
        "random states": digest(states),
    }

programs = json.load(open("programs.json"))
print(json.dumps({name: outcome(source) for name, source in programs.items()}))
"""

WAYS = {"every step": ["--every", "1"], "every third": ["--every", "3"], "the default": []}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What each program came to, by the way it was run: one process for each way."""
    folder = tmp_path_factory.mktemp("first-law")
    sources = {
        name: textwrap.dedent(source.replace("EXAMPLES", repr(str(EXAMPLES))))
        for name, source in PROGRAMS.items()
    }
    (folder / "programs.json").write_text(json.dumps(sources))
    (folder / "program.py").write_text(FRAME)
    environment = {name: v for name, v in os.environ.items() if not name.startswith("NNTRACE")}

    def run(*words):
        done = subprocess.run(
            [sys.executable, *words, "program.py"],
            cwd=folder,
            env={**environment, "NNTRACE_STRICT": "1"},
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "tracing stopped" not in done.stderr
        return json.loads(done.stdout)

    found = {"bare": run()}
    for way, options in WAYS.items():
        found[way] = run("-m", "nntrace", "run", "--out", str(folder / way), *options)
    return folder, found


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_training_is_bit_for_bit_the_same_under_trace(outcomes, name, way):
    _, found = outcomes
    assert len(found["bare"][name]["losses"]) >= 15
    for part, value in found["bare"][name].items():
        assert found[way][name][part] == value, part


def test_what_broke_was_looked_for(outcomes):
    folder, _ = outcomes
    for way in WAYS:
        trace = Trace.open(folder / way)
        assert len(trace.events_of("origin")) >= 2


def test_the_traced_runs_were_traced_indeed(outcomes):
    folder, _ = outcomes
    steps = {way: Trace.open(folder / way).steps for way in WAYS}
    sampled = {way: found.sampled for way, found in steps.items()}
    assert sampled["every step"].all()
    # Of optimizers that take turns each is sampled, so that a GAN's samples go on for a step.
    assert sampled["every third"][::3].all()
    assert 1 / 3 <= sampled["every third"].mean() < 1 / 2
    assert len({len(found) for found in sampled.values()}) == 1
    assert sampled["the default"][:10].all()
