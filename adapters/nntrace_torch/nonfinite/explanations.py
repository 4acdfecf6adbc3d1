"""Explains an operation's non-finite result by a fact about its operands, as a clause.

Pure functions of tensors, called once per origin and never in the course of training. A function
that finds no such fact returns None; the explanation is then that the operands are finite.
"""

import math
from collections.abc import Callable
from typing import Any

import torch

from nntrace_torch.nonfinite.operands import Operation
from nntrace_torch.program.describe import dtype_name

Fact = str | None
# Values above this power of a dtype's largest number can overflow in products of many values.
_LARGE = 0.25


def explain(operation: Operation) -> str:
    """The fact about the operands that made the result non-finite, as a clause."""
    found = _EXPLANATIONS.get(operation.name.rstrip("_").removeprefix("_foreach_"), _overflow)
    try:
        fact = found(operation) or _overflow(operation)
    except (RuntimeError, TypeError, IndexError):  # an overload with other operands
        fact = None
    kind = "NaN" if bool(operation.result.isnan().any()) else "infinite"
    return fact or f"its operands are finite, its result is {kind}"


def _count(mask: torch.Tensor, what: str) -> Fact:
    bad, total = int(mask.sum()), mask.numel()
    if not bad:
        return None
    return f"{what}" if total == 1 else f"{bad} of {total} {what}"


def _division(op: Operation) -> Fact:
    divisor = op.tensor(1)
    if divisor is None:
        number = op.operands[1].value
        return "the divisor is 0" if number == 0 else None
    return _count(divisor == 0, "divisor is 0" if divisor.numel() == 1 else "divisors are 0")


def _domain(low: float, *, open_end: bool, place: int = 0) -> Callable[[Operation], Fact]:
    """Explains operations that have no finite value for an operand below a bound."""

    def explanation(op: Operation) -> Fact:
        value = op.tensor(place)
        if value is None:
            return None
        bad = value <= low if open_end else value < low
        sign = "≤" if open_end else "<"
        if not bool(bad.any()):
            return None
        least = float(value[~value.isnan()].min())
        counted = f"{int(bad.sum())} of {value.numel()} arguments of {op.name} are"
        if value.numel() == 1:
            return f"{op.name} of {least:.6g}"
        return f"{counted} {sign} {low:g}: the least is {least:.6g}"

    return explanation


def _beyond_one(op: Operation) -> Fact:
    value = op.tensor(0)
    if value is None:
        return None
    bad = value.abs() > 1 if bool((value.abs() > 1).any()) else value.abs() >= 1
    if not bool(bad.any()):
        return None
    worst = float(value.abs()[~value.isnan()].max())
    return f"{int(bad.sum())} of {value.numel()} arguments of {op.name} reach ±{worst:.9g}"


def _logit(op: Operation) -> Fact:
    value = op.tensor(0)
    if value is None or op.number("eps") is not None:
        return None
    return _count((value <= 0) | (value >= 1), "arguments of logit are not between 0 and 1")


def _poles(op: Operation) -> Fact:
    """Explains the poles of the gamma function and its derivatives."""
    value = next((o.value for o in op.operands if isinstance(o.value, torch.Tensor)), None)
    if value is None:
        return None
    at_pole = (value <= 0) & (value == value.round())
    return _count(at_pole, f"arguments of {op.name} are 0 or a negative whole number")


def _weight_norm(op: Operation) -> Fact:
    direction = op.tensor(0)
    if direction is None:
        return None
    axis = int(op.number("dim") or 0)
    others = [d for d in range(direction.dim()) if d != axis % direction.dim()]
    return _count(direction.norm(dim=others) == 0, "rows of the weight have norm 0")


def _exponential(op: Operation) -> Fact:
    value = op.tensor(0)
    if value is None:
        return None
    largest = float(value[~value.isnan()].max())
    limit = math.log(torch.finfo(op.result.dtype).max)
    if largest <= limit:
        return None
    return f"{op.name} of {largest:.6g} overflows {dtype_name(op.result)} (beyond {limit:.4g})"


def _softmax(op: Operation) -> Fact:
    value = op.tensor(0)
    axis = op.operands[1].value if len(op.operands) > 1 else -1
    if value is None or not isinstance(axis, int) or not value.dim():
        return None
    masked = value.isneginf().all(dim=axis)
    if bool(masked.any()):
        return f"{int(masked.sum())} of {masked.numel()} rows are all −inf"
    return _count(value.isposinf().any(dim=axis), "rows hold +inf")


