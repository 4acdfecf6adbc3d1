"""Module paths, as PyTorch and Keras write them: `encoder.0.weight`, `encoder/dense/kernel`."""


def enclosing(path: str) -> str:
    """The path without its last name: `encoder.0` for `encoder.0.weight`; empty for one name."""
    return path[: max(path.rfind("."), path.rfind("/"), 0)]
