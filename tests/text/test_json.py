import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nntrace.rules import Severity
from nntrace.text.json import json_text, plain


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), np.float32("nan")])
def test_a_number_that_is_not_finite_is_null(value: float) -> None:
    assert json.loads(json_text({"loss": value, "losses": [1.5, value]})) == {
        "loss": None,
        "losses": [1.5, None],
    }


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(st.characters())
        | st.floats(width=32).map(np.float32)
        | st.lists(st.floats()).map(np.array)
        | st.sampled_from([Severity.ERROR, np.bool_(True), np.int64(3), {1, 2}, object]),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
        max_leaves=8,
    )
)
def test_any_value_becomes_strict_json(value: Any) -> None:
    json.dumps(plain(value), allow_nan=False, ensure_ascii=False).encode()
