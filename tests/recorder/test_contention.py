from nntrace.recorder.contention import Contention, starved_ns


def test_waiting_for_a_processor_only_ever_grows():
    before = starved_ns()
    after = starved_ns()
    assert before is None or 0 <= before <= after


def test_the_share_is_of_the_time_since_it_was_asked_for():
    clock, waited = iter([5_000, 7_000]), iter([4_000, 4_500])
    contention = Contention(lambda: next(clock), lambda: next(waited))
    assert contention.share() == 0.25


def test_a_system_that_does_not_say_it_has_no_share():
    assert Contention(lambda: 0, lambda: None).share() is None
