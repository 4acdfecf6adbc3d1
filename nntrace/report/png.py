"""Turns arrays into pictures: 8-bit PNG files of small images, as `data:` addresses."""

import base64
import struct
import zlib

import numpy as np
import numpy.typing as npt

from nntrace.trace.model import FloatArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}  # grey, RGB, RGBA


def picture(image: FloatArray, low: float, high: float) -> str:
    """An image [height, width, 1 | 3 | 4] as a `data:` address; `low` is black, `high` is full.

    NaN is black.
    """
    span = high - low
    with np.errstate(all="ignore"):
        scaled = (image - low) / span if span > 0 else np.zeros_like(image)
    pixels = np.nan_to_num(np.clip(scaled, 0.0, 1.0) * 255.0).astype(np.uint8)
    return "data:image/png;base64," + base64.b64encode(encode(pixels)).decode()


def encode(pixels: npt.NDArray[np.uint8]) -> bytes:
    """The PNG file of pixels [height, width, channels]."""
    height, width, channels = pixels.shape
    rows = np.zeros((height, 1 + width * channels), dtype=np.uint8)  # each begins with filter 0
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 6)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
