"""Names modules and parameters by their path in the model that owns them.

A model is the outermost module around a called one, also when the program calls only its parts.
"""

import sys
import weakref
from collections.abc import Iterable, Iterator
from types import FrameType

import torch
from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from nntrace.adapter import Modules, described
from nntrace_torch.program.living import living
from nntrace_torch.program.module_tree import named_modules_of, parameters_of

_Entry = tuple[weakref.ref[torch.Tensor], str, weakref.ref[nn.Module]]
# They hold the model as `module` and are no part of it: paths are those of the model alone.
_WRAPPERS = (DataParallel, DistributedDataParallel)
# What `torch.compile`, checkpointing, FSDP and Lightning Fabric call the module they stand for.
_INSIDE_OF_A_STAND_IN = frozenset(
    ("_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module", "_forward_module")
)
_MAX_SEARCHES = 16  # a search looks at every living object: some 10 ms


def unwrapped(module: nn.Module) -> nn.Module:
    """The model inside a data-parallel wrapper; any other module itself."""
    while isinstance(module, _WRAPPERS):
        module = module.module
    return module


class Model:
    """One root module: paths of its parts, as of the last `refresh`; keeps nothing alive.

    Attributes:
        is_by_parts: whether the program calls its `forward` itself, which no hook sees: a pass is
            then the calls of its parts, of those without parameters, too.
    """

    def __init__(self, root: nn.Module, prefix: str) -> None:
        self._root = weakref.ref(root)
        self.prefix = prefix
        self.is_by_parts = False
        self._paths: dict[int, tuple[weakref.ref[nn.Module], str]] = {}
        self._parameters: dict[int, _Entry] = {}
        self._given: dict[str, tuple[int, _Entry]] = {}
        self._dropouts: list[weakref.ref[nn.Module]] = []
        self._norms: list[weakref.ref[nn.Module]] = []
        self.refresh()

    @property
    def root(self) -> nn.Module | None:
        """The root module; None once it is no longer alive."""
        return self._root()

    @property
    def dropouts(self) -> list[nn.Module]:
        """The model's dropout layers with a rate above zero."""
        return [layer for reference in self._dropouts if (layer := reference()) is not None]

    @property
    def norms(self) -> list[nn.Module]:
        """The model's normalisation layers with running statistics."""
        return [layer for reference in self._norms if (layer := reference()) is not None]

    def refresh(self) -> None:
        """Read the module tree again, as it may have grown."""
        root = self._root()
        if root is None:  # parts of it may live on
            self._paths = {key: entry for key, entry in self._paths.items() if entry[0]()}
            self._parameters = {key: entry for key, entry in self._parameters.items() if entry[2]()}
            return
        self._paths = {}
        self._parameters = {}
        self._dropouts, self._norms = [], []
        description = described(root)
        if description is not None:
            self._read(description, root)
            return
        for path, module in named_modules_of(root):
            full = self.join(_as_written(path))
            self._paths[id(module)] = (weakref.ref(module), full)
            if isinstance(module, nn.modules.dropout._DropoutNd):
                if module.p > 0:
                    self._dropouts.append(weakref.ref(module))
            elif isinstance(module, nn.modules.batchnorm._NormBase) and module.track_running_stats:
                self._norms.append(weakref.ref(module))
            for name, parameter in module._parameters.items():
                if parameter is not None and id(parameter) not in self._parameters:
                    own = f"{full}.{name}".lstrip(".")
                    entry: _Entry = (weakref.ref(parameter), own, weakref.ref(module))
                    key, held = self._given.get(own, (id(parameter), entry))
                    self._parameters[key] = held

    def give(self, module: nn.Module, name: str, parameter: torch.Tensor) -> None:
        """Note the tensor with which a part was called, in place of its parameter of that name."""
        inside, _, own = name.rpartition(".")
        owner = module.get_submodule(inside)
        path = f"{self.path_of(owner) or ''}.{own}".lstrip(".")
        before = next((key for key, entry in self._parameters.items() if entry[1] == path), None)
        if before is not None:
            del self._parameters[before]
        entry = (weakref.ref(parameter), path, weakref.ref(owner))
        self._parameters[id(parameter)] = entry
        self._given[path] = id(parameter), entry

    def _read(self, description: Modules, root: nn.Module) -> None:
        """Read what is not PyTorch's own; its paths need no prefix."""
        for path, module, parameters in description.parts(root):
            self._paths[id(module)] = (weakref.ref(module), path)
            for own, parameter in parameters:
                self._parameters[id(parameter)] = (weakref.ref(parameter), own, weakref.ref(module))

    @property
    def sites(self) -> int:
        """The approximate number of sites: two for each module, three for each parameter."""
        return 2 * len(self._paths) + 3 * len(self._parameters)

    def join(self, path: str) -> str:
        """A path inside this model as it is recorded."""
        return f"{self.prefix}.{path}".strip(".") if self.prefix else path

    def path_of(self, module: nn.Module) -> str | None:
        """The recorded path of a part; None for a module outside the model."""
        reference, path = self._paths.get(id(module), (None, ""))
        return path if reference is not None and reference() is module else None

    def parts(self) -> Iterator[tuple[str, nn.Module]]:
        """The recorded path and the module of each living part, from the root inward."""
        for reference, path in self._paths.values():
            if (module := reference()) is not None:
                yield path, module

    def parameter(self, parameter: torch.Tensor) -> tuple[str, nn.Module] | None:
        """The recorded path and the owner of a parameter; None if the model does not have it."""
        entry = self._parameters.get(id(parameter))
        if entry is None or entry[0]() is not parameter:
            return None
        owner = entry[2]()
        return None if owner is None else (entry[1], owner)

    def parameters(self) -> list[torch.Tensor]:
        """The living parameters, in order of definition."""
        entries = self._parameters.values()
        return [found for reference, _, _ in entries if (found := reference()) is not None]


