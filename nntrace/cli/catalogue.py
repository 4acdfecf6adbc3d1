"""The rule catalogue as text, JSON and Markdown, all derived from the rules' declarations."""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nntrace.diagnosis.text import SEVERITY_STYLES
from nntrace.rules import Rule, Threshold
from nntrace.text import plural
from nntrace.text.json import json_text

_INTRODUCTION = """\
# The rules

<!-- Made by `python -m nntrace rules --format markdown > docs/rules.md`. Do not edit. -->

What `nntrace diagnose` looks for. `nntrace rules CODE` shows one of these entries. `--select` and
`--ignore` take codes and their beginnings: `ACT` stands for all rules on activations. With `-v` a
diagnosis also lists the rules that could not judge the run, with the reasons. Every threshold can
be set in `pyproject.toml`:

```toml
[tool.nntrace.rules.ACT04]
error_fraction = 0.6
```
"""
_SOURCE = re.compile(r"\n+Source: ")


def list_text(rules: Sequence[Rule]) -> RenderableType:
    """A table with one line per rule."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("code", "severity", "name", "finds"):
        table.add_column(heading, no_wrap=heading != "finds")
    for rule in rules:
        severity = Text(rule.severity.value, SEVERITY_STYLES[rule.severity])
        table.add_row(Text(rule.code, "bold"), severity, Text(rule.name), Text(rule.summary))
    return table


def full_text(rule: Rule) -> RenderableType:
    """The whole declaration of one rule."""
    parts: list[RenderableType] = [
        Text.assemble(
            (f"{rule.code} {rule.name}  ", "bold"),
            (rule.severity.value, SEVERITY_STYLES[rule.severity]),
        ),
        Text(f"\n{rule.doc}"),
    ]
    if rule.advice:
        parts.append(Text.assemble(("\n→ ", "green"), rule.advice))
    if rule.in_keras:
        parts.append(Text.assemble(("→ ", "green"), f"In Keras: {rule.in_keras}"))
    if rule.explains:
        parts.append(Text(f"\nLikely symptoms of it: {', '.join(rule.explains)}"))
    parts.append(Text(f"\nNeeds: {_needs(rule)}"))
    if rule.thresholds:
        parts.append(Text(f"\nThresholds, in [tool.nntrace.rules.{rule.code}]:"))
        table = Table(box=None, pad_edge=False, show_header=False)
        for threshold in rule.thresholds:
            table.add_row(Text(f"{threshold.name} = {_literal(threshold)}"), Text(threshold.doc))
        parts.append(Padding(table, (0, 0, 0, 2), expand=False))
    parts.append(Text(f"\nDeclared in {rule.module}", "dim"))
    return Group(*parts)


def as_json(rules: Sequence[Rule]) -> str:
    """The rules' declarations as a JSON list."""
    return json_text([_declaration(rule) for rule in rules])


def markdown(rules: Sequence[Rule]) -> str:
    """The catalogue page: a table of all rules, then an entry for each."""
    return "\n".join(_page(rules)) + "\n"


def rule_page(rule: Rule, rules: Sequence[Rule]) -> str:
    """A page for one of the rules, with links to the pages of its symptoms and causes."""
    symptoms = [_link(other) for other in rules if other.code in rule.explains]
    causes = [_link(other) for other in rules if rule.code in other.explains]
    lines = [f"# {rule.code} {rule.name}\n", *_entry(rule, symptoms)]
    if causes:
        lines.append(f"\n**May itself be a symptom of.** {', '.join(causes)}")
    if rule.thresholds:
        first = rule.thresholds[0]
        lines.append("\nTo judge by another threshold, or not at all, in `pyproject.toml`:\n")
        lines.append(f"```toml\n[tool.nntrace.rules.{rule.code}]")
        lines.append(f"{first.name} = {_literal(first)}\n```\n")
        lines.append(f'```toml\n[tool.nntrace]\nignore = ["{rule.code}"]\n```')
    lines.append("\n[All rules](../rules.md)")
    return "\n".join(lines) + "\n"


def _declaration(rule: Rule) -> dict[str, Any]:
    return {
        "code": rule.code,
        "name": rule.name,
        "severity": rule.severity.value,
        "module": rule.module,
        "doc": rule.doc,
        "advice": rule.advice,
        "advice_in_keras": rule.in_keras or rule.advice,
        "explains": rule.explains,
        "needs": [role.value for role in rule.needs],
        "min_steps": rule.min_steps,
        "thresholds": [
            {"name": t.name, "type": t.type.__name__, "default": t.default, "doc": t.doc}
            for t in rule.thresholds
        ],
    }


def _page(rules: Sequence[Rule]) -> Iterator[str]:
    codes = [rule.code for rule in rules]
    yield _INTRODUCTION
    yield "| codes | what the rules are about |"
    yield "|---|---|"
    yield from sorted(_families(rules))
    yield "\n| code | name | severity | finds |"
    yield "|---|---|---|---|"
    for rule in rules:
        summary = rule.summary.replace("|", "\\|")
        yield f"| [{rule.code}](#{_anchor(rule)}) | {rule.name} | {rule.severity} | {summary} |"
    for rule in rules:
        yield f"\n## {rule.code} {rule.name}\n"
        yield from _entry(rule, [code for code in rule.explains if code in codes])


def _families(rules: Sequence[Rule]) -> Iterator[str]:
    """A line for each family, from the docstring of its package: `ACT: the signal …`."""
    for package in dict.fromkeys(rule.module.rpartition(".")[0] for rule in rules):
        doc = getattr(sys.modules.get(package), "__doc__", None) or ""
        family, _, subject = doc.partition("\n")[0].partition(": ")
        if subject:  # else a rule of another package's
            yield f"| {family} | {subject.rstrip('.')} |"


def _entry(rule: Rule, symptoms: Sequence[str]) -> Iterator[str]:
    """The lines below a rule's heading."""
    doc = _SOURCE.sub("\n\n**Source.** ", rule.doc)
    yield f"*{rule.severity.value}.* {doc}\n"
    if rule.advice:
        yield f"**What to try.** {rule.advice}\n"
    if rule.in_keras:
        yield f"**In Keras.** {rule.in_keras}\n"
    if symptoms:
        yield f"**Likely symptoms of it.** {', '.join(symptoms)}\n"
    yield f"**Needs.** {_needs(rule)}"
    if rule.thresholds:
        yield "\n| threshold | default | |\n|---|---|---|"
    for threshold in rule.thresholds:
        doc = threshold.doc.replace("|", "\\|")
        yield f"| `{threshold.name}` | {_literal(threshold)} | {doc} |"


def _link(rule: Rule) -> str:
    """A link from one page of `rule_page` to another."""
    return f"[{rule.code} {rule.name}]({rule.code}.md)"


def _anchor(rule: Rule) -> str:
    return f"{rule.code}-{rule.name}".lower()


def _needs(rule: Rule) -> str:
    steps = plural(rule.min_steps, "optimizer step")
    return ", ".join([steps, *(f"`{role.value}` sites" for role in rule.needs)])


def _literal(threshold: Threshold) -> str:
    """The default as a TOML value."""
    return json.dumps(threshold.default)
