"""What to do about the origin of a non-finite value, by the operation that returned it."""

import re
from collections.abc import Mapping

from nntrace.rules.numerics.origins import Origin

_OPERATIONS: Mapping[str, str] = {
    "div": "Add an epsilon to the divisor, or divide only where it is not zero.",
    "reciprocal": "Add an epsilon to the divisor, or divide only where it is not zero.",
    "log": "Compute the logarithm in one function with what comes before it (`log_softmax`, "
    "`logsigmoid`, the loss on logits), or clamp its argument from below.",
    **dict.fromkeys(("log1p", "special_xlog1py"), "Clamp the argument above −1."),
    "xlogy": "Keep what is given to a distribution's `log_prob` inside its support: clamp it away "
    "from the ends.",
    "logit": "Clamp probabilities to [eps, 1 − eps] first, or pass `eps=`.",
    **dict.fromkeys(
        ("lgamma", "digamma", "polygamma"),
        "Keep the argument above 0: `softplus(x) + eps` for a concentration or a rate.",
    ),
    "weight_norm_interface": "A weight that is normalised needs a direction: initialise it away "
    "from 0.",
    "acosh": "Clamp the argument above 1.",
    "sqrt": "Add the epsilon inside the root, `sqrt(x + eps)`, or clamp its argument at 0.",
    "rsqrt": "Add the epsilon inside the root: `rsqrt(x + eps)`.",
    "pow": "Clamp the base away from 0 before a negative or fractional power.",
    "exp": "Subtract the largest exponent first (`logsumexp`, `softmax`), or clamp the argument.",
    "softmax": "A row whose every entry is masked has no softmax: leave each row one entry, or "
    "set such rows to zero with `where` on the mask afterwards.",
    "acos": "Clamp the argument within ±(1 − 1e-6).",
    "asin": "Clamp the argument within ±(1 − 1e-6).",
    "atanh": "Clamp the argument within ±(1 − 1e-6).",
    "var": "A variance needs two elements: pass `correction=0`, or leave such batches out.",
    "std": "A deviation needs two elements: pass `correction=0`, or leave such batches out.",
    "mean": "Leave out batches in which nothing is left to average, or divide by `max(count, 1)`.",
    "nll_loss_forward": "Leave out batches whose every target is ignored, or reduce with `sum` "
    "and divide by `max(count, 1)`.",
    "mul": "Use `where` or `masked_fill` for masks: 0 · inf is NaN. Where the product itself "
    "overflows, lower the learning rate or clip gradients.",
    "ctc_loss": "Leave such examples out, give them more time steps, or pass `zero_infinity=True`.",
    "masked_fill": "What is masked must not be chosen afterwards: look at the actions, targets or "
    "indices that reach it, or mask with a large negative number.",
    **dict.fromkeys(
        ("native_layer_norm", "native_group_norm", "native_batch_norm"),
        "Give the normalisation an eps above 0; a running variance that is not positive was "
        "loaded or written wrongly.",
    ),
    "to_copy": "Keep this value in float32 or bfloat16, or scale it down before the cast.",
}
_OVERFLOWS = (
    "Values have grown too large: lower the learning rate, clip gradients, normalise the input "
    "and the activations before this."
)
_HALF = (
    "float16 ends at 65504: keep this value in float32 or bfloat16, or scale it down before. Where "
    "it has grown in training, lower the learning rate or clip gradients."
)
_SINGULAR = (
    "The value is finite there, its derivative is not: add the epsilon inside. `where` does not "
    "help, for the branch not taken is differentiated too: give that branch a harmless argument."
)
# Advice on functions whose derivative does not exist where values coincide.
_COINCIDENCE = (
    "The derivative of its vectors does not exist where two values are equal or zero: add a small "
    "multiple of the identity, use the values only, or detach the vectors."
)
_DERIVATIVES: Mapping[str, str] = {
    **dict.fromkeys(("linalg_eigh", "linalg_eig", "linalg_svd", "svd"), _COINCIDENCE),
    "logsumexp": "The sum over entries that are all −∞ has no derivative: forbid with a large "
    "negative number (−1e4) instead of −∞, or replace such rows before the sum.",
    "cdist": "Its derivative does not exist at distance 0: add the epsilon inside the root.",
}
_DATA = "Check the data for missing values, and its scaling for a division by a zero deviation."
_WEIGHTS = "Check the checkpoint, and how the parameter is initialised."
_WRITTEN = (
    "Look for what writes to it outside of the optimizer: `.data`, `copy_` under `no_grad`, an "
    "average of weights, a projection or a clamp, a state that is loaded."
)
_SCHEDULE = (
    "Look at what sets the learning rate: a schedule that divides by a warm-up, or by a number of "
    "steps, that is 0."
)
_UPDATE = "Set the optimizer's epsilon above 0, lower the learning rate, and clip gradients."


def advice_on(origin: Origin) -> str:
    """What to do about an origin; empty if nothing is known of the operation."""
    what, op = origin.text("what"), origin.text("op")
    if origin.is_written:
        return _WRITTEN
    if origin.where == "update" and re.match(r"lr (is|was) ", what):
        return _SCHEDULE
    if origin.where in ("data", "weights", "update"):
        return {"data": _DATA, "weights": _WEIGHTS, "update": _UPDATE}[origin.where]
    if origin.where == "backward" and not origin.is_overflow:
        return _DERIVATIVES.get(origin.differentiated, _SINGULAR)
    if origin.where == "backward":
        return _OVERFLOWS
    if "exceeds" in what:
        return _HALF if "exceeds float16" in what else _OVERFLOWS
    if op.startswith("scaled_dot_product"):
        return _OPERATIONS["softmax"]
    return _OPERATIONS.get(op, "" if origin.where == "unknown" else _OVERFLOWS)
