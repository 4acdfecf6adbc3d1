"""What can be set for every rule besides its thresholds: its severity, and sites to ignore.

The settings stand among the thresholds in `[tool.nntrace.rules.ACT04]`; no threshold has their
names.
"""

from collections.abc import Mapping
from typing import Any, Final

from nntrace.errors import ConfigError
from nntrace.rules.finding import Finding, Severity
from nntrace.sampling import matches

SETTINGS: Final = ("severity", "ignore_sites")


def check_setting(code: str, key: str, value: Any) -> None:
    """Refuse a value that the setting cannot have.

    Raises:
        ConfigError: the message names the rule, the setting and what would be right.
    """
    if key == "severity":
        levels = [level.value for level in Severity]
        fits, right = value in levels, f"one of {', '.join(levels)}"
    else:
        patterns = list(value) if isinstance(value, list | tuple) else [None]
        fits = all(isinstance(pattern, str) for pattern in patterns)
        right = 'a list of patterns of module paths such as ["backbone.*"]'
    if not fits:
        raise ConfigError(f"{key!r} of rule {code} must be {right}, not {value!r}.")


def thresholds_only(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The overrides without the settings, to be passed to the rule's function."""
    return {key: value for key, value in overrides.items() if key not in SETTINGS}


def severity_of(found: Severity, declared: Severity, overrides: Mapping[str, Any]) -> Severity:
    """The severity to report; a finding that the rule itself lowered to info stays info."""
    excused = found is Severity.INFO and declared is not Severity.INFO
    wanted = overrides.get("severity")
    return found if wanted is None or excused else Severity(wanted)


def ignores(finding: Finding, overrides: Mapping[str, Any]) -> bool:
    """Whether the finding is at an ignored site, or within an ignored module."""
    if finding.site is None:
        return False
    return matches(finding.site.path, tuple(overrides.get("ignore_sites", ())))
