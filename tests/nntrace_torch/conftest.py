"""Hides the objects of earlier tests from the tests of the PyTorch adapter."""

import gc


def pytest_runtest_setup() -> None:
    """Hide objects that earlier tests left alive from searches for live models and optimizers.

    Some are never freed: modules of programs run in this process have hooks that PyTorch holds.
    """
    gc.freeze()
