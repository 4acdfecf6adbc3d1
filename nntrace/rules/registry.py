"""Finds the rules: every `Rule` in a module or package named by entry-point group `nntrace.rules`.

The built-in families are found the same way as a third party's.
"""

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import entry_points
from types import ModuleType

from nntrace.errors import UnknownRuleError, suggestion
from nntrace.rules.rule import Rule

GROUP = "nntrace.rules"


@cache
def all_rules() -> dict[str, Rule]:
    """Every installed rule by its code, ordered by code."""
    found: dict[str, Rule] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        for module in _modules(entry.load()):
            for value in vars(module).values():
                if isinstance(value, Rule) and found.setdefault(value.code, value) is not value:
                    raise ValueError(f"two rules have the code {value.code}")
    return dict(sorted(found.items()))


def _modules(named: ModuleType) -> Iterator[ModuleType]:
    """Yield the module itself and, if it is a package, the modules in it."""
    yield named
    for found in pkgutil.iter_modules(getattr(named, "__path__", ())):
        yield importlib.import_module(f"{named.__name__}.{found.name}")


def get_rule(code: str) -> Rule:
    """One rule, by code or name, in any case.

    Raises:
        UnknownRuleError: no installed rule has this code or name.
    """
    wanted = code.strip().lower()
    known = all_rules()
    for rule in known.values():
        if wanted in (rule.code.lower(), rule.name):
            return rule
    names = (rule.name for rule in known.values())
    raise _unknown(code, suggestion(wanted.upper(), known) or suggestion(wanted, names))


def select_rules(select: Iterable[str] = (), ignore: Iterable[str] = ()) -> tuple[Rule, ...]:
    """The rules whose code starts with one of `select` (all when empty) and none of `ignore`.

    Raises:
        UnknownRuleError: a prefix with which no rule's code starts.
    """
    rules = tuple(all_rules().values())
    chosen, left_out = (_prefixes(prefixes, rules) for prefixes in (select, ignore))
    return tuple(
        rule
        for rule in rules
        if (not chosen or rule.code.startswith(chosen))
        and not (left_out and rule.code.startswith(left_out))
    )


def _prefixes(given: Iterable[str], rules: tuple[Rule, ...]) -> tuple[str, ...]:
    prefixes = tuple(prefix.strip().upper() for prefix in given)
    for prefix in prefixes:
        if not prefix or not any(rule.code.startswith(prefix) for rule in rules):
            codes = [rule.code for rule in rules]
            families = dict.fromkeys(code.rstrip("0123456789") for code in codes)
            raise _unknown(prefix, suggestion(prefix, (*families, *codes)))
    return prefixes


def _unknown(word: str, hint: str) -> UnknownRuleError:
    return UnknownRuleError(f"there is no rule {word!r}.{hint or ' `nntrace rules` lists them.'}")
