"""For the tests of the PyTorch adapter: each finds the process as if it were the first."""

import gc


def pytest_runtest_setup() -> None:
    """What earlier tests left alive is hidden from a search for living models and optimizers.

    Some of it never dies: programs run here, whose modules have hooks that PyTorch holds.
    """
    gc.freeze()
