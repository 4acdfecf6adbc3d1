"""Text for encodings that lack some of its characters."""

import pytest

from nntrace.text.narrow import narrow_errors


@pytest.mark.parametrize(
    ("text", "encoding", "written"),
    [
        ("steps 0–9 · → ok", "ascii", "steps 0-9 - -> ok"),
        ("├ ✓ naïve · → Δ", "cp1252", "| + naïve · -> d"),
        ("層 \udc80", "ascii", "\\u5c64 \\udc80"),
        ("層 \udc80 →", "utf-8", "層 \\udc80 →"),
    ],
)
def test_only_what_an_encoding_lacks_is_written_in_plain_letters(
    text: str, encoding: str, written: str
) -> None:
    assert text.encode(encoding, narrow_errors()).decode(encoding) == written


def test_reading_is_not_its_concern() -> None:
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("ascii", narrow_errors())
