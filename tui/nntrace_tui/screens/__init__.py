"""The monitor's screens: one per page, and the dialogs above them."""

from typing import Final

from nntrace_tui.screens.data import DataScreen
from nntrace_tui.screens.layer import LayerScreen
from nntrace_tui.screens.layers import LayersScreen
from nntrace_tui.screens.numerics import NumericsScreen
from nntrace_tui.screens.overview import OverviewScreen
from nntrace_tui.screens.page import PageScreen
from nntrace_tui.screens.ranks import RanksScreen
from nntrace_tui.screens.rules import RulesScreen
from nntrace_tui.screens.updates import UpdatesScreen
from nntrace_tui.view import Page

PAGE_SCREENS: Final[dict[Page, type[PageScreen]]] = {
    screen.PAGE: screen
    for screen in (
        OverviewScreen,
        LayersScreen,
        LayerScreen,
        UpdatesScreen,
        DataScreen,
        NumericsScreen,
        RanksScreen,
        RulesScreen,
    )
}