def _attention(op: Operation) -> Fact:
    query, key = op.tensor(0), op.tensor(1)
    if query is not None and key is not None:
        largest = float((query.double() @ key.double().transpose(-1, -2)).abs().max())
        limit = torch.finfo(query.dtype).max
        if largest > limit:
            return (
                f"the products of queries and keys reach {largest:.4g}, which exceeds "
                f"{dtype_name(query)} ({limit:.5g})"
            )
    rows = op.result.isnan().all(dim=-1)
    return _count(rows, "query rows see no key: their mask is all −inf") if rows.any() else None


def _normalisation(op: Operation) -> Fact:
    """Explains a layer, group or batch norm by the variance that it divides by."""
    named = {operand.name: operand.value for operand in op.operands}
    eps, variance = named.get("eps"), named.get("running_var")
    if isinstance(variance, torch.Tensor) and eps is not None and not named.get("training"):
        return _count(variance + eps <= 0, f"running variances are ≤ 0 with eps {eps:g}")
    value, bad = op.tensor(0), ~torch.isfinite(op.result)
    if value is None or eps or not bool(bad.any()):
        return None
    shape = named.get("normalized_shape")
    if shape is not None:
        bad = bad.flatten(-len(shape)).all(dim=-1)
    what = "rows have" if shape is not None else "results are of groups that have"
    return _count(bad, f"{what} no variance, and eps is 0")


def _power(op: Operation) -> Fact:
    base, exponent = op.operands[0].value, op.operands[1].value
    base, exponent = (torch.as_tensor(v) for v in (base, exponent))
    zero = (base == 0) & (exponent < 0)
    if bool(zero.any()):
        return _count(zero, "bases are 0 under a negative exponent")
    negative = (base < 0) & (exponent != exponent.round())
    return _count(negative, "bases are negative under a fractional exponent")


def _product(op: Operation) -> Fact:
    values = [torch.as_tensor(operand.value) for operand in op.operands[:2]]
    if len(values) == 2 and any(
        bool(((a == 0) & b.isinf()).any()) for a, b in (values, values[::-1])
    ):
        return "0 · inf"
    return None


def _difference(op: Operation) -> Fact:
    if len(op.operands) > 1 and all(
        bool(torch.as_tensor(operand.value).isinf().any()) for operand in op.operands[:2]
    ):
        return "inf − inf"
    return None


def _matrix_product(op: Operation) -> Fact:
    tensors = [o.value for o in op.operands if isinstance(o.value, torch.Tensor)]
    if any(bool(t.isinf().any()) for t in tensors):
        return "an operand holds infinities: 0 · inf or inf − inf in a sum of products"
    return None


def _spread(op: Operation) -> Fact:
    value = op.tensor(0)
    if value is None or not op.result.numel():
        return None
    count = value.numel() // op.result.numel()
    return f"{op.name} of {count} element{'s' if count != 1 else ''}" if count <= 1 else None


def _mean(op: Operation) -> Fact:
    value = op.tensor(0)
    return "the mean of no elements" if value is not None and not value.numel() else None


def _negative_log_likelihood(op: Operation) -> Fact:
    value, target = op.tensor(0), op.tensor(1)
    ignored = op.number("ignore_index")
    if target is not None and ignored is not None and bool((target == ignored).all()):
        return f"every target is the ignored index {ignored:g}: the mean of no elements"
    if value is not None and bool(value.isinf().any()):
        return f"{int(value.isinf().sum())} log-probabilities are −inf"
    return None


def _fill(op: Operation) -> Fact:
    """Explains a value that the program wrote itself and that went on into a result."""
    bad = int((~torch.isfinite(op.result)).sum())
    return (
        f"the program writes {bad} of {op.result.numel()} elements there itself, as masks are "
        "made, and the result is computed from them"
    )


