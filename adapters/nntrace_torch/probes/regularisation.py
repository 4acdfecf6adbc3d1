"""Turns dropout off, in the functions that dropout layers call and in recurrent layers.

Stochastic depth, and noise that a program adds by itself, stay.
"""

from collections.abc import Callable
from typing import Any

import torch.nn.functional as functional
from torch import nn

from nntrace_torch.patching import Undo, wrap

_FUNCTIONS = (
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "alpha_dropout",
    "feature_alpha_dropout",
)


class Dropout:
    """Watches dropout, or turns it off.

    Attributes:
        seen: whether the program applied any dropout.
    """

    def __init__(self) -> None:
        self.seen = False

    def install(self, *, off: bool) -> list[Undo]:
        """Watch the functions and recurrent layers; with `off` they apply no dropout."""
        undos = [wrap(functional, name, lambda run: self._plain(run, off)) for name in _FUNCTIONS]
        return [
            *undos,
            wrap(functional, "scaled_dot_product_attention", lambda run: self._attention(run, off)),
            *(
                wrap(layer, "forward", lambda run: self._recurrent(run, off))
                for layer in (nn.RNN, nn.LSTM, nn.GRU)
            ),
        ]

    def _plain(self, run: Callable[..., Any], off: bool) -> Callable[..., Any]:
        def dropout(
            input: Any,  # noqa: A002  callers give it by this name
            p: float = 0.5,
            training: bool = True,
            inplace: bool = False,
        ) -> Any:
            self.seen = self.seen or (training and p > 0)
            return run(input, p, training and not off, inplace)

        return dropout

    def _attention(self, run: Callable[..., Any], off: bool) -> Callable[..., Any]:
        def attention(
            query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0,
            *args: Any, **kwargs: Any,
        ) -> Any:  # fmt: skip
            self.seen = self.seen or dropout_p > 0
            rate = 0.0 if off else dropout_p
            return run(query, key, value, attn_mask, rate, *args, **kwargs)

        return attention

    def _recurrent(self, run: Callable[..., Any], off: bool) -> Callable[..., Any]:
        def forward(module: nn.RNNBase, *args: Any, **kwargs: Any) -> Any:
            rate = module.dropout
            self.seen = self.seen or (module.training and rate > 0)
            if not off:
                return run(module, *args, **kwargs)
            module.dropout = 0.0
            try:
                return run(module, *args, **kwargs)
            finally:
                module.dropout = rate

        return forward
