"""JSON as every command writes it: any JSON reader accepts it.

JSON has no NaN and no infinities: they become null, as does what is unknown. Text that cannot be
encoded is escaped.
"""

import json
import math
from typing import Any

import numpy as np


def json_text(value: Any) -> str:
    """The value as indented JSON."""
    return json.dumps(plain(value), indent=2, allow_nan=False)


def plain(value: Any) -> Any:
    """The value in types that JSON has: NaN and infinities become None, arrays lists."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return str(value).encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist())
    if isinstance(value, dict):
        return {plain(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return plain(str(value))
