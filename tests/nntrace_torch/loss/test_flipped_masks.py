"""How predicted masks follow mirrored ones is recorded, for losses with a target for each pixel."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from tracing import payloads

MASKS = (torch.rand(6, 10, 12, generator=torch.Generator().manual_seed(1)) < 0.3).long()


class Known(nn.Module):
    """Predicts logits of the masks that it is given."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(20.0))

    def forward(self, masks):
        return self.scale * (masks.float().unsqueeze(1) - 0.5)


def two_classes(logits):
    return torch.cat([-logits, logits], 1)


LOSSES = {
    "classes": lambda logits, masks: functional.cross_entropy(two_classes(logits), masks),
    "log-probabilities": lambda logits, masks: functional.nll_loss(
        two_classes(logits).log_softmax(1), masks
    ),
    "pixels": lambda logits, masks: functional.binary_cross_entropy_with_logits(
        logits, masks.unsqueeze(1).float()
    ),
    "pixels without channels": lambda logits, masks: functional.binary_cross_entropy(
        logits.squeeze(1).sigmoid(), masks.float()
    ),
}


def told(trace_here, loss, images, masks, *, steps=2):
    model = Known()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)

    def train():
        for _ in range(steps):
            loss(model(images), masks).backward()
            optimizer.step()

    return payloads(trace_here(train), "flips")


@pytest.mark.parametrize("name", LOSSES)
def test_masks_at_their_places_are_followed_in_both_parts(trace_here, name):
    for payload in told(trace_here, LOSSES[name], MASKS, MASKS):
        assert payload["width_even"] == pytest.approx(1, abs=0.01)
        assert payload["width_odd"] == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("name", LOSSES)
def test_of_flipped_masks_the_odd_part_has_the_other_sign(trace_here, name):
    [payload, _] = told(trace_here, LOSSES[name], MASKS, MASKS.flip(-1))
    assert payload["path"]
    assert payload["width_even"] == pytest.approx(1, abs=0.01)
    assert payload["width_odd"] == pytest.approx(-1, abs=0.01)


def test_pixels_that_are_ignored_count_in_neither(trace_here):
    wanted = MASKS.masked_fill(torch.arange(12) > 5, -100)
    [payload, _] = told(trace_here, LOSSES["classes"], MASKS, wanted)
    assert payload["width_even"] == pytest.approx(payload["width_odd"], abs=0.01)


def test_later_steps_are_looked_at_more_and_more_rarely(trace_here):
    assert len(told(trace_here, LOSSES["classes"], MASKS, MASKS, steps=40)) == 26


@pytest.mark.parametrize(
    ("loss", "masks"),
    [
        (LOSSES["pixels"], MASKS * 0.5),
        (
            lambda logits, masks: functional.mse_loss(logits.mean((1, 2, 3)), masks[:, 0, 0]),
            MASKS * 1.0,
        ),
        (LOSSES["classes"], torch.zeros_like(MASKS)),
    ],
)
def test_other_targets_are_left_alone(trace_here, loss, masks):
    assert told(trace_here, loss, MASKS, masks) == []
