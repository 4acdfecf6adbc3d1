from nntrace.recorder import Cadence
from nntrace.recorder.account import Account
from nntrace.recorder.pace import Pace, is_recorded
from nntrace.recorder.writer import Writer

MS = 1_000_000


def test_samples_that_wait_do_not_owe_what_the_first_one_had_to_set_up():
    account, cadence = Account(), Cadence()
    writer = Writer(lambda: None, print)
    pace = Pace(cadence, account, writer)
    for _ in range(11):
        pace.sampled(1 * MS)
    account.charge_writer(100 * MS, True)  # imports, and new files
    writer.samples_written = writer.first_samples = 1
    assert pace.owed_ns == 10 * MS
    assert account.recurring_ns == 0
    assert account.spent_ns == 100 * MS
    account.charge_writer(4 * MS)
    writer.samples_written = 3
    assert pace.owed_ns == 8 * 2 * MS


def test_of_things_made_without_end_the_first_64_are_recorded_and_ever_fewer_after_them():
    recorded = [number for number in range(1000) if is_recorded(number)]
    assert recorded[:66] == [*range(65), 72]
    assert recorded[-3:] == [832, 896, 960]
