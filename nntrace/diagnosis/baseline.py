"""A baseline: the findings a project already knows, so that only new ones are reported.

A finding is recognised by its code and site, whatever its numbers. The file is sorted, so that the
same findings always give the same text. What is read from it is checked, never trusted.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from nntrace.errors import NntraceError
from nntrace.files import replacing
from nntrace.rules import Finding

BASELINE_VERSION: Final = 1
_KEY: Final = "nntrace_baseline"
_FIELDS: Final = ("code", "site", "role")


@dataclass(frozen=True, slots=True)
class Baseline:
    """The identities (code, site's path, role) of known findings, and the file that lists them."""

    source: Path
    identities: frozenset[tuple[str, str, str]]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the baseline in a file.

        Raises:
            NntraceError: there is no such file, or it is not a baseline or a newer nntrace's.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise NntraceError(
                f"there is no baseline {path}. `nntrace diagnose RUN --write-baseline {path}` "
                "writes one."
            ) from error
        except (ValueError, RecursionError) as error:
            raise _not_a_baseline(path) from error
        version = content.get(_KEY) if isinstance(content, dict) else None
        if isinstance(version, int) and version > BASELINE_VERSION:
            raise NntraceError(f"{path} was written by a newer nntrace. Update nntrace to use it.")
        if version != BASELINE_VERSION or not isinstance(content.get("findings"), list):
            raise _not_a_baseline(path)
        return cls(path, frozenset(_identity(path, entry) for entry in content["findings"]))

    @classmethod
    def of(cls, path: Path, findings: Iterable[Finding]) -> Self:
        """The baseline that lists these findings."""
        return cls(path, frozenset(finding.identity for finding in findings))

    def write(self) -> None:
        """Write the file, one finding per line."""
        rows = [json.dumps(dict(zip(_FIELDS, one, strict=True))) for one in sorted(self.identities)]
        listed = "\n" + ",\n".join(f"  {row}" for row in rows) + "\n" if rows else ""
        text = f'{{"{_KEY}": {BASELINE_VERSION}, "findings": [{listed}]}}\n'
        with replacing(self.source) as new:
            new.write_text(text, encoding="utf-8")

    def knows(self, finding: Finding) -> bool:
        """Whether the finding is listed."""
        return finding.identity in self.identities


def _identity(path: Path, entry: Any) -> tuple[str, str, str]:
    values = [entry.get(name) for name in _FIELDS] if isinstance(entry, dict) else []
    match values:
        case [str(code), str(site), str(role)]:
            return (code, site, role)
    raise _not_a_baseline(path)


def _not_a_baseline(path: Path) -> NntraceError:
    return NntraceError(
        f"{path} is not a baseline. `nntrace diagnose RUN --write-baseline FILE` writes one."
    )
