from nntrace.recorder import Cadence
from nntrace.recorder.account import Account
from nntrace.recorder.pace import Pace
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
