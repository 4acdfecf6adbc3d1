import pytest

from nntrace.text.markdown import code, escaped, prose


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a*b_c", "a\\*b\\_c"),
        ("<script>", "&lt;script&gt;"),
        ("[x](http://y)", "\\[x\\](http://y)"),
        ("a | b", "a \\| b"),
        ("`rm`", "\\`rm\\`"),
        ("two\nlines", "two\\\\nlines"),
        ("@torch", "@<!-- -->torch"),
        ("issue #3", "issue \\#3"),
    ],
)
def test_every_character_stands_for_itself(text: str, shown: str) -> None:
    assert escaped(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a_b", "`a_b`"), ("a`b", "``a`b``"), ("`a``", "``` `a`` ```"), ("", ""), (" ", " ")],
)
def test_a_code_span_holds_any_backticks(text: str, shown: str) -> None:
    assert code(text) == shown


def test_what_stands_between_backticks_is_code_and_the_rest_is_not() -> None:
    assert prose("call `zero_grad` in *order*") == "call `zero_grad` in \\*order\\*"
    assert prose("one ` alone") == "one \\` alone"
