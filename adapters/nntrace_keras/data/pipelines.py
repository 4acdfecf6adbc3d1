"""How much of its source a pipeline of `tf.data` delivers, where `take` leaves the rest out.

Read off its stages; nothing is drawn from it.
"""

from typing import Any

_TAKE = "_TakeDataset"
_SHUFFLE = "_ShuffleDataset"
_BATCHES = ("_BatchDataset", "_ParallelBatchDataset")
_KEEP_ALL = ("_MapDataset", "_ParallelMapDataset", "_PrefetchDataset", "CacheDataset")
_PLAIN = (_TAKE, _SHUFFLE, *_BATCHES, *_KEEP_ALL, "_OptionsDataset")


def taken(dataset: Any) -> tuple[int, int] | None:
    """The examples of a pass, as far as whole batches tell, and those of the source.

    None without `take`, behind a `shuffle` (which leaves out others each time), behind a stage that
    changes the number in another way, and where a size is not known.
    """
    drawn, per_element, is_cut = _cardinality(dataset), 1, False
    while hasattr(dataset, "_input_dataset"):
        stage = type(dataset).__name__
        if stage not in _PLAIN or (stage == _SHUFFLE and is_cut):
            return None
        is_cut |= stage == _TAKE
        if stage in _BATCHES:
            per_element *= int(getattr(dataset, "_batch_size", 0))
        dataset = dataset._input_dataset
    size = _cardinality(dataset)
    if not is_cut or drawn <= 0 or size <= 0 or per_element <= 0:
        return None
    return min(size, drawn * per_element), size


def _cardinality(dataset: Any) -> int:
    """Below zero where it is endless or not known."""
    count = getattr(dataset, "cardinality", None)
    return int(count()) if callable(count) else -1
