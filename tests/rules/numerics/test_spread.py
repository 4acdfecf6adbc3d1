"""The sites that a NaN reached, in the order in which values flow."""

import json

from nntrace.rules.numerics.spread import Reached, reached
from nntrace.trace import Trace

SITES = [
    {"id": 0, "path": "a.weight", "role": "param"},
    {"id": 1, "path": "a.weight", "role": "param_grad"},
    {"id": 2, "path": "a", "role": "activation"},
    {"id": 3, "path": "a", "role": "activation_grad"},
    {"id": 4, "path": "b", "role": "activation"},
    {"id": 5, "path": "b", "role": "activation_grad"},
]


def seen(*events: tuple[int, int]) -> Trace:
    rows = [
        {"step": step, "kind": "nonfinite", "site": site, "payload": "{}"} for step, site in events
    ]
    return Trace.from_rows(sites=SITES, events=rows)


def test_a_nan_of_the_loss_goes_back_to_the_parameters_and_forward_in_the_next_step() -> None:
    trace = seen((8, 2), (8, 4), (8, 0), (7, 1), (7, 3), (7, 5))
    assert reached(trace) == (
        Reached(7, "activation_grad", ("b", "a")),
        Reached(7, "param_grad", ("a.weight",)),
        Reached(8, "param", ("a.weight",)),
        Reached(8, "activation", ("a", "b")),
    )


def test_outputs_are_in_the_order_of_execution_whatever_the_order_of_the_rows() -> None:
    assert reached(seen((3, 4), (3, 2))) == (Reached(3, "activation", ("a", "b")),)


def test_a_site_that_was_not_recorded_is_known_from_the_event() -> None:
    payload = json.dumps({"role": "activation", "site": "late"})
    events = [{"step": 3, "kind": "nonfinite", "site": 99, "payload": payload}]
    trace = Trace.from_rows(sites=SITES, events=events)
    assert reached(trace) == (Reached(3, "activation", ("late",)),)


def test_the_model_itself_has_a_name() -> None:
    events = [{"step": 3, "kind": "nonfinite", "payload": "{}"}]
    assert reached(Trace.from_rows(sites=SITES, events=events)) == (Reached(3, "", ("(root)",)),)