class Models:
    """All models seen so far, in the order in which they were first called."""

    def __init__(self) -> None:
        self.known: list[Model] = []
        self._by_module: dict[int, tuple[weakref.ref[nn.Module], Model | None]] = {}
        self._searches = 0

    def owner_of(self, module: nn.Module) -> Model | None:
        """The model that `module` is, or is part of; None when it holds no parameters."""
        reference, model = self._by_module.get(id(module), (None, None))
        if reference is not None and reference() is module:
            return model
        model = self._find(module)
        self._by_module[id(module)] = (weakref.ref(module), model)
        return model

    def path_of(self, module: nn.Module) -> str | None:
        """The recorded path of a part of a known model, also of one that holds no parameters."""
        return next((p for m in self.known if (p := m.path_of(module)) is not None), None)

    def parameter(self, parameter: torch.Tensor) -> tuple[str, nn.Module] | None:
        """The recorded path and the owner of a parameter of any known model."""
        for model in self.known:
            found = model.parameter(parameter)
            if found is not None:
                return found
        return None

    def give(self, module: nn.Module, name: str, parameter: torch.Tensor) -> None:
        """Note the tensor with which a module was called, in place of its parameter of that name.

        This is what `torch.func.functional_call` does.
        """
        model = self.owner_of(module)
        if model is not None:
            model.give(module, name, parameter)

    def model_of(self, parameter: torch.Tensor) -> Model | None:
        """The known model that a parameter belongs to."""
        for model in self.known:  # asked at every step of the training: no generator
            if model.parameter(parameter) is not None:
                return model
        return None

    def owner_of_parameter(self, parameter: torch.Tensor) -> tuple[str, nn.Module] | None:
        """Path and owner of a parameter, also of a model that was not called yet.

        An optimizer with a closure is given its parameters before any forward pass.
        """
        found = self.parameter(parameter)
        if found is None:
            self.refresh()
            found = self.parameter(parameter)
        if found is None and self._searches < _MAX_SEARCHES:
            self._searches += 1
            holder = next((m for m in living(nn.Module) if _holds(m, parameter)), None)
            if holder is not None and self.owner_of(holder) is not None:
                found = self.parameter(parameter)
        return found

    def refresh(self) -> None:
        """Read all module trees again."""
        self._by_module = {key: entry for key, entry in self._by_module.items() if entry[1]}
        for model in self.known:
            model.refresh()

    def _find(self, module: nn.Module) -> Model | None:
        if next(parameters_of(module), None) is None:
            of = (model for model in self.known if model.is_by_parts and model.path_of(module))
            return next(of, None)
        module = unwrapped(module)
        model = self._known_with(module)
        if model is None:
            root = self._outermost(module)
            model = Model(root, self._prefix(root))
            self.known.append(model)
        if not model.is_by_parts and module is not model.root and _is_in_forward(model.root):
            model.is_by_parts = True
            self.refresh()
        return model

    def _known_with(self, module: nn.Module) -> Model | None:
        for model in self.known:
            if model.path_of(module) is not None:
                return model
        for model in self.known:  # built since the tree was read?
            model.refresh()
            if model.path_of(module) is not None:
                return model
        return None

    def _prefix(self, root: nn.Module) -> str:
        """The path prefix of a model: empty for the first, its class for later ones."""
        if not self.known:
            return ""
        name = type(root).__name__
        taken = {model.prefix for model in self.known}
        number = 2
        unique = name
        while unique in taken:
            unique = f"{name}{number}"
            number += 1
        return unique

    def _outermost(self, module: nn.Module) -> nn.Module:
        if self._searches >= _MAX_SEARCHES:
            return module
        self._searches += 1
        parents: dict[int, nn.Module] = {}
        for candidate in living(nn.Module):
            for child in _children(candidate):
                if child is not None:
                    parents.setdefault(id(child), candidate)
        seen = {id(module)}
        outermost = module
        while (parent := parents.get(id(outermost))) is not None and id(parent) not in seen:
            if isinstance(parent, _WRAPPERS):
                break
            seen.add(id(parent))
            outermost = parent
        return outermost


def _children(module: nn.Module) -> Iterable[nn.Module | None]:
    description = described(module)
    if description is not None:
        return description.children(module)
    return list(module.__dict__.get("_modules", {}).values())


def _is_in_forward(root: nn.Module | None) -> bool:
    """Whether the current call was made within the forward of a module."""
    code = getattr(getattr(type(root), "forward", None), "__code__", None)
    frame: FrameType | None = sys._getframe(1)
    while code is not None and frame is not None:
        if frame.f_code is code and frame.f_locals.get(frame.f_code.co_varnames[0]) is root:
            return True
        frame = frame.f_back
    return False


def _as_written(path: str) -> str:
    """A path without the names of wrappers that stand for the module inside them."""
    return ".".join(name for name in path.split(".") if name not in _INSIDE_OF_A_STAND_IN)


def _holds(module: nn.Module, parameter: torch.Tensor) -> bool:
    return any(held is parameter for held in module.__dict__.get("_parameters", {}).values())
