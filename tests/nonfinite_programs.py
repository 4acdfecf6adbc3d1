"""Training programs whose first non-finite value arises at a known line, marked `# origin`.

Each name maps to the source, the part of the step (`forward`, `loss`, `backward`, `update`,
`data`, `weights`) and the operation. Nothing here depends on how the origin is found.
"""

from textwrap import dedent
from typing import NamedTuple

HEAD = """
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
x = torch.randn(8, 4)
y = torch.arange(8) % 3


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(4, 6)
        self.fc2 = nn.Linear(6, 3)

    def middle(self, h):
        return h

    def forward(self, x):
        return self.fc2(self.middle(F.relu(self.fc1(x))))


def train(model, loss_of, steps=4, lr=0.1, optimizer=None, breaks=lambda step: None):
    optimizer = optimizer or torch.optim.SGD(model.parameters(), lr=lr)
    for step in range(steps):
        breaks(step)
        optimizer.zero_grad()
        loss = loss_of(model)
        loss.backward()
        optimizer.step()


def classify(model):
    return F.cross_entropy(model(x), y)


def at(step, action):
    return lambda now: action() if now == step else None

"""


class Program(NamedTuple):
    source: str
    where: str
    op: str
    step: int = 0
    time_step: int | None = None
    facts: str = ""  # a part of the expected text about the operands

    @property
    def line(self) -> int | None:
        """The marked line, from 1."""
        for number, text in enumerate(self.source.splitlines(), 1):
            if text.rstrip().endswith("# origin"):
                return number
        return None


def program(
    body: str,
    where: str,
    op: str,
    step: int = 0,
    time_step: int | None = None,
    facts: str = "",
) -> Program:
    return Program(HEAD + dedent(body), where, op, step, time_step, facts)


def middle(statement: str) -> str:
    """A network that from step 2 on applies `statement` to a hidden `h`, which contains zeros."""
    return f"""
    class Mine(Net):
        def middle(self, h):
            if self.broken:
                return {statement}  # origin
            return h

    model = Mine()
    model.broken = False
    train(model, classify, breaks=at(2, lambda: setattr(model, "broken", True)))
    """


