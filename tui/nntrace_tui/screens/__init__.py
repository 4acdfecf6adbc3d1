"""The monitor's screens: one per page, and the dialogs above them.

A page `Layers` is the class `LayersScreen` of the module `layers`, imported when it is opened or
when there is time: the first screen needs but one of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from nntrace_tui.view import Page

if TYPE_CHECKING:
    from nntrace_tui.screens.page import PageScreen


def new_screen(page: Page) -> "PageScreen":
    """The screen of a page."""
    made: PageScreen = getattr(load(page), f"{page}Screen")()
    return made


def load(page: Page) -> object:
    """The module of a page."""
    return import_module(f"{__name__}.{page.lower()}")
