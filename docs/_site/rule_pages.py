"""A hook of mkdocs: one page per rule, made from the rule's declaration while the site is built."""

import re
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from nntrace.cli.catalogue import rule_page
from nntrace.rules import all_rules

_ENTRY = re.compile(r"^\| \[([A-Z]{3}[0-9]{2})\]\(#[^)]*\)", re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages; none of them is kept in the repository."""
    rules = tuple(all_rules().values())
    for rule in rules:
        name = f"rules/{rule.code}.md"
        files.append(File.generated(config, name, content=rule_page(rule, rules)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Let the table of all rules lead to their pages."""
    if page.file.src_uri != "rules.md":
        return markdown
    return _ENTRY.sub(r"| [\1](rules/\1.md)", markdown)
