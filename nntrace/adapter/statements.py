"""Finds the statement that sets an attribute by reading the program's text.

For what is only seen afterwards: nothing is called when a plain attribute is set.
"""

import linecache
import re
from collections.abc import Iterable, Iterator

from nntrace.adapter.sources import Source


def assignments(target: str, near: Iterable[Source]) -> Iterator[dict[Source, str]]:
    """Yield, for each file that has any, the lines that set `….target`.

    Args:
        target: an attribute, or an item of one (`defaults['lr']`), in either kind of quotes.
        near: lines of the files that may have such lines, the likeliest file first.

    Returns:
        The name before the target's dot, by the line.
    """
    text = re.escape(target).replace("'", "[\"']")
    # No `#` before it, and no quote: a string or a comment may speak of it.
    pattern = re.compile(rf"^[^\"'#]*?(\w+)\.{text}\s*=(?!=)")
    for file in dict.fromkeys(source.file for source in near if source.file):
        found = {
            Source(file, number): match[1]
            for number, line in enumerate(linecache.getlines(file), 1)
            if (match := pattern.search(line))
        }
        if found:
            yield found
