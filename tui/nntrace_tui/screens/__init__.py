"""The monitor's screens: one per page, and the dialogs above them.

Page `Layers` is class `LayersScreen` in module `layers`. A module is imported when its page is
opened or when there is time: the first screen needs only one of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from nntrace_tui.view import Page

if TYPE_CHECKING:
    from nntrace_tui.screens.page import PageScreen


def new_screen(page: Page) -> "PageScreen":
    """Make the screen of a page."""
    made: PageScreen = getattr(load(page), f"{page}Screen")()
    return made


def load(page: Page) -> object:
    """Import the module of a page."""
    return import_module(f"{__name__}.{page.lower()}")
