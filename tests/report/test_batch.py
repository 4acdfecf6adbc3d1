import json
import socket
import zlib
from pathlib import Path

import numpy as np
import pytest

from nntrace.errors import NntraceError
from nntrace.manifest import Manifest
from nntrace.report.batch import filters, first_batch
from nntrace.report.png import encode
from nntrace.report.vocabulary import read_vocabulary
from nntrace.trace import Trace


def kept(values, role="input", dtype="float32", **columns):
    array = np.asarray(values, dtype=float)
    shape = list(array.shape)
    row = {"step": 0, "role": role, "path": "x", "dtype": dtype, "shape": shape, "stride": 1}
    return row | {"kept_shape": shape, "values": array.reshape(-1).tolist()} | columns


def shown(*tensors, vocabulary=None):
    return first_batch(Trace.from_rows(tensors=tensors), vocabulary)


@pytest.mark.parametrize("shape", [(2, 1, 6, 5), (2, 3, 6, 5), (2, 6, 5, 3)])
def test_images_are_shown_as_images_in_either_order_of_axes(shape) -> None:
    (item,) = shown(kept(np.arange(np.prod(shape)).reshape(shape)))
    assert [(p.width, p.height) for p in item.pictures] == [(5, 6), (5, 6)]


def test_large_images_with_channels_last_are_shown_too() -> None:
    thinned = kept(np.zeros((2, 6, 5, 3))) | {"shape": [2, 18, 15, 3], "stride": 3}
    (item,) = shown(thinned)
    assert [(p.width, p.height) for p in item.pictures] == [(5, 6), (5, 6)]


def test_feature_maps_are_no_images() -> None:
    (item,) = shown(kept(np.zeros((2, 64, 6, 5))))
    assert item.pictures == ()
    assert len(item.table) == 2


def test_class_labels_stand_under_the_images_and_nowhere_else() -> None:
    (item,) = shown(kept(np.zeros((2, 1, 4, 4))), kept([3, 1], role="target", dtype="int64"))
    assert [p.words for p in item.pictures] == ["3", "1"]


@pytest.mark.parametrize("labels", [[[3], [1]], [[0, 0, 0, 1], [0, 1, 0, 0]]])
def test_labels_in_a_column_and_one_hot_are_labels_too(labels) -> None:
    (item,) = shown(kept(np.zeros((2, 1, 4, 4))), kept(labels, role="target"))
    assert [p.words for p in item.pictures] == ["3", "1"]


@pytest.mark.parametrize("targets", [[[2, 0, 1], [1, 0, 2]], [2, 0, 1, 1, 0, 2]])
def test_the_targets_of_a_language_model_are_text_as_its_inputs_are(targets) -> None:
    ids = kept([[1, 2, 0], [0, 1, 0]], dtype="int64")
    of_loss = kept(targets, role="target", dtype="int64")
    inputs, shown_targets = shown(ids, of_loss, vocabulary=["a", "b", " "])
    assert inputs.texts == ("b a", "aba")
    assert shown_targets.texts == (" ab", "ba ")


def test_class_labels_of_texts_are_no_tokens() -> None:
    ids = kept([[1, 2, 0], [0, 1, 0]], dtype="int64")
    labels = kept([1, 0], role="target", dtype="int64")
    assert shown(ids, labels, vocabulary=["a", "b", " "])[1].texts == ()


def test_token_ids_become_text_where_the_vocabulary_is_known() -> None:
    ids = kept([[0, 2, 9]], dtype="int64")
    assert shown(ids)[0].texts == ("0 2 9",)
    assert shown(ids, vocabulary=["a", "b", " c"])[0].texts == ("a c⟨9⟩",)


def test_rows_of_numbers_are_a_table_that_says_what_it_leaves_out() -> None:
    (item,) = shown(kept(np.full((20, 40), 1.5)))
    assert (len(item.header), len(item.table)) == (16, 8)
    assert item.table[0][0] == "1.5"
    assert "the first 16 of 40" in item.facts


def test_nan_among_the_inputs_is_said() -> None:
    (item,) = shown(kept([[1.0, float("nan")]]))
    assert "1 values are NaN" in item.facts


def test_filters_are_shown_as_first_and_last_recorded() -> None:
    rows = [kept(np.zeros((4, 1, 3, 3)), role="param", step=step) for step in (0, 5, 9)]
    assert [item.title for item in filters(Trace.from_rows(tensors=rows))] == [
        "x at step 0",
        "x at step 9",
    ]


def test_a_png_holds_its_pixels() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    file = encode(pixels)
    assert file.startswith(b"\x89PNG")
    start = file.index(b"IDAT") + 4
    rows = zlib.decompress(file[start:-16])
    assert rows == b"\0" + bytes(range(12)) + b"\0" + bytes(range(12, 24))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("vocab.json", '{"a": 0, "Ġb": 2}'),
        ("t.json", '{"model": {"vocab": {"a": 0}}, "added_tokens": [{"id": 2, "content": " b"}]}'),
        ("t.json", '{"model": {"vocab": [["a", -1.0], ["⟨1⟩", 0], ["▁b", 0]]}}'),
        ("tokens.txt", "a\n⟨1⟩\n b\n"),
    ],
)  # fmt: skip
def test_tables_of_tokens_are_read_in_the_usual_forms(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_vocabulary(tmp_path / name) == ["a", "⟨1⟩", " b"]


def test_words_of_a_table_that_marks_no_blanks_are_set_apart(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("[CLS]\nplay\n##ing\nchess\n")
    vocabulary = read_vocabulary(tmp_path / "vocab.txt")
    (item,) = shown(kept([[0, 1, 2, 3]], dtype="int64"), vocabulary=vocabulary)
    assert item.texts == ("[CLS] playing chess",)


@pytest.mark.parametrize("text", ["3", "{", '{"model": 3}', "[" * 5000])
def test_what_is_no_table_of_tokens_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "vocab.json").write_text(text)
    if text == '{"model": 3}':
        assert read_vocabulary(tmp_path / "vocab.json")[3] == "model"
    else:
        with pytest.raises(NntraceError, match=r"vocab\.json"):
            read_vocabulary(tmp_path / "vocab.json")


def test_token_ids_become_text_where_the_program_was_seen_to_hold_the_table() -> None:
    ids = kept([[0, 1, 2]], dtype="int64")
    tokens = {"0": "the", "1": "Ġcat", "x": "?"}
    event = {
        "kind": "tokens",
        "payload": json.dumps({"path": ids["path"], "source": "itos", "tokens": tokens}),
    }
    (item,) = first_batch(Trace.from_rows(tensors=[ids], events=[event]))
    assert item.texts == ("the cat⟨2⟩",)
    assert "tokens from itos" in item.facts


@pytest.mark.parametrize("rows", [3, 30])
def test_a_tokenizers_table_beside_the_program_is_used_if_it_fits_the_model(
    tmp_path: Path, rows: int
) -> None:
    (tmp_path / "vocab.json").write_text('{"a": 0, "b": 1, "c": 2}')
    trace = Trace.from_rows(
        manifest=Manifest(
            "try", command=("python", "train.py"), cwd=str(tmp_path), host=socket.gethostname()
        ),
        tensors=[kept([[2, 1, 0]], dtype="int64")],
        sites=[{"id": 0, "path": "embedding.weight", "role": "param", "shape": [rows, 8]}],
    )
    (item,) = first_batch(trace)
    assert item.texts == (("cba",) if rows == 3 else ("2 1 0",))