PROGRAMS = {
    # In the forward pass.
    "division by zero": program(middle("h / (h - h)"), "forward", "div", 2),
    "log of zero": program(middle("torch.log(h * 0)"), "forward", "log", 2),
    "log of a negative": program(middle("(h - 5).log()"), "forward", "log", 2),
    "square root of a negative": program(middle("torch.sqrt(h - 5)"), "forward", "sqrt", 2),
    "rsqrt of zero": program(middle("torch.rsqrt(h * 0)"), "forward", "rsqrt", 2),
    "exp overflow": program(middle("torch.exp(h + 200)"), "forward", "exp", 2),
    "softmax over masked rows": program(
        middle("h.masked_fill(h < 9, float('-inf')).softmax(-1)"), "forward", "softmax", 2
    ),
    "norm of zero": program(
        middle("(h * 0) / (h * 0).norm(dim=1, keepdim=True)"), "forward", "div", 2
    ),
    "negative to a fractional power": program(middle("(h - 5) ** 0.5"), "forward", "pow", 2),
    "zero to a negative power": program(middle("(h * 0) ** -1.5"), "forward", "pow", 2),
    "acos beyond one": program(middle("torch.acos(h + 2)"), "forward", "acos", 2),
    "atanh at one": program(middle("torch.atanh(h * 0 + 1)"), "forward", "atanh", 2),
    "variance of one element": program(middle("h / h[:1].var(dim=0)"), "forward", "var", 2),
    "overflow of a product": program(middle("h * 1e30 * 1e30"), "forward", "mul", 2),
    "infinity minus itself after an overflow": program(
        """
        class Mine(Net):
            def middle(self, h):
                big = torch.exp(h * 0 + 100)  # origin
                return big - big

        train(Mine(), classify)
        """,
        "forward",
        "exp",
    ),
    "0 · inf in a mask": program(
        """
        class Mine(Net):
            def middle(self, h):
                mask = torch.full_like(h, float("-inf"))
                return h + (h < 100) * 0 * mask  # origin

        train(Mine(), classify)
        """,
        "forward",
        "mul",
    ),
    "cast to float16 overflows": program(
        middle("(h + 1e6).half().float()"), "forward", "to_copy", 2
    ),
    "accumulation in bfloat16": program(
        middle("(h.bfloat16() * 3e38).sum(1, keepdim=True).float() + h"), "forward", "mul", 2
    ),
    "overflow of a matrix product under autocast": program(
        """
        class Mine(Net):
            def forward(self, x):
                with torch.autocast("cpu", torch.float16):
                    return self.fc2(self.fc1(x) * 1e5).float()  # origin

        train(Mine(), classify)
        """,
        "forward",
        "mul",
    ),
    "logarithm of a softmax": program(
        """
        class Mine(Net):
            def forward(self, x):
                p = torch.softmax(super().forward(x) * 1e4, dim=1)
                return torch.log(p)  # origin

        train(Mine(), lambda model: (model(x) * F.one_hot(y, 3)).sum())
        """,
        "forward",
        "log",
    ),
    "a layer of PyTorch's own": program(
        """
        model = nn.Sequential(nn.Linear(4, 6), nn.Softplus(), nn.Linear(6, 3))
        model[0].bias.data += 3e38
        wide = torch.full((8, 4), 1e38)
        model[0].weight.data.fill_(3.0)
        train(model, lambda model: F.cross_entropy(model(wide), y))
        """,
        "forward",
        "addmm",
    ),
    "in a custom autograd function's forward": program(
        """
        class Inverse(torch.autograd.Function):
            @staticmethod
            def forward(context, h):
                result = 1 / h  # origin
                context.save_for_backward(result)
                return result

            @staticmethod
            def backward(context, gradient):
                (result,) = context.saved_tensors
                return -gradient * result**2

        class Mine(Net):
            def middle(self, h):
                return Inverse.apply(h * 0)

        train(Mine(), classify)
        """,
        "forward",
        "reciprocal",
    ),
    "in a loop over time": program(
        """
        class Mine(Net):
            def forward(self, x):
                h = x
                for _ in range(6):
                    h = torch.exp(h.abs())  # origin
                return self.fc2(self.fc1(h))

        train(Mine(), classify)
        """,
        "forward",
        "exp",
    ),
    "in an LSTM": program(
        """
        class Mine(nn.Module):
            def __init__(self):
                super().__init__()
                self.lstm, self.head = nn.LSTM(4, 6, batch_first=True), nn.Linear(6, 3)

            def forward(self, series):
                out, _ = self.lstm(series)
                scale = out.detach()[:, 2:3].sum(-1, keepdim=True) * 0
                return self.head((out / scale)[:, -1])  # origin

        train(Mine(), lambda model: F.cross_entropy(model(torch.randn(8, 5, 4)), y))
        """,
        "forward",
        "div",
    ),
    "within an LSTM, at one time step": program(
        """
        class Mine(nn.Module):
            def __init__(self):
                super().__init__()
                self.lstm, self.head = nn.LSTM(4, 6, bias=False), nn.Linear(6, 3)
                self.lstm.weight_ih_l0.data.fill_(3e38)
                self.lstm.weight_hh_l0.data.fill_(-3e38)

            def forward(self, series):
                out, _ = self.lstm(series)  # origin
                return self.head(out[-1])

        train(Mine(), lambda model: F.cross_entropy(model(torch.ones(5, 8, 4)), y))
        """,
        "forward",
        "mm",
        time_step=2,
    ),
    "written to in place afterwards": program(
        """
        class Mine(Net):
            def middle(self, h):
                h = h / (h - h)  # origin
                h.add_(1)
                return h.mul_(2)

        train(Mine(), classify)
        """,
        "forward",
        "div",
    ),
    "in a recurrent layer that grows": program(
        """
        class Mine(nn.Module):
            def __init__(self):
                super().__init__()
                self.rnn = nn.RNN(4, 6, nonlinearity="relu", batch_first=True)
                self.head = nn.Linear(6, 3)
                for weight in self.rnn.parameters():
                    weight.data.fill_(1e6)

            def forward(self, series):
                out, _ = self.rnn(series)  # origin
                return self.head(out[:, -1])

        train(Mine(), lambda model: F.cross_entropy(model(torch.ones(8, 9, 4)), y))
        """,
        "forward",
        "addmm",
        time_step=6,
    ),
    "in a compiled model": program(
        middle("torch.log(h * 0)").replace(
            "train(model,", 'train(torch.compile(model, backend="eager"),'
        ),
        "forward",
        "log",
        2,
    ),
    "in the second micro-batch": program(
        """
        class Mine(Net):
            def middle(self, h):
                return h / self.scale  # origin

        model = Mine()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(3):
            optimizer.zero_grad()
            for part in range(3):
                model.scale = torch.tensor(0.0 if (step, part) == (1, 1) else 1.0)
                loss = F.cross_entropy(model(x), y) / 3
                loss.backward()
            optimizer.step()
        """,
        "forward",
        "div",
        1,
    ),
    "in a GAN's discriminator": program(
        """
        class Judge(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(2, 1)

            def forward(self, points):
                size = points.norm(dim=1, keepdim=True)
                return self.fc(points / (size - size))  # origin

        generator, judge = nn.Linear(3, 2), Judge()
        first = torch.optim.Adam(judge.parameters())
        second = torch.optim.Adam(generator.parameters())
        for step in range(2):
            fake = generator(torch.randn(8, 3))
            first.zero_grad()
            loss = F.softplus(judge(fake.detach())).mean()
            loss = loss + F.softplus(-judge(torch.randn(8, 2))).mean()
            loss.backward()
            first.step()
        """,
        "forward",
        "div",
    ),
    "in eval only": program(
        """
        class Mine(Net):
            def middle(self, h):
                return h if self.training else h / (h - h)  # origin

        model = Mine()
        train(model, classify)
        model.eval()
        with torch.no_grad():
            model(x)
        model.train()
        train(model, classify)
        """,
        "forward",
        "div",
        4,
    ),
    "backwards through packed series": program(
        """
        from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

        class Mine(nn.Module):
            def __init__(self):
                super().__init__()
                self.rnn = nn.RNN(4, 6, 2, "relu", bidirectional=True, batch_first=True)
                self.head = nn.Linear(12, 3)
                for name, weight in self.rnn.named_parameters():
                    last = name.endswith("l1_reverse")
                    weight.data.fill_(1e6 if last else name.startswith("bias_ih_l0"))

            def forward(self, series, lengths):
                packed = pack_padded_sequence(
                    series, lengths, batch_first=True, enforce_sorted=False
                )
                out, _ = self.rnn(packed)  # origin
                return self.head(pad_packed_sequence(out, batch_first=True)[0][:, 0])

        lengths = torch.tensor([3, 9, 2])
        train(Mine(), lambda model: model(torch.ones(3, 9, 4), lengths).square().mean())
        """,
        "forward",
        "addmm",
        time_step=4,
    ),
    "in a normalising flow": program(
        """
        class Coupling(nn.Module):
            def __init__(self):
                super().__init__()
                self.net, self.kind = nn.Linear(2, 4), "sigmoid"

            def forward(self, z):
                fixed, moved = z.chunk(2, dim=-1)
                scale, shift = self.net(fixed).chunk(2, dim=-1)
                scale = getattr(scale, self.kind)()
                log_det = scale.log().sum(-1)  # origin
                return torch.cat([fixed, moved * scale + shift], -1), log_det

        class Flow(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.ModuleList(Coupling() for _ in range(3))

            def log_prob(self, z):
                total = 0
                for layer in self.layers:
                    z, log_det = layer(z)
                    total = total + log_det
                return total - 0.5 * (z**2).sum(-1)

        flow = Flow()
        breaks = at(2, lambda: setattr(flow.layers[1], "kind", "relu"))
        train(flow, lambda flow: -flow.log_prob(x).mean(), breaks=breaks)
        """,
        "forward",
        "log",
        2,
    ),
    "without any module": program(
        """
        weights = {"in": torch.randn(4, 8) * 0.3, "out": torch.randn(8, 3) * 0.3}
        for weight in weights.values():
            weight.requires_grad_()

        def net(weights, x, scale):
            hidden = torch.tanh(torch.einsum("bi,ij->bj", x, weights["in"]))
            hidden = hidden / (hidden.sum(1, keepdim=True) * scale)  # origin
            return torch.einsum("bi,ij->bj", hidden, weights["out"])

        optimizer = torch.optim.SGD(weights.values(), lr=1e-3)
        for step in range(4):
            loss = F.cross_entropy(net(weights, x, float(step < 2)), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        """,
        "forward",
        "div",
        2,
    ),
    "in recomputed layers": program(
        """
        from torch.utils.checkpoint import checkpoint

        class Norm(nn.Module):
            eps = 1e-5

            def forward(self, h):
                centred = h - h.mean(-1, keepdim=True)
                spread = centred.square().mean(-1, keepdim=True)
                return centred * torch.rsqrt(spread + self.eps)  # origin

        class Mine(Net):
            def __init__(self):
                super().__init__()
                self.norm = Norm()

            def middle(self, h):
                return checkpoint(self.norm, h * (self.norm.eps > 0), use_reentrant=False)

        train(model := Mine(), classify, breaks=at(2, lambda: setattr(model.norm, "eps", 0.0)))
        """,
        "forward",
        "rsqrt",
        2,
    ),
    "in a batch norm of one example": program(
        """
        class Norm(nn.Module):
            def forward(self, h):
                return (h - h.mean(0)) / (h.var(0) + 1e-5).sqrt()  # origin

        class Mine(Net):
            def __init__(self):
                super().__init__()
                self.norm = Norm()

            def middle(self, h):
                return self.norm(h)

        model = Mine()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for rows in (slice(0, 4), slice(4, 7), slice(7, 8)):
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
        """,
        "forward",
        "var",
        2,
        facts="var of 1 element",
    ),
    "an infinity of its own that is chosen": program(
        """
        class Mine(Net):
            legal = torch.ones(8, 3, dtype=torch.bool)

            def forward(self, x):
                return super().forward(x).masked_fill(~self.legal, float("-inf"))  # origin

        def loss_of(model):
            return -model(x).log_softmax(-1)[torch.arange(8), y].mean()

        model = Mine()
        train(model, loss_of, breaks=at(2, lambda: model.legal[4, 1].logical_not_()))
        """,
        "forward",
        "masked_fill",
        2,
        facts="the program writes 1 of 24 elements there itself",
    ),
    # In the loss, outside any module.
    "cosine similarity of zeros": program(
        """
        def cosine(a, b):
            return (a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1))  # origin

        tower = nn.Sequential(nn.Linear(4, 6), nn.ReLU())
        breaks = at(2, lambda: tower[0].bias.data.fill_(-100))
        train(tower, lambda tower: 1 - cosine(tower(x), tower(-x)).mean(), breaks=breaks)
        """,
        "loss",
        "div",
        2,
    ),
    "a divergence from a distribution with zeros": program(
        """
        def divergence(p, q):
            return (p * (p / q).log()).sum(-1).mean()  # origin

        teacher = torch.tensor([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]])
        train(Net(), lambda model: divergence(teacher, model(x[:2]).softmax(-1)))
        """,
        "loss",
        "log",
    ),
    "a mixture that is far away": program(
        """
        def likelihood(share, mean, spread, at):
            density = torch.exp(-0.5 * ((at - mean) / spread) ** 2) / spread
            return -torch.log((share * density).sum(-1)).mean()  # origin

        def loss_of(model):
            out = model(x)
            return likelihood(out.softmax(-1), out, out.exp(), x[:, :1] + 1e4)

        train(Net(), loss_of)
        """,
        "loss",
        "log",
    ),
    "labels that need more time than there is": program(
        """
        def loss_of(model):
            scores = model(x).log_softmax(-1).unsqueeze(1)
            labels = torch.tensor([[1, 1, 2, 2, 1]])
            return F.ctc_loss(scores[:4], labels, torch.tensor([4]), torch.tensor([5]))  # origin

        train(Net(), loss_of)
        """,
        "loss",
        "ctc_loss",
        facts="target 0 needs 7 time steps and has 4",
    ),
    "in a dictionary that a step returns": program(
        """
        class Mine(Net):
            def training_step(self, batch, targets):
                error = (self(batch)[:, 0] - targets).abs() / targets.abs()  # origin
                return {"loss": error.mean(), "size": len(batch)}

        model = Mine()
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
        for step in range(3):
            optimizer.zero_grad()
            out = model.training_step(x, torch.arange(8) + float(step < 2))
            out["loss"].backward()
            optimizer.step()
        """,
        "loss",
        "div",
        2,
    ),
    "among losses in a dictionary": program(
        """
        class Criterion(nn.Module):
            def forward(self, out, overlap):
                losses = {}
                losses["class"] = F.cross_entropy(out, y)
                losses["overlap"] = -overlap.log().mean()  # origin
                return losses

        def overlap(a, b):
            return torch.minimum(a, b).clamp(min=0) / torch.maximum(a, b)

        model, criterion = Net(), Criterion()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(4):
            out = model(x)
            losses = criterion(out, overlap(out.sigmoid(), out.sigmoid().detach() * (step < 2)))
            loss = sum(losses.values())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        """,
        "loss",
        "log",
        2,
    ),
    "kept as an attribute, under a loss scaler": program(
        """
        class Trainer:
            def __init__(self):
                self.model = Net()
                self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
                self.scaler = torch.amp.GradScaler("cpu", init_scale=2.0)

            def step(self, kept):
                self.optimizer.zero_grad()
                self.out = self.model(x)
                self.loss = (self.out.square().mean(1) * kept).sum() / kept.sum()  # origin
                self.loss = self.loss + 0.1
                self.scaler.scale(self.loss).backward()
                self.scaler.step(self.optimizer)
                self.scaler.update()

        trainer = Trainer()
        for step in range(3):
            trainer.step(torch.full((8,), float(step < 2)))
        assert trainer.loss.isnan()
        """,
        "loss",
        "div",
        2,
    ),
    "handed on to a helper that differentiates": program(
        """
        def differentiate(loss, parts):
            loss = loss / parts
            loss.backward()

        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(3):
            optimizer.zero_grad()
            out = model(x)
            loss = (out * (step < 2)).square().sum(1).log().mean()  # origin
            differentiate(loss, 2)
            optimizer.step()
        """,
        "loss",
        "log",
        2,
    ),
    "a loss without a name": program(
        """
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(3):
            optimizer.zero_grad()
            (
                model(x).square()
                .mul(step < 2)
                .mean(1).log()  # origin
                .mean()
            ).backward()
            optimizer.step()
        """,
        "loss",
        "log",
        2,
    ),
    "log of zero in a handwritten loss": program(
        """
        def loss_of(model):
            p = torch.softmax(model(x) * 1e4, dim=1)
            return -(F.one_hot(y, 3) * torch.log(p)).sum()  # origin

        train(Net(), loss_of)
        """,
        "loss",
        "log",
    ),
    "division in the training loop": program(
        """
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(4):
            optimizer.zero_grad()
            out = model(x)
            error = (out - 1).square().mean(1)
            kept = (error < (100 if step < 2 else 0)).float()
            loss = (error * kept).sum() / kept.sum()  # origin
            loss.backward()
            optimizer.step()
        """,
        "loss",
        "div",
        2,
    ),
    "log-probability of an impossible action": program(
        """
        def loss_of(model):
            policy = torch.distributions.Categorical(probs=torch.tensor([[1.0, 0.0, 0.0]] * 8))
            scores = model(x)
            p = torch.softmax(scores, 1) * torch.tensor([1.0, 0.0, 0.0])
            chosen = p[torch.arange(8), y]
            return -chosen.log().mean()  # origin

        train(Net(), loss_of)
        """,
        "loss",
        "log",
    ),
    "cross-entropy with every target ignored": program(
        """
        def loss_of(model):
            return F.cross_entropy(model(x), torch.full((8,), -100))  # origin

        train(Net(), loss_of)
        """,
        "loss",
        "nll_loss_forward",
    ),
    "gaussian likelihood with zero variance": program(
        """
        def loss_of(model):
            out = model(x)
            variance = out.square() * 0
            return (out.square() / variance + variance.log()).mean()  # origin

        train(Net(), loss_of)
        """,
        "loss",
        "div",
    ),
    "terms that are collected in a list": program(
        """
        seen = []

        def loss_of(model):
            terms = []
            for part in model(x).split(2):
                terms.append(torch.exp(part + 200).mean())  # origin
                seen.append(len(terms))
            return torch.stack(terms).sum()

        train(Net(), loss_of, steps=1)
        """,
        "loss",
        "exp",
    ),
    "several statements on one line": program(
        """
        model = Net()
        out = model(x); loss = (out / (out - out)).sum(); loss.backward()  # origin
        torch.optim.SGD(model.parameters(), lr=0.1).step()
        """,
        "loss",
        "div",
    ),
    "a list of losses in the training loop": program(
        """
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        history = []
        for step in range(3):
            terms = []
            for part in model(x).split(4):
                terms.append(torch.log(part * (step < 1)).square().mean())  # origin
            loss = torch.stack(terms).sum()
            history.append(loss.item())
            loss.backward()
            optimizer.step()
        assert len(history) == 3
        """,
        "loss",
        "log",
    ),
    "the deviation of a single return": program(
        """
        policy = nn.Linear(4, 2)
        optimizer = torch.optim.Adam(policy.parameters())
        for episode in range(3):
            length = 5 if episode < 2 else 1
            log_probs, rewards = [], []
            for t in range(length):
                chances = torch.distributions.Categorical(logits=policy(torch.randn(4)))
                action = chances.sample()
                log_probs.append(chances.log_prob(action))
                rewards.append(float(action))
            returns = []
            total = 0.0
            for reward in rewards[::-1]:
                total = reward + 0.9 * total
                returns.insert(0, total)
            returns = torch.tensor(returns)
            returns = (returns - returns.mean()) / (returns.std() + 1e-6)  # origin
            terms = []
            for log_prob, gain in zip(log_probs, returns):
                terms.append(-log_prob * gain)
            optimizer.zero_grad()
            loss = torch.stack(terms).sum()
            loss.backward()
            optimizer.step()
        """,
        "loss",
        "std",
        2,
    ),
    "code that cannot be read": program(
        """
        model = Net()
        names = {"out": model(x)}
        exec("loss = (names['out'] / (names['out'] - names['out'])).sum()")
        loss.backward()  # origin
        torch.optim.SGD(model.parameters(), lr=0.1).step()
        """,
        "loss",
        "div",
    ),
    # In the backward pass, with a finite loss.
    "under a closure": program(
        """
        class Mine(Net):
            broken = False

            def middle(self, h):
                return h + torch.sqrt(h * 0) if self.broken else h  # origin

        model = Mine()
        optimizer = torch.optim.Adam(model.parameters())

        def closure():
            optimizer.zero_grad()
            loss = classify(model)
            loss.backward()
            return loss

        for step in range(3):
            model.broken = step == 2
            optimizer.step(closure)
        """,
        "backward",
        "div",
        2,
    ),
    "square root at zero": program(middle("h + torch.sqrt(h * 0)"), "backward", "div", 2),
    "norm at zero, in another formula": program(
        middle("h + (h * 0).square().sum(1, keepdim=True).sqrt()"), "backward", "div", 2
    ),
    "where with a branch that is not taken": program(
        middle("torch.where(h > 0, h, torch.sqrt(h * 0))"), "backward", "div", 2
    ),
    "power at zero": program(middle("h + (h * 0) ** 0.5"), "backward", "pow", 2),
    "acos at one": program(middle("h + torch.acos(h * 0 + 1)"), "backward", "rsqrt", 2),
    "a penalty in the loss": program(
        """
        def loss_of(model):
            out = model(x)
            distance = (out - out.detach()).square().sum(1)
            return F.cross_entropy(out, y) + distance.sqrt().mean()  # origin

        train(Net(), loss_of)
        """,
        "backward",
        "div",
    ),
    "in a custom autograd function's backward": program(
        """
        class Straight(torch.autograd.Function):
            @staticmethod
            def forward(context, h):
                return h

            @staticmethod
            def backward(context, gradient):
                return gradient / (gradient - gradient)  # origin

        class Mine(Net):
            def middle(self, h):
                return Straight.apply(h)

        train(Mine(), classify)
        """,
        "backward",
        "div",
    ),
    "the loss of a later evaluation of LBFGS": program(
        """
        class Mine(Net):
            calls = 0

            def middle(self, h):
                self.calls += 1
                return h / (self.calls < 3)  # origin

        model = Mine()
        optimizer = torch.optim.LBFGS(model.parameters(), max_iter=4)

        def closure():
            optimizer.zero_grad()
            loss = classify(model)
            loss.backward()
            return loss

        optimizer.step(closure)
        """,
        "forward",
        "div",
    ),
    "distances between equal points": program(
        """
        def distances(points):
            return (points[:, None] - points[None]).square().sum(-1).sqrt()  # origin

        model = Net()
        train(model, lambda model: F.relu(1 - distances(model(x))).mean())
        """,
        "backward",
        "div",
    ),
    "eigenvectors of equal values": program(
        """
        class Mine(Net):
            def middle(self, h):
                spread = h.T @ h * 0 + torch.eye(6)
                return h @ torch.linalg.eigh(spread)[1]  # origin

        train(Mine(), lambda model: classify(model) + model(x).abs().mean(), steps=1)
        """,
        "backward",
        "div",
    ),
    "the penalty on a gradient that vanishes": program(
        """
        judge = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 1))

        def penalty(judge, points):
            points = points.clone().requires_grad_()
            (slope,) = torch.autograd.grad(judge(points).sum(), points, create_graph=True)
            return ((slope.square().sum(1).sqrt() - 1) ** 2).mean()  # origin

        breaks = at(2, lambda: judge[0].bias.data.fill_(-50))
        train(judge, lambda judge: judge(x).mean() + penalty(judge, x), breaks=breaks)
        """,
        "backward",
        "div",
        2,
    ),
    "equal points, without any module": program(
        """
        first = (torch.randn(4, 6) * 0.1).requires_grad_()
        second = (torch.randn(6, 3) * 0.1).requires_grad_()
        optimizer = torch.optim.Adam([first, second], lr=1e-3)
        for step in range(4):
            out = (x @ first).relu() @ second
            aim = out * 1 if step == 2 else out.detach() + 1
            loss = (out - aim).square().sum(-1).sqrt().mean()  # origin
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        """,
        "backward",
        "div",
        2,
    ),
    "two equal points in one batch of a loader": program(
        """
        from torch.utils.data import DataLoader, TensorDataset

        one, other = torch.randn(64, 4), torch.randn(64, 4)
        other[30] = one[30]
        model = Net()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        for left, right in DataLoader(TensorDataset(one, other), batch_size=8):
            distance = (model(left) - model(right)).square().sum(1).sqrt()  # origin
            optimizer.zero_grad()
            distance.mean().backward()
            optimizer.step()
        """,
        "backward",
        "div",
        3,
    ),
    "targets of zero in one batch of a loader": program(
        """
        from torch.utils.data import DataLoader, TensorDataset

        def overlap(out, mask):
            return (out.sigmoid() * mask).sum(1).sqrt()  # origin

        def step_of(model, optimizer, batch):
            points, masks = batch
            optimizer.zero_grad()
            loss = 1 - overlap(model(points), masks).mean()
            loss.backward()
            optimizer.step()

        masks = torch.ones(64, 3)
        masks[30] = 0
        model = Net()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        for batch in DataLoader(TensorDataset(torch.randn(64, 4), masks), batch_size=8):
            step_of(model, optimizer, batch)
        """,
        "backward",
        "div",
        3,
    ),
    "equal points in the first of two micro-batches": program(
        """
        one, other = torch.randn(8, 8, 4), torch.randn(8, 8, 4)
        other[4, 6] = one[4, 6]
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
        for number, (left, right) in enumerate(zip(one, other)):
            distance = (model(left) - model(right)).square().sum(1).sqrt()  # origin
            (distance.mean() / 2).backward()
            if number % 2:
                optimizer.step()
                optimizer.zero_grad()
        """,
        "backward",
        "div",
        2,
    ),
    # Outside the model: what the program computes before, between and beside its calls.
    "in what the model is given": program(
        """
        model = Net()
        rows = torch.cat([torch.randn(16, 4), torch.ones(8, 4)])
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for batch in rows.split(8):
            standard = (batch - batch.mean(0)) / batch.std(0)  # origin
            loss = F.cross_entropy(model(standard), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        """,
        "forward",
        "div",
        2,
    ),
    "between the calls of a model": program(
        """
        class Drift(nn.Linear):
            pass

        def path(drift, at):
            for _ in range(4):
                at = at + drift(at) * 0 - 3
                at = at.sqrt()  # origin
            return at

        drift = Drift(4, 4)
        train(drift, lambda drift: path(drift, x.abs() + 9).mean(), steps=1)
        """,
        "forward",
        "sqrt",
    ),
    "in the weights of classes that do not occur": program(
        """
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(3):
            labels = y.clamp(max=1) if step == 2 else y
            counts = torch.bincount(labels, minlength=3)
            weights = counts.sum() / counts  # origin
            criterion = nn.CrossEntropyLoss(weight=weights / weights.sum())
            loss = criterion(model(x), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        """,
        "loss",
        "div",
        2,
    ),
    "in an inner loss that is differentiated": program(
        """
        from torch.func import functional_call

        model = Net()

        def task_loss(weights, inputs, targets):
            error = functional_call(model, weights, (inputs,))[:, 0] - targets
            return error.square().mean() / targets.var()  # origin

        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        for step in range(3):
            total = 0.0
            for task in range(2):
                targets = x[:, task] * (step < 2 or task < 1)
                weights = dict(model.named_parameters())
                inner = task_loss(weights, x, targets)
                slopes = torch.autograd.grad(inner, list(weights.values()), create_graph=True)
                fast = {n: w - 0.01 * s for (n, w), s in zip(weights.items(), slopes)}
                total = total + task_loss(fast, x, targets)
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
        """,
        "loss",
        "div",
        2,
    ),
    "in gradients by transformations of functions": program(
        """
        from torch.func import functional_call, grad, vmap

        model = Net()
        weights = dict(model.named_parameters())

        def error(weights, row, target):
            return functional_call(model, weights, (row,)).sum() / target  # origin

        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
        for step in range(3):
            targets = torch.arange(8.0) + (step < 2)
            slopes = vmap(grad(error), (None, 0, 0))(weights, x, targets)
            for name, weight in weights.items():
                weight.grad = slopes[name].mean(0)
            optimizer.step()
        """,
        "forward",
        "div",
        2,
    ),
    "a batch that is skipped": program(
        """
        def relative(predicted, targets):
            return ((predicted - targets) / targets).abs().mean()  # origin

        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for step in range(4):
            loss = relative(model(x)[:, 0], torch.arange(8.0) + (step != 2))
            if torch.isnan(loss) or torch.isinf(loss):
                continue
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        """,
        "loss",
        "div",
        2,
    ),
    "a batch that is skipped by its number": program(
        """
        import math

        class Trainer:
            def __init__(self):
                self.model = Net()
                self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01)

            def fit(self):
                for step in range(4):
                    spread = (x[:, 0] * (step != 2)).std()
                    loss = self.model(x).square().mean() / spread  # origin
                    if not math.isfinite(loss.item()):
                        continue
                    self.optimizer.zero_grad()
                    loss.backward()
                    self.optimizer.step()

        Trainer().fit()
        """,
        "loss",
        "div",
        2,
    ),
    "a step that is skipped for the norm of its gradients": program(
        """
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(4):
            optimizer.zero_grad()
            out = model(x) * (step != 2)
            loss = out.square().sum().sqrt()  # origin
            loss.backward()
            if torch.isfinite(nn.utils.clip_grad_norm_(model.parameters(), 1.0)):
                optimizer.step()
        """,
        "backward",
        "div",
        2,
    ),
    "in the loss of an evaluation": program(
        """
        model = Net()
        train(model, classify)
        with torch.no_grad():
            F.cross_entropy(model(x), torch.full((8,), -100))  # origin
        train(model, classify)
        """,
        "loss",
        "nll_loss_forward",
        4,
    ),
    "a turn by no angle": program(
        """
        model = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(3):
            turn = model(torch.randn(8, 4))[:, 0].cos()
            target = turn.detach() if step == 2 else torch.zeros(8)
            off = turn * target + (1 - turn**2).clamp(0) ** 1.5 * 0 + (1 - turn * target).detach()
            loss = torch.acos(off if step == 2 else off * 0.5).mean()  # origin
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        """,
        "backward",
        "rsqrt",
        2,
    ),
    # In PyTorch's own layers.
    "a norm of constant rows without epsilon": program(
        """
        model = nn.Sequential(nn.LayerNorm(4, eps=0.0), nn.Linear(4, 3))
        train(model, classify, breaks=at(2, lambda: x[3].fill_(1.0)))
        """,
        "forward",
        "native_layer_norm",
        2,
        facts="1 of 8 rows have no variance, and eps is 0",
    ),
    "a running variance that is negative": program(
        """
        model = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 3))
        train(model, classify)
        model[0].running_var[1] = -1.0
        with torch.no_grad():
            model.eval()(x)
        train(model.train(), classify)
        """,
        "forward",
        "native_batch_norm",
        4,
        facts="1 of 4 running variances are ≤ 0 with eps 1e-05",
    ),
    # In the update.
    "the deviation of one return, in a block of its own": program(
        """
        def smoothed(returns):
            result = torch.zeros_like(returns)
            for t in range(len(returns)):
                result[t] = returns[t:].mean()
            return result

        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(4):
            returns = x[: 1 if step == 2 else 8, 0]
            with torch.no_grad():
                result = smoothed(returns)
                result = (result - result.mean()) / result.std()  # origin
            loss = -(model(x)[: len(returns), 0] * result).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        """,
        "loss",
        "std",
        2,
        facts="std of 1 element",
    ),
    "a logarithm in a target": program(
        """
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for step in range(4):
            prices = x.abs()[:, :3] - (step == 2) * 2
            target = torch.log1p(prices)  # origin
            optimizer.zero_grad()
            F.mse_loss(model(x), target).backward()
            optimizer.step()
        """,
        "loss",
        "log1p",
        2,
        facts="arguments of log1p are ≤ -1",
    ),
    "an action at the end of its interval": program(
        """
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for step in range(3):
            out = F.softplus(model(x)) + 1
            chances = torch.distributions.Beta(out[:, 0], out[:, 1])
            action = torch.full((8,), 1.0 if step == 2 else 0.5)
            loss = -chances.log_prob(action).mean()  # origin
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        """,
        "loss",
        "xlogy",
        2,
        facts="8 of 16 arguments of xlogy are ≤ 0",
    ),
    "a concentration of 0": program(
        """
        def loss_of(model):
            evidence = F.relu(model(x) - 9)
            return (torch.digamma(evidence) * F.one_hot(y, 3)).sum()  # origin

        train(Net(), loss_of)
        """,
        "loss",
        "digamma",
        facts="24 of 24 arguments of digamma are 0 or a negative whole number",
    ),
    "a weight without a direction": program(
        """
        from torch.nn.utils.parametrizations import weight_norm

        model = nn.Sequential(weight_norm(nn.Linear(4, 3)))
        model[0].parametrizations.weight.original1.data[1] = 0
        train(model, classify)
        """,
        "forward",
        "weight_norm_interface",
        facts="1 of 3 rows of the weight have norm 0",
    ),
    "paths that are all forbidden": program(
        """
        def loss_of(model):
            forbidden = torch.zeros(8, 1).masked_fill(y[:, None] == 0, float("-inf"))
            total = torch.logsumexp(model(x) + forbidden, 1)  # origin
            return total[y > 0].mean() + total.exp().mean()

        train(Net(), loss_of)
        """,
        "backward",
        "sub",
        facts="inf − inf",
    ),
    "a branch that is not taken, within a transformation": program(
        """
        class Mine(Net):
            def middle(self, h):
                def root(row):
                    return torch.where(row > 0, torch.sqrt(row), torch.zeros_like(row))  # origin

                return torch.func.vmap(root)(h - 0.5)

        train(Mine(), classify)
        """,
        "backward",
        "sqrt",
    ),
    "a learning rate that is not a number for one step": program(
        """
        model = Net()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)  # origin
        warmup = torch.tensor(0.0)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: float((step / warmup).clamp(max=1))
        )
        for _ in range(4):
            optimizer.zero_grad()
            classify(model).backward()
            optimizer.step()
            schedule.step()
        """,
        "update",
        "AdamW",
        facts="lr was nan",
    ),
    "Adam without epsilon": program(
        """
        model = Net()
        model.fc1.bias.data[0] = -100.0
        optimizer = torch.optim.Adam(model.parameters(), eps=0.0)  # origin
        train(model, classify, optimizer=optimizer)
        """,
        "update",
        "Adam",
    ),
    "Adam in float16, where its epsilon is 0": program(
        """
        model = Net().half()
        model.fc1.bias.data[0] = -100.0
        optimizer = torch.optim.Adam(model.parameters())  # origin
        half = x.half()
        train(model, lambda model: F.cross_entropy(model(half).float(), y), optimizer=optimizer)
        """,
        "update",
        "Adam",
        facts="eps is 1e-08, which is 0 in float16",
    ),
    "an infinite learning rate": program(
        """
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)  # origin
        def spoil():
            optimizer.param_groups[0]["lr"] = float("inf")
        train(model, classify, optimizer=optimizer, breaks=at(1, spoil))
        """,
        "update",
        "SGD",
        1,
    ),
    "an optimizer of one's own divides by zero": program(
        """
        class Adagrad(torch.optim.Optimizer):
            def __init__(self, parameters):
                super().__init__(parameters, {"lr": 0.1})

            @torch.no_grad()
            def step(self):
                for parameter in self.param_groups[0]["params"]:
                    seen = self.state[parameter].setdefault("seen", torch.zeros_like(parameter))
                    seen += parameter.grad.square()
                    parameter -= 0.1 * parameter.grad / seen.sqrt()

        model = Net()
        x[:, 2] = 0.0
        train(model, classify, optimizer=Adagrad(model.parameters()))
        """,
        "update",
        "Adagrad",
        0,
        facts="`seen` is 0 there",
    ),
    # From outside.
    "NaN in the input": program(
        """
        model = Net()
        train(model, classify, breaks=at(2, lambda: x[3].fill_(float("nan"))))
        """,
        "data",
        "",
        2,
    ),
    "NaN that the program writes into its batch": program(
        """
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(4):
            batch = torch.randn(8, 4)
            if step == 2:
                batch[3, 1] = float("nan")
            optimizer.zero_grad()
            F.cross_entropy(model(batch), y).backward()
            optimizer.step()
        """,
        "data",
        "",
        2,
    ),
    "infinity in the input": program(
        """
        model = Net()
        train(model, classify, breaks=at(1, lambda: x[5].fill_(float("inf"))))
        """,
        "data",
        "",
        1,
    ),
    "logarithms of zero in the input": program(
        """
        model = Net()
        train(model, classify, breaks=at(1, lambda: x[5].fill_(float("-inf"))))
        """,
        "data",
        "",
        1,
    ),
    "NaN in a target": program(
        """
        targets = torch.randn(8, 3)
        targets[6, 1] = float("nan")
        train(Net(), lambda model: F.mse_loss(model(x), targets))
        """,
        "data",
        "",
    ),
    "NaN in a target of a handwritten loss": program(
        """
        targets = torch.randn(8, 3)
        targets[6, 1] = float("nan")
        def loss_of(model):
            return (model(x) - targets).square().mean()

        train(Net(), loss_of)
        """,
        "data",
        "",
    ),
    "a weight that the program writes to": program(
        """
        model = Net()
        adam = torch.optim.Adam(model.parameters())
        torn = at(2, lambda: model.fc2.weight.data[1, 1].fill_(float("nan")))
        train(model, classify, optimizer=adam, breaks=torn)
        """,
        "weights",
        "",
        2,
        facts="the optimizer's state, which gradients enter, is finite",
    ),
    "NaN in loaded weights": program(
        """
        model = Net()
        state = model.state_dict()
        state["fc2.weight"][1, 2] = float("nan")
        model.load_state_dict(state)
        train(model, classify)
        """,
        "weights",
        "",
    ),
}
