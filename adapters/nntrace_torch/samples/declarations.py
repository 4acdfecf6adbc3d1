"""Declares the sites of a model's modules, each at the first output of the module.

A path is declared once: a module put in another's place goes on with that one's sites. What is no
part of the model, or makes weights instead of activations, has none.
"""

import weakref
from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.nn.utils.parametrize import ParametrizationList

from nntrace.recorder import NO_SITE, Recorder
from nntrace.schema import EventKind, Role
from nntrace_torch.program.describe import (
    class_name,
    dropout_rate,
    dtype_name,
    enclosing,
    hides_inside,
    named_unit_axis,
    tensor_fields,
    value_range,
)
from nntrace_torch.program.module_tree import parameters_of
from nntrace_torch.program.sources import Sources
from nntrace_torch.samples.module_sites import ModuleSites
from nntrace_torch.samples.modules import Model, Models


class Declarations:
    """The sites that were declared for the modules that were called.

    Attributes:
        gradient_sites: the sites of all gradients of outputs.
    """

    def __init__(
        self,
        recorder: Recorder,
        models: Models,
        sources: Sources,
        first_called: Callable[[nn.Module], None],
    ) -> None:
        self._recorder = recorder
        self._models = models
        self._sources = sources
        self._first_called = first_called
        self._sites_by_path: dict[str, tuple[int, int]] = {}  # of the output and its gradient
        self._opaque: set[str] = set()
        self._reused: set[str] = set()
        self._strangers: weakref.WeakSet[nn.Module] = weakref.WeakSet()
        self.gradient_sites: set[int] = set()

    def is_new_stranger(self, module: nn.Module, model: Model) -> bool:
        """Whether a module with weights that is no part of the model is called for the first time.

        Kept in a plain list, it is missing in the model's `parameters()`. What is built anew in
        every forward never comes again.
        """
        if model.path_of(module) is not None:
            return False
        model.refresh()
        is_part = model.path_of(module) is not None
        if is_part or module in self._strangers or next(parameters_of(module), None) is None:
            return False
        self._strangers.add(module)
        return True

    def declare(
        self,
        module: nn.Module,
        model: Model,
        callers: Iterable[nn.Module],
        tensor: torch.Tensor,
        part: torch.Tensor,
    ) -> ModuleSites:
        """Declare a module's sites at its first output, and its parameters' with it.

        `part` is what is sampled of the output; `callers` are the modules that are being called.
        """
        path = model.path_of(module)
        if path is None and module in self._strangers:
            owner = self._models.owner_of(module)
            path = None if owner is None else owner.path_of(module)
        if path is None:
            return ModuleSites(module, NO_SITE, NO_SITE)
        if makes_weights(module) or any(map(makes_weights, callers)):
            return ModuleSites(module, NO_SITE, NO_SITE)  # what it returns is a weight
        if (reason := hides_inside(module)) is not None and reason not in self._opaque:
            self._opaque.add(reason)
            unseen = f"{reason}: of {path or 'the model'} the output is seen, not what is inside"
            self._recorder.add_event(EventKind.UNSEEN, {"what": "activation", "reason": unseen})
        self._first_called(module)
        if path not in self._sites_by_path:  # else a module put in another's place
            fields = {
                "module_type": class_name(module),
                "parent": enclosing(path, module),
                **named_unit_axis(module, part),
                **tensor_fields(part, self._sources.of(module)),
                "dtype": dtype_name(tensor),
            }
            activation = self._recorder.add_site(
                path, Role.ACTIVATION, **fields, **value_range(module), **dropout_rate(module)
            )
            gradient = self._recorder.add_site(path, Role.ACTIVATION_GRAD, **fields)
            self._sites_by_path[path] = (activation, gradient)
            self.gradient_sites.add(gradient)
        return ModuleSites(module, *self._sites_by_path[path])

    def note_reuse(self, module: nn.Module, model: Model) -> None:
        """Record that a module was called again within one forward, which matters for norms."""
        is_norm = isinstance(module, nn.modules.batchnorm._NormBase) and module.track_running_stats
        path = model.path_of(module) if is_norm else None
        if path is not None and path not in self._reused and module.training:
            self._reused.add(path)
            payload = {"path": path, "module_type": class_name(module)}
            self._recorder.add_event(EventKind.REUSED, payload)


def makes_weights(module: nn.Module) -> bool:
    """Whether a module is called when a parametrized weight is read."""
    return isinstance(module, ParametrizationList)
