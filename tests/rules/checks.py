"""Builds synthetic traces of `nntrace check`: a baseline with the runs of further experiments."""

import json
from dataclasses import asdict

import numpy as np
from rules.builders import run_rule

from nntrace.experiment import Experiment
from nntrace.manifest import Manifest
from nntrace.rules import Finding, Skipped
from nntrace.trace import Trace


def run(name, losses, *, told=None, optimizers=("Adam",), rates=None, accuracy=None, **changes):
    """The run of one experiment with these losses; `told` is the payload of its event."""
    rows = [
        {
            **step(n),
            "loss": float(loss),
            "lr": float(rates[n]) if rates is not None else 1e-3,
            "optimizer": optimizers[n % len(optimizers)],
        }
        for n, loss in enumerate(losses)
    ]
    event = {
        "step": 0, "time_ns": 0, "kind": "experiment", "severity": "info", "site": None,
        "payload": json.dumps(told or {}),
    }  # fmt: skip
    scalars = [
        {"step": n, "time_ns": n, "name": "accuracy", "value": float(value)}
        for n, value in enumerate(accuracy if accuracy is not None else ())
    ]
    experiment = Experiment(name, steps=len(losses), **changes)
    manifest = Manifest(name=name, config={"experiment": asdict(experiment)}, status="finished")
    return Trace.from_rows(steps=rows, events=[event], scalars=scalars, manifest=manifest)


def step(number):
    return {
        "step": number, "time_ns": number, "duration_ns": 1, "data_wait_ns": 0, "phase": "train",
        "sampled": False, "overhead_ns": 0, "skipped": False,
    }  # fmt: skip


def checked(baseline=None, **others):
    return Trace.from_experiments(baseline or run("baseline", noisy(1.0)), **others)


def noisy(level, steps=100, start=2.3, noise=0.02):
    """Losses that fall from `start` to `level` in the first third, and stay there."""
    course = np.maximum(np.linspace(start, level - (start - level) * 2, steps), level)
    return course + noise * np.random.default_rng(0).normal(size=steps)


def swept(own, **others):
    rates = np.geomspace(1e-7, 10, 120)
    losses = 2.3 - 2.0 / (1 + (1e-3 / rates) ** 1.5)
    losses = np.where(rates > 0.3, 2.3 + 30 * (rates - 0.3), losses)
    losses += 0.01 * np.random.default_rng(0).normal(size=120)
    return checked(
        sweep=run("sweep", losses, rates=rates, told={"rate": own}, sweep=True), **others
    )


def fitted(last, steps=100, start=2.3):
    """Losses that fall from `start` to `last` in the first half, and stay there."""
    return np.concatenate([np.geomspace(start, max(last, 1e-4), steps // 2), [last] * (steps // 2)])


def overfit(losses, name="overfit", **options):
    options.setdefault("told", {"floor": 0.0})
    return run(name, losses, pinned=True, **options)


def only_finding(code, trace):
    (finding,) = run_rule(code, trace)
    assert isinstance(finding, Finding), finding
    return finding


def only_skip(code, trace):
    """The reason why the rule does not judge."""
    (skipped,) = run_rule(code, trace)
    assert isinstance(skipped, Skipped), skipped
    return skipped.reason
