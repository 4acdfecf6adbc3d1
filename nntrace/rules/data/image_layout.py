"""DAT18: images whose axes are in another order than the first layer expects."""

from collections.abc import Iterator
from typing import Annotated

import numpy as np

from nntrace.rules.common.layers import first_with_weight
from nntrace.rules.common.passes import evaluations
from nntrace.rules.common.signals import span
from nntrace.rules.finding import Finding, Severity, Skipped
from nntrace.rules.rule import rule
from nntrace.schema import Role
from nntrace.trace import Site, Trace
from nntrace.trace.model import FloatArray

_CHANNELS = (1, 3, 4)
_CONVOLUTIONS = ("Conv2d", "Conv2D")
_ALIKE = 0.3  # correlation of pixels; below it an image has no structure


@rule(
    "DAT18",
    "channel-layout",
    Severity.WARNING,
    needs=(Role.INPUT,),
    explains=("DAT14", "LOS07", "LOS11", "LOS14", "PAR07"),
    advice="PyTorch convolutions want (N, C, H, W): `images.permute(0, 3, 1, 2)`, not `view` or "
    "`reshape`, which scramble pixels. Show one image as the model receives it.",
    in_keras="Keras' convolutions want (N, H, W, C): `np.transpose(images, (0, 2, 3, 1))`, not "
    "`reshape`, which scrambles pixels. Show one image as the model receives it.",
)
def channel_layout(
    trace: Trace,
    *,
    order: Annotated[float, "correlation of pixels C apart relative to that of neighbours"] = 1.5,
) -> Iterator[Finding | Skipped]:
    """The channel axis of an image is where the layer expects rows or columns.

    Three signs: the last axis is as short as channels are while the channel axis is as long as a
    row; pixels C apart are more alike than neighbours, as when (H, W, C) is reshaped to (C, H, W);
    or evaluation images have height and width exchanged. Judged for models whose first layer is a
    convolution.
    Source: "37 reasons", 1 and 27 (the network's first layer).
    """
    site = next((s for s in trace.sites_of(Role.INPUT) if len(s.shape) == 4), None)
    first = first_with_weight(trace)
    if site is None or first is None or first.module_type not in _CONVOLUTIONS:
        yield Skipped("no image enters a convolution first")
        return
    channels_last = first.module_type == "Conv2D"
    _, *axes = site.shape
    depth, rows, columns = (axes[2], *axes[:2]) if channels_last else axes
    far, side = (rows, columns) if channels_last else (columns, rows)
    where = span(trace.sampled_steps)
    if far in _CHANNELS and depth not in _CHANNELS and depth == side >= 8:
        yield Finding(
            f"`{site.path}` has shape {site.shape}: {first.shown} takes the axis of length "
            f"{depth} for the channels, and that of length {far} for a side of the image.",
            site=site,
            steps=where,
            evidence={"shape": list(site.shape)},
        )
        return
    near, apart = _likeness(trace, site) if depth in (3, 4) and not channels_last else (1.0, 0.0)
    if apart > max(order * near, _ALIKE):
        yield Finding(
            f"in `{site.path}` pixels {depth} apart are more alike (correlation {apart:.2f}) than "
            f"neighbours ({near:.2f}): the channels were moved by a reshape.",
            site=site,
            steps=where,
            evidence={"neighbours": near, "at_channel_distance": apart},
        )
        return
    for one in evaluations(trace):
        if len(one.shape) == 4 and rows != columns and _is_transposed(one.shape, site.shape):
            yield Finding(
                f"evaluation images have shape {one.shape}, training images {site.shape}: height "
                "and width are exchanged.",
                site=site,
                steps=(one.step, one.step),
                evidence={"training": list(site.shape), "evaluation": list(one.shape)},
            )
            return


def _likeness(trace: Trace, site: Site) -> tuple[float, float]:
    """The correlations of pixels in a row with their neighbours, and with pixels C apart."""
    kept = next((t for t in trace.tensors if t.role == Role.INPUT and t.path == site.path), None)
    if kept is None or kept.stride != 1 or kept.values.ndim != 4:
        return 1.0, 0.0
    images = kept.values
    distance = images.shape[1]
    if images.shape[3] < 4 * distance or not np.isfinite(images).all():
        return 1.0, 0.0
    images = images - images.mean(axis=(2, 3), keepdims=True)
    return _correlation(images, 1), _correlation(images, distance)


def _correlation(images: FloatArray, distance: int) -> float:
    one, other = images[..., :-distance], images[..., distance:]
    scale = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / scale if scale > 0.0 else 0.0


def _is_transposed(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    for rows in (1, 2):
        swapped = list(other)
        swapped[rows], swapped[rows + 1] = swapped[rows + 1], swapped[rows]
        if one[1:] == tuple(swapped[1:]) and one[1:] != other[1:]:
            return True
    return False
