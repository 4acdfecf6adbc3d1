"""The settings of a project: `nntrace.toml`, or `[tool.nntrace]` in `pyproject.toml`.

The nearest file counts, from the working folder upward. An unknown key is an error, never ignored.
Without a file loading is cheap: the TOML reader and the rules are imported only when needed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nntrace.errors import ConfigError, suggestion
from nntrace.sampling import Sampling
from nntrace.schema import RUNS_FOLDER, Role

if TYPE_CHECKING:
    from nntrace.rules import Rule

FAIL_ON: Final = ("error", "warning", "never")


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of a project.

    Attributes:
        source: the file they come from, None for the defaults.
        runs_folder: where runs are written and looked for; a relative one in a file is relative
            to that file.
        sampling: what is sampled, and how densely; its fields are keys of the file.
        select: rules to run, as prefixes of their codes; all when empty.
        ignore: rules to leave out, as prefixes of their codes.
        fail_on: the severity from which `nntrace diagnose` exits with 1.
        rules: thresholds and settings by rule code, as written; `thresholds` checks them.
    """

    source: Path | None = None
    runs_folder: Path = Path(RUNS_FOLDER)
    sampling: Sampling = field(default_factory=Sampling)
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    fail_on: str = "error"
    rules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def chosen_rules(
        self, select: Iterable[str] = (), ignore: Iterable[str] = ()
    ) -> "tuple[Rule, ...]":
        """The rules to run; a `select` or `ignore` given here replaces the configured one.

        Raises:
            UnknownRuleError: a code that does not exist.
        """
        from nntrace.rules import select_rules

        return select_rules(tuple(select) or self.select, tuple(ignore) or self.ignore)

    def thresholds(self) -> dict[str, dict[str, Any]]:
        """The thresholds and settings by rule code, checked against the rules' declarations.

        Raises:
            ConfigError: an unknown rule or threshold, or a value of the wrong type.
        """
        from nntrace.errors import UnknownRuleError
        from nntrace.rules import get_rule

        checked: dict[str, dict[str, Any]] = {}
        for code, overrides in self.rules.items():
            try:
                rule = get_rule(code)
                rule.validate(overrides)
            except (ConfigError, UnknownRuleError) as error:
                raise ConfigError(f"{self.source}: [rules.{code}]: {error}") from error
            checked.setdefault(rule.code, {}).update(overrides)
        return checked


def load_config(folder: Path | None = None) -> Config:
    """The configuration that applies in a folder, by default the working folder.

    Raises:
        ConfigError: a file cannot be read or a setting is wrong; the message names the file, the
            key and a correct value.
    """
    start = (folder or Path()).absolute()
    for place in (start, *start.parents):
        own = place / "nntrace.toml"
        if (content := _read(own)) is not None:
            return _config(own, _parse(own, content))
        project = place / "pyproject.toml"
        # A project file that never mentions nntrace is not parsed: `nntrace run` starts faster.
        if (content := _read(project)) is not None and b"nntrace" in content:
            tools = _parse(project, content).get("tool")
            section = tools.get("nntrace") if isinstance(tools, Mapping) else None
            if isinstance(section, Mapping):
                return _config(project, section)
    return Config()


def parse_budget(text: str) -> float:
    """Parse a budget as a share of elapsed time: `2%` and `0.02` are the same.

    Raises:
        ConfigError: not a number, or not above 0 and at most 100 %.
    """
    number = text.strip()
    try:
        share = float(number.removesuffix("%")) / (100 if number.endswith("%") else 1)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise ConfigError(
            f"budget {text!r} is not a share of the run time: give a percentage such as 2% "
            "or a fraction such as 0.02."
        )
    return share


def parse_kinds(words: Sequence[str]) -> tuple[str, ...]:
    """Parse the roles of sites from words, each one role or several separated by commas.

    Raises:
        ConfigError: no such role.
    """
    known = [role.value for role in Role]
    kinds = tuple(kind.strip() for word in words for kind in word.split(",") if kind.strip())
    for kind in kinds:
        if kind not in known:
            raise ConfigError(
                f"there is no kind {kind!r}; the kinds are {', '.join(known)}."
                f"{suggestion(kind, known)}"
            )
    return kinds


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error


def _parse(path: Path, content: bytes) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.") from error


def _config(source: Path, section: Mapping[str, Any]) -> Config:
    values: dict[str, Any] = {}
    for key, value in section.items():
        if key not in _KEYS:
            raise ConfigError(
                f"{source}: unknown key {key!r}; the keys are {', '.join(_KEYS)}."
                f"{suggestion(key, tuple(_KEYS))}"
            )
        try:
            values[key] = _KEYS[key](value)
        except ConfigError as error:
            raise ConfigError(f"{source}: {error}") from error
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{source}: {key!r} must be {error}, not {value!r}.") from error
    if "runs_folder" in values:
        values["runs_folder"] = source.parent / values["runs_folder"]
    of_sampling = {option.name for option in fields(Sampling)} & values.keys()
    sampling = Sampling(**{key: values.pop(key) for key in of_sampling})
    return Config(source=source, sampling=sampling, **values)


def _folder(value: Any) -> Path:
    if not isinstance(value, str) or not value.strip():
        raise TypeError("a folder")
    return Path(value).expanduser()


def _budget(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError('a percentage such as "2%" or a fraction such as 0.02')
    return parse_budget(str(value))


def _every(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise TypeError("a whole number of steps from 1 up")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("true or false")
    return value


def _patterns(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(pattern, str) for pattern in value):
        raise TypeError('a list of patterns of module paths such as ["encoder.*"]')
    return tuple(value)


def _kinds(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(kind, str) for kind in value):
        raise TypeError('a list of kinds such as ["activation", "update"]')
    return parse_kinds(value)


def _codes(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(code, str) for code in value):
        raise TypeError('a list of rule codes such as ["ACT", "DAT04"]')
    return tuple(value)


def _fail_on(value: Any) -> str:
    if value not in FAIL_ON:
        raise ValueError(f"one of {', '.join(FAIL_ON)}")
    return str(value)


def _rules(value: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(value, dict) or not all(isinstance(v, dict) for v in value.values()):
        raise TypeError("a table of thresholds for each rule, such as [rules.ACT04]")
    return value


# The keys, each with the function that checks its value; its TypeError or ValueError says what the
# value must be.
_KEYS: Final = {
    "runs_folder": _folder,
    "budget": _budget,
    "every": _every,
    "exact": _flag,
    "include": _patterns,
    "exclude": _patterns,
    "kinds": _kinds,
    "capsules": _flag,
    "select": _codes,
    "ignore": _codes,
    "fail_on": _fail_on,
    "rules": _rules,
}
