"""Runs PyTorch's CPU generator backwards, to the state it had some draws ago.

The generator is a Mersenne Twister (Matsumoto & Nishimura, 1998). Its state is 624 words; when each
has been drawn once, all are computed anew from each other (a *twist*), and that can be inverted.
"""

import struct

import numpy as np
import torch

_WORDS, _MIDDLE = 624, 397
_UPPER, _LOWER, _MATRIX = 0x80000000, 0x7FFFFFFF, 0x9908B0DF
_LEFT, _NEXT, _KEY = 8, 16, 24  # offsets in the state as PyTorch gives it; each word has 8 bytes
_NORMAL = _KEY + 8 * _WORDS  # offset of the numbers that a normal draw has cached for the next one
_SIZE = 5056
_MAX_TURNS = 1024  # twists: 640 thousand draws, undone in about a second


def draws_between(before: bytes, after: bytes) -> int | None:
    """How many words were drawn from one state to the other; None if they are too far apart."""
    if len(before) != _SIZE or len(after) != _SIZE:
        return None
    (key, position), (last, end) = _parts(before), _parts(after)
    for turns in range(_MAX_TURNS):
        if np.array_equal(key, last):
            return turns * _WORDS + end - position if turns or end >= position else None
        key = _turned(key)
    return None


def stepped_back(state: bytes, draws: int) -> bytes:
    """The state from which `draws` draws lead to this one."""
    if draws == 0:
        return state
    key, position = _parts(state)
    position -= draws
    while position <= 0:
        key = _turned_back(key)
        position += _WORDS
    return _joined(state, key, position)


def cpu_state() -> bytes:
    """The current state as bytes: a tensor would show in the program's memory."""
    return torch.get_rng_state().numpy().tobytes()


def _parts(state: bytes) -> tuple[np.ndarray, int]:
    """The words, and how many of them have been drawn, from 1 to 624."""
    key = np.frombuffer(state, np.uint64, _WORDS, _KEY).astype(np.uint32)
    (left,) = struct.unpack_from("i", state, _LEFT)
    return key, _WORDS + 1 - left


def _joined(state: bytes, key: np.ndarray, position: int) -> bytes:
    made = bytearray(state)
    struct.pack_into("i", made, _LEFT, _WORDS + 1 - position)
    struct.pack_into("Q", made, _NEXT, position)
    made[_KEY:_NORMAL] = key.astype(np.uint64).tobytes()
    made[_NORMAL:] = bytes(_SIZE - _NORMAL)  # what was cached then is not known
    return bytes(made)


def _mixed(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    word = (upper & np.uint32(_UPPER)) | (lower & np.uint32(_LOWER))
    return (word >> np.uint32(1)) ^ np.where(word & np.uint32(1), np.uint32(_MATRIX), np.uint32(0))


def _turned(key: np.ndarray) -> np.ndarray:
    """The words after one twist."""
    new = key.copy()
    split = _WORDS - _MIDDLE
    new[:split] = key[_MIDDLE:] ^ _mixed(key[:split], key[1 : split + 1])
    for start in range(split, _WORDS - 1, split):
        stop = min(start + split, _WORDS - 1)
        earlier = new[start - split : stop - split]
        new[start:stop] = earlier ^ _mixed(key[start:stop], key[start + 1 : stop + 1])
    new[-1:] = new[_MIDDLE - 1 : _MIDDLE] ^ _mixed(key[-1:], new[:1])
    return new


def _turned_back(key: np.ndarray) -> np.ndarray:
    """The words before one twist."""
    words = [int(word) for word in key]
    for i in range(_WORDS - 1, -1, -1):
        mixed = _unmixed(words[i] ^ words[(i + _MIDDLE) % _WORDS])
        before = _unmixed(words[i - 1] ^ words[(i + _MIDDLE - 1) % _WORDS])
        words[i] = (mixed & _UPPER) | (before & _LOWER)
    return np.array(words, np.uint32)


def _unmixed(word: int) -> int:
    """The inverse of `_mixed`: one word's upper bit and the lower bits of its neighbour."""
    odd = word >> 31
    return (((word ^ (_MATRIX * odd)) << 1) | odd) & 0xFFFFFFFF
