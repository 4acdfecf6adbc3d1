"""`nntrace rules`: shows the catalogue of rules, derived from their own declarations."""

import click

from nntrace.cli.options import format_option
from nntrace.cli.output import console, write_text


@click.command(name="rules")
@click.argument("code", required=False)
@format_option("text", "json", "markdown")
def command(code: str | None, form: str) -> None:
    """List the rules, or describe one in full.

    CODE is a rule's code or name (ACT04, dead-units), or a prefix of codes (ACT). Each threshold,
    `severity` and `ignore_sites` can be set in pyproject.toml, under [tool.nntrace.rules.CODE].

    \b
    Examples:
      nntrace rules
      nntrace rules ACT04
      nntrace rules --format markdown
    """
    from nntrace.cli import catalogue
    from nntrace.rules import all_rules, get_rule, select_rules

    known = all_rules()
    if code is None:
        chosen = tuple(known.values())
    elif any(known_code.startswith(code.strip().upper()) for known_code in known):
        chosen = select_rules([code])
    else:
        chosen = (get_rule(code),)
    if form == "json":
        write_text(catalogue.as_json(chosen))
    elif form == "markdown":
        write_text(catalogue.markdown(chosen))
    else:
        is_one = code is not None and len(chosen) == 1
        with console() as screen:
            screen.print(catalogue.full_text(chosen[0]) if is_one else catalogue.list_text(chosen))
