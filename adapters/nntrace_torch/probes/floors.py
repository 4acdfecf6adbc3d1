"""The lowest value a loss function can reach on given targets, and the accuracy on them."""

import math
from collections.abc import Mapping
from typing import Any

import torch

_LEAST = 1e-12
_CLASSES = 2  # values of binary labels, smoothed or not; the greys of a picture are no labels


def floor_of(name: str, arguments: Mapping[str, Any]) -> float | None:
    """The lowest mean loss that any predictions can reach; None when it is not known.

    For an entropy it is the entropy of the targets (0 for hard ones), for a distance it is 0.
    """
    target = arguments.get("target")
    if not isinstance(target, torch.Tensor) or arguments.get("weight") is not None:
        return 0.0 if name in _ZERO else None
    if name == "cross_entropy":
        return _cross_entropy_floor(target, arguments)
    if name in ("binary_cross_entropy", "binary_cross_entropy_with_logits"):
        if arguments.get("pos_weight") is not None or not _are_shares(target):
            return None
        return float(_binary_entropy(target.detach().double()).mean())
    return 0.0 if name in _ZERO else None


def accuracy_of(name: str, arguments: Mapping[str, Any]) -> float | None:
    """The share of targets predicted correctly; None when the targets are not classes."""
    given, target = arguments.get("input"), arguments.get("target")
    if not isinstance(given, torch.Tensor) or not isinstance(target, torch.Tensor):
        return None
    with torch.no_grad():
        if name in ("cross_entropy", "nll_loss") and not target.is_floating_point():
            chosen = given.argmax(1 if given.dim() > 1 else 0)
            counted = target != arguments.get("ignore_index", -100)
            return float((chosen == target)[counted].double().mean()) if counted.any() else None
        classes = name.startswith("binary_cross_entropy") and given.shape == target.shape
        if classes and len(target.unique()) <= _CLASSES:
            middle = 0.0 if name.endswith("logits") else 0.5
            return float(((given > middle) == (target > 0.5)).double().mean())
    return None


_ZERO = frozenset(
    (
        "cross_entropy",
        "nll_loss",
        "mse_loss",
        "l1_loss",
        "smooth_l1_loss",
        "huber_loss",
        "kl_div",
        "soft_margin_loss",
        "multi_margin_loss",
        "multilabel_soft_margin_loss",
    )
)


def _cross_entropy_floor(target: torch.Tensor, arguments: Mapping[str, Any]) -> float:
    smoothing = float(arguments.get("label_smoothing") or 0.0)
    given = arguments.get("input")
    classes = given.shape[1 if given.dim() > 1 else 0] if isinstance(given, torch.Tensor) else 2
    if target.is_floating_point():
        soft = target.detach().double() * (1 - smoothing) + smoothing / classes
        axis = 1 if soft.dim() > 1 else 0
        return float(-(soft * soft.clamp_min(_LEAST).log()).sum(axis).mean())
    if not smoothing:
        return 0.0
    rest = smoothing / classes
    top = 1 - smoothing + rest
    return -top * math.log(top) - (classes - 1) * rest * math.log(rest)


def _are_shares(target: torch.Tensor) -> bool:
    """Whether all targets lie in [0, 1]; on others the loss has no lower bound."""
    return bool(((target >= 0) & (target <= 1)).all())


def _binary_entropy(share: torch.Tensor) -> torch.Tensor:
    rest = 1 - share
    return -(share * share.clamp_min(_LEAST).log() + rest * rest.clamp_min(_LEAST).log())
