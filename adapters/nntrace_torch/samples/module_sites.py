"""The sites of one module, and which of its calls are to be recorded."""

import weakref

import torch
from torch import nn

from nntrace.recorder import NO_SITE
from nntrace_torch.program.describe import unit_axis
from nntrace_torch.samples.plans import Plan, activation_plan
from nntrace_torch.samples.running_norms import statistics


class ModuleSites:
    """The sites of one module.

    `token` and `gradient_token` are the last steps in which its output and the output's gradient
    were recorded; `hooked` is the last step in which the gradient was waited for. A module that is
    called several times in one forward is recorded at another call each time, in turn: at the
    first call of a recurrent layer, say, its state is still zero. `lasts` and `gradient_lasts`
    say whether output and gradient stay unchanged for a while, so that they can be copied later;
    None until that is known. `is_norm` says whether what enters it is looked at, too.
    """

    __slots__ = (
        "activation",
        "axis",
        "calls",
        "calls_before",
        "dtype",
        "gradient",
        "gradient_lasts",
        "gradient_token",
        "gradients_plan",
        "hooked",
        "is_norm",
        "lasts",
        "module",
        "nbytes",
        "plan",
        "root_call",
        "shape",
        "strides",
        "token",
        "turn",
    )

    def __init__(self, module: nn.Module, activation: int, gradient: int) -> None:
        self.module = weakref.ref(module)
        self.activation = activation
        self.gradient = gradient
        self.token = self.gradient_token = self.hooked = self.root_call = -1
        self.calls = self.calls_before = self.turn = 0
        self.is_norm = statistics(module) is not None
        self.lasts: bool | None = None
        self.gradient_lasts: bool | None = None
        self.shape: torch.Size | None = None
        self.strides: tuple[int, ...] = ()
        self.dtype: torch.dtype | None = None
        self.axis = -1
        self.nbytes = 0  # of an output
        self.plan: Plan | None = None
        self.gradients_plan: Plan | None = None

    @property
    def is_unwanted(self) -> bool:
        """Whether neither the output nor its gradient is to be recorded."""
        return self.activation == NO_SITE and self.gradient == NO_SITE

    def is_due(self, root_call: int, token: int) -> bool:
        """Count a call, and return whether it is the one to record in the step of `token`."""
        if root_call != self.root_call:
            self.calls_before, self.calls, self.root_call = self.calls, 0, root_call
        self.calls += 1
        return token != self.token and self.calls == 1 + self.turn % max(1, self.calls_before)

    def plan_for(self, tensor: torch.Tensor, limit: int, before: tuple[int, int] | None) -> Plan:
        """The plan for an output of this module; the last one, while outputs are laid out alike."""
        shape, strides = tensor.shape, tensor.stride()
        self.dtype = tensor.dtype
        if self.plan is None or shape != self.shape or strides != self.strides:
            module = self.module()
            self.shape, self.strides, self.nbytes = shape, strides, tensor.nbytes
            self.axis = unit_axis(module, tensor, before) if module is not None else -1
            self.plan = activation_plan(tuple(shape), strides, self.axis, limit)
            self.gradients_plan = None
        return self.plan

    def gradient_plan(self, tensor: torch.Tensor, limit: int) -> Plan:
        """The plan for a gradient of its output; the last one, if it is laid out as the output."""
        shape, strides = tensor.shape, tensor.stride()
        if shape != self.shape or strides != self.strides:
            return activation_plan(tuple(shape), strides, self.axis, limit, staggered=True)
        if self.gradients_plan is None:
            plan = activation_plan(tuple(shape), strides, self.axis, limit, staggered=True)
            self.gradients_plan = plan
        return self.gradients_plan
