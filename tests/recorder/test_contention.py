from nntrace.recorder.contention import starved_ns


def test_waiting_for_a_processor_only_ever_grows():
    before = starved_ns()
    after = starved_ns()
    assert before is None or 0 <= before <= after
