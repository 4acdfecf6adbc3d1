import numpy as np
import pytest
import torch
from nntrace_torch.samples.keepsakes import kept_batch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torch_programs import classify

from nntrace.schema import Role


def test_the_first_batch_is_kept_as_it_enters_the_network(trace_here):
    images = torch.randn(6, 1, 8, 8)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(144, 3))
    trace = trace_here(lambda: classify(model, images))
    inputs, targets = (
        next(t for t in trace.tensors if t.role == role) for role in ("input", "target")
    )
    assert (inputs.step, inputs.path, inputs.shape, inputs.dtype) == (
        0, "input.0", (6, 1, 8, 8), "float32",
    )  # fmt: skip
    np.testing.assert_array_equal(inputs.values, images.double().numpy())
    assert targets.values.tolist() == [0, 1, 2, 0, 1, 2]
    assert sum(t.role == "input" for t in trace.tensors) == 1


def test_the_filters_of_the_first_convolution_are_kept_ever_more_rarely(trace_here):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(8, 3))
    before = model[0].weight.detach().clone()
    trace = trace_here(lambda: classify(model, torch.randn(6, 3, 4, 4), steps=10))
    filters = [t for t in trace.tensors if t.role == "param"]
    assert [t.step for t in filters] == [0, 1, 2, 3, 5, 8]
    np.testing.assert_array_equal(filters[0].values, before.double().numpy())
    assert (filters[0].values != filters[-1].values).any()


def test_large_images_are_thinned_and_large_examples_become_fewer():
    image = kept_batch(torch.zeros(64, 3, 224, 224), Role.INPUT, "input.0")
    assert image is not None
    assert (image.values.shape, image.stride) == ((16, 3, 75, 75), 3)
    table = kept_batch(torch.zeros(64, 100_000), Role.INPUT, "input.0")
    assert table is not None
    assert table.values.shape == (5, 100_000)
    assert kept_batch(torch.zeros(2, 1 << 20), Role.INPUT, "input.0") is None


@pytest.mark.parametrize("is_flat", [False, True])
def test_targets_are_kept_whole_of_each_example_also_where_they_were_laid_flat(trace_here, is_flat):
    words = torch.arange(200).reshape(20, 10) % 7
    model = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 7))

    def loss(logits, _):
        if is_flat:
            return functional.cross_entropy(logits.flatten(0, 1), words.flatten())
        return functional.cross_entropy(logits.transpose(1, 2), words)

    trace = trace_here(lambda: classify(model, words, loss_function=loss))
    (kept,) = (tensor for tensor in trace.tensors if tensor.role == "target")
    assert kept.shape == ((200,) if is_flat else (20, 10))
    assert kept.values.reshape(-1).tolist() == words[:16].flatten().tolist()


def test_half_precision_is_kept_as_numbers():
    kept = kept_batch(torch.ones(2, 3, dtype=torch.bfloat16), Role.INPUT, "input.0")
    assert kept is not None
    assert kept.dtype == "bfloat16"
    assert kept.values.tolist() == [[1.0] * 3] * 2


def test_what_the_program_writes_into_its_batch_afterwards_is_not_seen():
    batch = torch.ones(2, 3)
    kept = kept_batch(batch, Role.INPUT, "input.0")
    batch.zero_()
    assert kept is not None
    assert kept.values.sum() == 6


def test_the_table_behind_a_loader_names_the_first_batchs_tokens(trace_here) -> None:
    class Words(Dataset):
        stoi: dict[str, int]

        def __init__(self) -> None:
            self.stoi = {letter: number for number, letter in enumerate("abcd")}

        def __len__(self) -> int:
            return 8

        def __getitem__(self, index: int) -> torch.Tensor:
            return torch.tensor([index % 4, 3])

    def program() -> None:
        model = nn.Sequential(nn.Embedding(4, 3), nn.Flatten(), nn.Linear(6, 1))
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        for batch in DataLoader(Words(), batch_size=4):
            model(batch).sum().backward()
            optimizer.step()

    (event,) = trace_here(program).events_of("tokens")
    assert event.payload["tokens"] == {"0": "a", "1": "b", "2": "c", "3": "d"}
