"""The end of a program and the threads that are still at work then, in real interpreters."""

import subprocess
import sys
import textwrap

import pytest


@pytest.mark.parametrize(
    ("patience", "said"), [("patience_seconds=60", "read\n"), ("patience_seconds=0.01", "")]
)
def test_the_end_of_the_program_waits_for_a_thread_but_not_for_ever(patience, said) -> None:
    program = f"""
        import threading, time
        from nntrace_tui.background import in_background
        began = threading.Event()
        def read():
            began.set()
            time.sleep(1)
            print("read", flush=True)
        in_background(read, name="reader", {patience}).start()
        began.wait()
    """
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (found.returncode, found.stdout, found.stderr) == (0, said, "")


def test_a_thread_that_has_ended_is_not_kept() -> None:
    program = """
        import atexit, gc, weakref
        from nntrace_tui.background import in_background
        thread = in_background(print, "done", name="short")
        thread.start()
        thread.join()
        gone = weakref.ref(thread)
        del thread
        gc.collect()
        print(gone() is None)
    """
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert found.stdout == "done\nTrue\n", found.stderr