def _alignment(op: Operation) -> Fact:
    """Explains a CTC loss: each label needs a time step, and one more between two equal labels."""
    targets, (inputs, labels) = op.tensor(1), (op.operands[2].value, op.operands[3].value)
    if targets is None:
        return None
    rows = targets if targets.dim() == 2 else targets.split(_numbers(labels))
    short = [
        (number, size, need)
        for number, (row, size, count) in enumerate(
            zip(rows, _numbers(inputs), _numbers(labels), strict=True)
        )
        if (need := count + int((row[1:count] == row[: max(count - 1, 0)]).sum())) > size
    ]
    if not short:
        return None
    number, size, need = short[0]
    return (
        f"{len(short)} of {len(rows)} targets do not fit their inputs: target {number} needs "
        f"{need} time steps and has {size}"
    )


def _numbers(value: Any) -> list[int]:
    return [int(v) for v in (value.tolist() if isinstance(value, torch.Tensor) else value)]


def _cast(op: Operation) -> Fact:
    value = op.tensor(0)
    if value is None or value.dtype == op.result.dtype:
        return None
    finite = value[torch.isfinite(value)]
    largest = float(finite.abs().max()) if finite.numel() else math.nan
    limit = torch.finfo(op.result.dtype).max
    return f"{largest:.6g} does not fit {dtype_name(op.result)} (at most {limit:.5g})"


def _overflow(op: Operation) -> Fact:
    """Explains an infinite result of large finite operands as an overflow of its dtype."""
    if not op.result.is_floating_point() or not bool(op.result.isinf().any()):
        return None
    sizes = [
        float(finite.abs().max())
        for operand in op.operands
        if isinstance(operand.value, torch.Tensor) and operand.value.is_floating_point()
        if (finite := operand.value[torch.isfinite(operand.value)]).numel()
    ]
    if not sizes:
        return None
    limit = torch.finfo(op.result.dtype).max
    if max(sizes) < limit**_LARGE:
        return None
    shown = ", ".join(f"{size:.4g}" for size in sizes)
    return f"the result exceeds {dtype_name(op.result)} ({limit:.5g}); operands reach {shown}"


_EXPLANATIONS: dict[str, Callable[[Operation], Fact]] = {
    **dict.fromkeys(("div", "reciprocal", "fmod", "remainder"), _division),
    "reciprocal": lambda op: _count(op.operands[0].value == 0, "arguments are 0"),
    **dict.fromkeys(("log", "log2", "log10"), _domain(0.0, open_end=True)),
    "xlogy": _domain(0.0, open_end=True, place=1),
    "log1p": _domain(-1.0, open_end=True),
    "special_xlog1py": _domain(-1.0, open_end=True, place=1),
    "logit": _logit,
    **dict.fromkeys(("lgamma", "digamma", "polygamma"), _poles),
    "weight_norm_interface": _weight_norm,
    "_weight_norm_interface": _weight_norm,
    "acosh": _domain(1.0, open_end=False),
    "sqrt": _domain(0.0, open_end=False),
    "rsqrt": _domain(0.0, open_end=True),
    **dict.fromkeys(("acos", "asin", "atanh", "erfinv"), _beyond_one),
    **dict.fromkeys(("exp", "expm1", "cosh", "sinh"), _exponential),
    **dict.fromkeys(("_softmax", "_log_softmax", "_safe_softmax"), _softmax),
    **dict.fromkeys(
        (
            "_scaled_dot_product_flash_attention_for_cpu",
            "_scaled_dot_product_attention_math",
            "_scaled_dot_product_efficient_attention",
            "_scaled_dot_product_flash_attention",
            "_scaled_dot_product_cudnn_attention",
        ),
        _attention,
    ),
    **dict.fromkeys(
        (
            *("native_layer_norm", "native_group_norm", "native_batch_norm", "cudnn_batch_norm"),
            *("_native_batch_norm_legit", "_native_batch_norm_legit_no_training"),
        ),
        _normalisation,
    ),
    "pow": _power,
    "mul": _product,
    **dict.fromkeys(("add", "sub", "rsub"), _difference),
    **dict.fromkeys(("mm", "bmm", "addmm", "baddbmm", "convolution", "dot", "mv"), _matrix_product),
    **dict.fromkeys(("var", "std", "var_mean", "std_mean"), _spread),
    "mean": _mean,
    **dict.fromkeys(("nll_loss_forward", "nll_loss2d_forward"), _negative_log_likelihood),
    "_to_copy": _cast,
    **dict.fromkeys(("ctc_loss", "_ctc_loss"), _alignment),
    **dict.fromkeys(
        ("masked_fill", "fill", "full", "full_like", "new_full", "scalar_tensor"), _fill
    ),
}
