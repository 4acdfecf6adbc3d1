from nntrace.recorder.memory import resident_bytes


def test_resident_memory_grows_with_what_the_process_holds():
    before = resident_bytes()
    held = bytearray(64 << 20)
    held[::4096] = b"x" * len(held[::4096])
    assert before is None or resident_bytes() > before + (32 << 20)
