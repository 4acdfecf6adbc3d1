"""A framework that an adapter cannot hook into runs as without nntrace, and one line says so."""

import pytest
from processes import runs, traced, write

PROGRAM = "import oldframe\nprint(oldframe.fit())\n"


@pytest.fixture
def with_adapter(folder):
    """Beside a program: a framework, and an adapter that was built for versions from 2.0 on."""

    def make(version):
        write(
            folder,
            "oldframe.py",
            f'__version__ = "{version}"\ndef step(): return 1\ndef fit(): return step()\n',
        )
        write(
            folder,
            "tracer.py",
            """
            import oldframe
            from nntrace.adapter.patching import replace

            class Adapter:
                def install(self, recorder):
                    replace(oldframe, "step", lambda: 2)
                    return replace(oldframe, "steps_of_version_3", None)

                def nothing_recorded(self):
                    return "no step"
            """,
        )
        write(
            folder,
            "tracer-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: tracer\nVersion: 1.0\nRequires-Dist: oldframe>=2.0\n",
        )
        write(
            folder,
            "tracer-1.0.dist-info/entry_points.txt",
            "[nntrace.adapters]\noldframe = tracer:Adapter\n",
        )
        write(folder, "program.py", PROGRAM)
        return folder

    return make


def test_a_framework_that_is_too_old_runs_untraced_and_is_told_what_is_needed(with_adapter):
    found = traced(with_adapter("1.9"), "program.py")
    assert (found.returncode, found.stdout) == (0, "1\n")
    assert found.stderr.splitlines() == [
        "nntrace: oldframe 1.9 is too old for nntrace, which can trace oldframe from 2.0 on. "
        "The program runs as without nntrace."
    ]


def test_an_adapter_that_fails_while_it_is_installed_leaves_nothing_of_itself(with_adapter):
    folder = with_adapter("2.0")
    found = traced(folder, "program.py")
    assert (found.returncode, found.stdout) == (0, "1\n")
    (line,) = found.stderr.splitlines()
    assert line.startswith("nntrace: could not trace oldframe: AttributeError: ")
    assert not runs(folder)
