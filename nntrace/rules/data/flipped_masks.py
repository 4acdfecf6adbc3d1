"""DAT21: masks that were not flipped with their images, or images without their masks."""

from collections import defaultdict
from collections.abc import Iterator
from statistics import fmean
from typing import Annotated

from nntrace.rules.common.calls import loss_calls
from nntrace.rules.common.payloads import number, text
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.rule import rule
from nntrace.schema import EventKind
from nntrace.trace import Event, Trace

_SIDES = {"width": "left and right", "height": "top and bottom"}


@rule(
    "DAT21",
    "flipped-masks",
    Severity.WARNING,
    explains=("LOS07", "LOS10", "LOS11", "LOS13", "LOS14"),
    advice="Flip image and mask together: one call for both (`torchvision.transforms.v2` with "
    "`tv_tensors.Mask`, albumentations' `image=, mask=`), or one random draw that decides for "
    "both. Draw a few batches as the loss receives them, masks over images.",
    in_keras="Flip image and mask together: `RandomFlip` on the images alone leaves the masks as "
    "they are. Give both as `{'images': …, 'segmentation_masks': …}` to the layer, or flip them in "
    "`Dataset.map` by one random draw. Draw a few batches, masks over images.",
)
def flipped_masks(
    trace: Trace,
    *,
    looks: Annotated[int, "samples at which masks were looked at, the last of which count"] = 8,
    alike: Annotated[float, "correlation of what is even in predicted and wanted masks"] = 0.35,
    odd: Annotated[float, "slope of what is odd in them, relative to that of what is even"] = 0.4,
    share: Annotated[float, "share of what is odd in the energy of the masks"] = 0.2,
) -> Iterator[Finding | Skipped]:
    """Predicted masks show each object twice, at its place and at that place's mirror image.

    A mask is the sum of an even part, equal in both halves, and an odd part, of opposite sign in
    them. A model learns both alike, unless images were flipped without their masks (or each by a
    draw of its own): then what it saw says nothing about the odd part, and the mean of both places
    is the best answer. Judged for losses that have a target for each pixel, on what distinguishes
    the examples of a batch from their mean.
    Source: "37 reasons", 4 and 13 (do the labels fit the inputs; too much augmentation); Recipe, 2
    (visualise just before the net).
    """
    by_path: dict[str, list[Event]] = defaultdict(list)
    for event in trace.events_of(EventKind.FLIPS):
        by_path[text(event.payload, "path")].append(event)
    if not by_path:
        yield Skipped("no loss was given a target for each pixel")
        return
    longest = max(map(len, by_path.values()))
    if longest < looks:
        yield too_few(f"needs {looks} samples with masks, has {longest}")
        return
    locations = {call.path: call.location for call in loss_calls(trace)}
    for path, events in by_path.items():
        if len(events) < looks:
            continue
        last = events[-looks:]
        for axis, sides in _SIDES.items():
            facts = {
                name: fmean(number(event.payload, f"{axis}_{name}") or 0.0 for event in last)
                for name in ("alike", "even", "odd", "share")
            }
            if facts["alike"] < alike or facts["share"] < share:
                continue
            if facts["even"] > 0.0 and abs(facts["odd"]) < odd * facts["even"]:
                yield Finding(
                    f"in what `{path}` is given, predictions do not tell {sides} apart: they "
                    f"follow the part of the masks that a mirror leaves as it is (slope "
                    f"{facts['even']:.2f}), but not the other ({facts['odd']:.2f}). Images are "
                    "flipped without their masks, or masks without their images.",
                    steps=(last[0].step, last[-1].step),
                    evidence=facts,
                    location=locations.get(path),
                )
                return
