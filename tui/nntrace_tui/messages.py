"""The requests of screens to the application."""

from typing import Any

from textual.message import Message

from nntrace.rules import Finding


class Look(Message):
    """Apply changes to the `View`."""

    def __init__(self, **changes: Any) -> None:
        super().__init__()
        self.changes = changes


class ShowFinding(Message):
    """Open a finding in full."""

    def __init__(self, finding: Finding) -> None:
        super().__init__()
        self.finding = finding


class ShowRule(Message):
    """Open a rule's documentation."""

    def __init__(self, code: str) -> None:
        super().__init__()
        self.code = code
