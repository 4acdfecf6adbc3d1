"""The rule catalogue. A rule is one decorated pure function of a `Trace`; see `rule`."""

from nntrace.rules.finding import Finding, Location, Severity, Skipped, Suppressed, too_few
from nntrace.rules.registry import all_rules, get_rule, select_rules
from nntrace.rules.rule import Rule, Threshold, rule

__all__ = [
    "Finding",
    "Location",
    "Rule",
    "Severity",
    "Skipped",
    "Suppressed",
    "Threshold",
    "all_rules",
    "get_rule",
    "rule",
    "select_rules",
    "too_few",
]
