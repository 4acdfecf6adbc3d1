"""Parses the framing of an Arrow IPC stream: the length of each message, without its body.

Streams are hostile input: every length and offset is checked against the bytes present before
Arrow sees them. Layout: https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format
"""

import struct
from typing import BinaryIO, Final

PREFIX_BYTES: Final = 8
_CONTINUATION: Final = b"\xff\xff\xff\xff"
# A batch is one flush of the recorder, which never gets as long as this.
_LARGEST_BODY: Final = 1 << 31
_LARGEST_METADATA: Final = 1 << 24
_BODY_LENGTH_SLOT: Final = 4 + 2 * 3  # the fourth field of the Message table's vtable


class FramingError(ValueError):
    """The bytes are not the beginning of a message."""


def message_length(file: BinaryIO, available: int) -> int | None:
    """The length in bytes of the message that begins at the file's position.

    It is 0 for the end-of-stream mark, and None when the message is longer than `available` bytes.

    Raises:
        FramingError: no complete message can ever begin with these bytes.
    """
    head = file.read(min(PREFIX_BYTES, available))
    if not head.startswith(_CONTINUATION[: len(head)]):
        raise FramingError("no message begins here")
    if len(head) < PREFIX_BYTES:
        return None
    (metadata_bytes,) = struct.unpack("<i", head[4:])
    if metadata_bytes == 0:
        return 0
    if not 0 < metadata_bytes <= _LARGEST_METADATA or metadata_bytes % 8:
        raise FramingError(f"impossible metadata length {metadata_bytes}")
    if PREFIX_BYTES + metadata_bytes > available:
        return None
    body_bytes = _body_length(file.read(metadata_bytes))
    if not 0 <= body_bytes <= _LARGEST_BODY or body_bytes % 8:
        raise FramingError(f"impossible body length {body_bytes}")
    length = PREFIX_BYTES + metadata_bytes + body_bytes
    return length if length <= available else None


def _body_length(metadata: bytes) -> int:
    """`Message.bodyLength`, read from the flatbuffer; 0 where the field is absent."""
    try:
        (table,) = struct.unpack_from("<I", metadata, 0)
        (to_vtable,) = struct.unpack_from("<i", metadata, table)
        vtable = table - to_vtable
        if vtable < 0:
            raise FramingError("a table outside the message")
        (vtable_bytes,) = struct.unpack_from("<H", metadata, vtable)
        if vtable_bytes <= _BODY_LENGTH_SLOT:
            return 0
        (slot,) = struct.unpack_from("<H", metadata, vtable + _BODY_LENGTH_SLOT)
        return int(struct.unpack_from("<q", metadata, table + slot)[0]) if slot else 0
    except struct.error as error:
        raise FramingError("a table outside the message") from error
