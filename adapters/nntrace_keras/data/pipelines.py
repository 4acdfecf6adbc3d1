"""How much of its source a `tf.data` pipeline delivers if `take` leaves the rest out.

Read off the pipeline's stages; nothing is drawn from it.
"""

from typing import Any

_TAKE = "_TakeDataset"
_SHUFFLE = "_ShuffleDataset"
_BATCHES = ("_BatchDataset", "_ParallelBatchDataset")
_KEEP_ALL = ("_MapDataset", "_ParallelMapDataset", "_PrefetchDataset", "CacheDataset")
_PLAIN = (_TAKE, _SHUFFLE, *_BATCHES, *_KEEP_ALL, "_OptionsDataset")


def taken(dataset: Any) -> tuple[int, int] | None:
    """The numbers of examples in a pass, counted in whole batches, and in the source.

    None without `take`, before a `shuffle` (which makes it leave out others each time), with a
    stage that changes the number in another way, and if a size is unknown.
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
    """The number of elements; negative if it is infinite or unknown."""
    count = getattr(dataset, "cardinality", None)
    return int(count()) if callable(count) else -1
