import pytest
from hypothesis import given
from hypothesis import strategies as st

from nntrace.text import gist, in_short, printable


@pytest.mark.parametrize(
    "text", ["", "conv1.weight", "a b", "größe", "层.权重", "[bold]x[/]", "a\\b"]
)
def test_ordinary_names_are_left_alone(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\nb", "a\\nb"),
        ("a\rb\tc", "a\\rb\\tc"),
        ("\x00", "\\x00"),
        ("\x9b31m", "\\x9b31m"),
        ("a\u202eb", "a\\u202eb"),
        ("a\u2066b\u2069", "a\\u2066b\\u2069"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("\u2028", "\\u2028"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_what_would_disturb_a_terminal_becomes_visible(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(st.characters()))
def test_any_text_becomes_one_printable_encodable_line(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    shown.encode("utf-8")


@given(st.text(st.characters()))
def test_printing_twice_changes_nothing(text: str) -> None:
    assert printable(printable(text)) == printable(text)


@given(st.text(st.characters()), st.integers(min_value=1, max_value=50))
def test_a_limit_is_kept(text: str, limit: int) -> None:
    assert len(printable(text, limit)) <= limit


def test_a_cut_text_ends_in_an_ellipsis() -> None:
    assert printable("layer" * 10, limit=6) == "layer…"


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (ValueError("no such axis"), "ValueError: no such axis"),
        (ValueError("\x1b[1mno call()\x1b[0m\n\nArguments received: …"), "ValueError: no call()"),
        (ValueError("\n  late \n"), "ValueError: late"),
        (KeyError(), "KeyError"),
        (ValueError("a\x1b]0;title\x07b"), "ValueError: a\\x1b]0;title\\x07b"),
    ],
)
def test_of_an_error_its_type_and_its_first_line_are_said(error: Exception, shown: str) -> None:
    assert in_short(error) == shown


def test_the_gist_of_an_error_that_only_announces_itself_is_what_it_says_last():
    said = (
        "InvalidArgumentError: Graph execution error:\n\nDetected at node loss/Sparse defined at "
        '(most recent call last):\n  File "train.py", line 8, in <module>\n\n'
        "Received a label value of 5 which is outside the valid range of [0, 5).\n"
        "\t [[{{node loss/Sparse}}]] [Op:__inference_7]"
    )
    assert gist(said) == (
        "InvalidArgumentError: Graph execution error: "
        "Received a label value of 5 which is outside the valid range of [0, 5)."
    )
    assert gist("ValueError: too few:") == "ValueError: too few:"
    assert gist("") == ""
