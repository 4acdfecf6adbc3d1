"""The declaration form of a rule: one decorated pure function of a `Trace`.

Its keyword-only `Annotated` parameters are its thresholds, and its docstring is its documentation:
command line, configuration, documentation and JSON derive from that one declaration.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from nntrace.errors import ConfigError
from nntrace.rules.common.framework import speaks_keras
from nntrace.rules.finding import Finding, Location, Severity, Skipped, too_few
from nntrace.rules.settings import SETTINGS, check_setting, severity_of, thresholds_only
from nntrace.schema import Role
from nntrace.trace import Site, Trace

_LARGEST_SOURCE_FILE = 4 * 1024 * 1024

Check = Callable[..., Iterator[Finding | Skipped]]


@dataclass(frozen=True, slots=True)
class Threshold:
    """A rule's parameter: its name, type, default and one line of documentation."""

    name: str
    type: type
    default: Any
    doc: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One check. Made by the `rule` decorator; `run` applies it to a trace."""

    code: str
    name: str
    severity: Severity
    check: Check
    explains: tuple[str, ...]
    needs: tuple[Role, ...]
    min_steps: int
    advice: str
    experiments: tuple[str, ...] = ()
    in_keras: str = ""

    @property
    def doc(self) -> str:
        """The documentation: what the rule sees, why it matters, and the sources."""
        return inspect.getdoc(self.check) or ""

    @property
    def module(self) -> str:
        """The module that declares the rule."""
        return self.check.__module__

    @property
    def summary(self) -> str:
        """The first line of the documentation."""
        return self.doc.partition("\n")[0]

    @property
    def thresholds(self) -> tuple[Threshold, ...]:
        """The parameters a user may override, in order of declaration."""
        hints = get_type_hints(self.check, include_extras=True)
        return tuple(
            _threshold(name, hints[name], parameter.default)
            for name, parameter in inspect.signature(self.check).parameters.items()
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY
        )

    def run(
        self, trace: Trace, overrides: Mapping[str, Any] | None = None
    ) -> Iterator[Finding | Skipped]:
        """Yield the findings on this trace, with all fields that the rule left out filled in.

        `overrides` are thresholds, and the settings of `nntrace.rules.settings`.
        """
        chosen = overrides or {}
        if skipped := self._cannot_judge(trace):
            yield replace(skipped, code=self.code)
            return
        for result in self.check(trace, **thresholds_only(chosen)):
            if isinstance(result, Skipped):
                yield replace(result, code=self.code)
            else:
                yield replace(
                    result,
                    code=self.code,
                    name=self.name,
                    severity=severity_of(result.severity or self.severity, self.severity, chosen),
                    advice=result.advice or self._advice(trace),
                    location=_with_source(result.location or _site_location(result.site)),
                )

    def _advice(self, trace: Trace) -> str:
        return self.in_keras if self.in_keras and speaks_keras(trace) else self.advice

    def validate(self, overrides: Mapping[str, Any]) -> None:
        """Refuse unknown thresholds and settings, and values of the wrong type.

        Raises:
            ConfigError: the message names the key and those that exist.
        """
        known = {threshold.name: threshold for threshold in self.thresholds}
        for key, value in overrides.items():
            if key in SETTINGS:
                check_setting(self.code, key, value)
                continue
            if key not in known:
                names = ", ".join((*known, *SETTINGS))
                raise ConfigError(f"rule {self.code} has no threshold {key!r}; it has: {names}.")
            expected = known[key].type
            fits = isinstance(value, (int, float) if expected is float else expected)
            if not fits or (isinstance(value, bool) and expected is not bool):
                raise ConfigError(
                    f"threshold {key!r} of rule {self.code} must be {expected.__name__}, "
                    f"not {value!r}."
                )

    def _cannot_judge(self, trace: Trace) -> Skipped | None:
        experiment = trace.experiment
        if experiment is not None and experiment.interferes:
            what = f"interfered with the program ({experiment.name})"
            return Skipped(f"in this run `nntrace check` {what}")
        for name in self.experiments:
            if trace.under(name) is None:
                if experiment is not None:
                    return Skipped(f"its experiment {name!r} was not run")
                return Skipped(f"only `nntrace check` can tell, by its experiment {name!r}")
        if len(trace.steps) < self.min_steps:
            steps = len(trace.steps)
            return too_few(f"needs {self.min_steps} optimizer steps, the run has {steps}")
        for role in self.needs:
            if not trace.sites_of(role):
                return Skipped(f"no {role.value} was recorded")
        return None


def rule(
    code: str,
    name: str,
    severity: Severity,
    *,
    advice: str,
    explains: tuple[str, ...] = (),
    needs: tuple[Role, ...] = (),
    min_steps: int = 1,
    experiments: tuple[str, ...] = (),
    in_keras: str = "",
) -> Callable[[Check], Rule]:
    """Declare a rule.

    Args:
        code: its permanent code, such as `ACT04`.
        name: the pattern found, never the remedy, in kebab case.
        severity: of findings that do not give their own.
        advice: what to try, in one or two sentences, for findings that do not give their own.
        explains: codes of rules whose findings are likely symptoms of this one's.
        needs: roles without which the rule cannot judge.
        min_steps: the fewest optimizer steps with which the rule can judge.
        experiments: experiments that `nntrace check` must have run besides the program itself.
        in_keras: the advice for a Keras program, if its terms differ.
    """

    def declare(check: Check) -> Rule:
        return Rule(
            code, name, severity, check, explains, needs, min_steps, advice, experiments, in_keras
        )

    return declare


def _threshold(name: str, hint: Any, default: Any) -> Threshold:
    if get_origin(hint) is not Annotated:
        raise TypeError(f"threshold {name!r} must be Annotated[type, 'documentation']")
    kind, doc, *_ = get_args(hint)
    return Threshold(name, kind, default, doc)


def _site_location(site: Site | None) -> Location | None:
    return Location(site.file, site.line) if site and site.file and site.line else None


def _with_source(location: Location | None) -> Location | None:
    if location is None or location.source is not None:
        return location
    return replace(location, source=source_line(location.file, location.line))


def source_line(file: str, line: int) -> str | None:
    """The stripped source line; None if the file is not on this machine or has no such line.

    The name comes from the trace: it may be that of a pipe or a device, or not a valid name at all.
    """
    path = Path(file)
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST_SOURCE_FILE:
            return None
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except (OSError, ValueError):
        return None
    return lines[line - 1].strip() if 0 < line <= len(lines) else None
