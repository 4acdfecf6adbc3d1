"""What lasts is looked for rarely while there is nothing, and yet in time."""

import pytest
from nntrace_torch.optimizer.lasting import Lasting


@pytest.mark.parametrize(("begins", "told_at"), [(1, 6), (40, 57), (50, 81)])
def test_what_begins_when_many_steps_were_sampled_is_told_soon(begins, told_at):
    lasting = Lasting()
    found = [
        number
        for number in range(1, 121)
        if lasting.look(lambda number=number: {"layer": "mark"} if number >= begins else {})
    ]
    assert found == [told_at]


def test_what_changes_does_not_last():
    lasting = Lasting()
    assert not any(lasting.look(lambda number=number: {"layer": number}) for number in range(99))
