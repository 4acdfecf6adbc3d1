"""Turns values of the program into plain JSON and named tensors, and back; nothing is pickled.

`Packing.tree` copies what it keeps, so that the program may go on. `Unpacking.into` writes kept
values into the program's own tensors and containers where it can, so that all names the program has
for them see the new values.
"""

import dataclasses
import math
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import torch
from torch import nn

_DEPTH = 4
_ITEMS = 256
_PLAIN = (bool, int, str, type(None))
Tree = dict[str, Any]


class Packing:
    """Collects tensors by name until they reach a number of bytes.

    Attributes:
        tensors: copies on the host, by name.
        left_out: descriptions of what was too large to keep.
    """

    def __init__(self, limit: int) -> None:
        self.tensors: dict[str, torch.Tensor] = {}
        self.left_out: list[str] = []
        self.bytes = 0
        self._limit = limit
        self._names: dict[tuple[Any, ...], str] = {}

    def tree(self, value: Any, name: str, depth: int = 0) -> Tree:
        """A value as plain JSON; the tensors in it are kept under names that begin with `name`."""
        if isinstance(value, torch.Tensor):
            return self.tensor(value, name)
        if type(value) in _PLAIN:
            return {"value": value}
        if type(value) is float:
            return {"value": value} if math.isfinite(value) else {"number": repr(value)}
        if depth < _DEPTH and isinstance(value, (list, tuple)) and len(value) <= _ITEMS:
            kind = "list" if isinstance(value, list) else "tuple"
            return {kind: [self.tree(v, f"{name}.{i}", depth + 1) for i, v in enumerate(value)]}
        if depth < _DEPTH and (items := items_of(value)) is not None and len(items) <= _ITEMS:
            return {"items": {k: self.tree(v, f"{name}.{k}", depth + 1) for k, v in items.items()}}
        return {"unsaved": type(value).__name__}

    def tensor(self, tensor: torch.Tensor, name: str) -> Tree:
        """One tensor as plain JSON; a tensor that was kept before is not kept twice."""
        if type(tensor) not in (torch.Tensor, nn.Parameter):
            return {"unsaved": type(tensor).__name__}
        if tensor.layout is not torch.strided or tensor.device.type == "meta":
            return {"unsaved": f"{tensor.layout} tensor".removeprefix("torch.")}
        key = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype, tensor.device)
        size = tensor.numel() * tensor.element_size()
        if tensor.numel() and key in self._names:
            name = self._names[key]
        elif self.bytes + size > self._limit:
            self.left_out.append(f"{name}: {size / 2**20:.0f} MiB")
            return {"unsaved": "Tensor", "shape": list(tensor.shape)}
        else:
            copy = tensor.detach().resolve_conj().resolve_neg()
            self.tensors[name] = copy.to("cpu", copy=True, memory_format=torch.contiguous_format)
            self._names[key] = name
            self.bytes += size
        return {"tensor": name, "computed": tensor.grad_fn is not None}


class Unpacking:
    """Puts kept values in place of the program's.

    Args:
        tensors: the capsule's tensors, by name.
    """

    def __init__(self, tensors: Mapping[str, torch.Tensor]) -> None:
        self._tensors = tensors

    def into(self, present: Any, tree: Any, *, tensors_only: bool = False) -> Any:
        """The value to use in place of `present`, which is `present` if it could be written to.

        Args:
            present: the program's own value.
            tree: JSON from a capsule, which is not trusted to have any particular form.
            tensors_only: leave numbers, text and values of another form as they are.
        """
        if not isinstance(tree, dict) or "unsaved" in tree:
            return present
        if "tensor" in tree:
            return self._tensor(present, tree, tensors_only)
        if "items" in tree and (items := items_of(present)) is not None:
            for key, part in tree["items"].items() if isinstance(tree["items"], dict) else ():
                if key in items:
                    _set(present, key, self.into(items[key], part, tensors_only=tensors_only))
            return present
        parts = tree.get("list", tree.get("tuple"))
        if isinstance(parts, list):
            return self._sequence(present, parts, tree, tensors_only)
        if tensors_only:
            return present
        if "number" in tree:
            return float(str(tree["number"]))
        return tree["value"] if type(tree.get("value")) in (*_PLAIN, float) else present

    def _tensor(self, present: Any, tree: Tree, tensors_only: bool) -> Any:
        saved = self._tensors.get(str(tree["tensor"]))
        if saved is None or tree.get("computed"):
            return present
        if not isinstance(present, torch.Tensor):
            return present if tensors_only else saved.clone()
        if present.grad_fn is not None or isinstance(present, nn.Parameter):
            return present
        saved = saved.to(present.device, copy=True)
        if saved.dtype == present.dtype and not present.is_inference():
            present.data = saved
            return present
        return present if tensors_only else saved

    def _sequence(self, present: Any, parts: list[Any], tree: Tree, tensors_only: bool) -> Any:
        same = isinstance(present, (list, tuple)) and len(present) == len(parts)
        if tensors_only and not same:
            return present
        held: Sequence[Any] = present if same else [None] * len(parts)
        made = [
            self.into(old, part, tensors_only=tensors_only)
            for old, part in zip(held, parts, strict=True)
        ]
        if all(new is old for new, old in zip(made, held, strict=True)) and same:
            return present
        if isinstance(present, list) and same:
            present[:] = made
            return present
        if "list" in tree:
            return made
        make = getattr(type(present), "_make", tuple) if same else tuple  # of a named tuple
        return make(made)


def items_of(value: Any) -> Mapping[str, Any] | None:
    """The items of a mapping with text keys, or the fields of a dataclass; else None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return value
    return None


def _set(holder: Any, key: str, value: Any) -> None:
    if isinstance(holder, MutableMapping):
        holder[key] = value
    elif dataclasses.is_dataclass(holder) and getattr(holder, key) is not value:
        object.__setattr__(holder, key, value)  # also of a frozen one
