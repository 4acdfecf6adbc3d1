"""`make demo`: trace the digits CNN twice, healthy and with a planted fault, and diagnose both."""

import os
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).with_name("digits_cnn.py")
RUNS = Path("nntrace-runs")


def nntrace(*words: str) -> int:
    """Print an nntrace command as a user would type it, and run it."""
    print(f"\n$ nntrace {' '.join(words)}", flush=True)
    return subprocess.run([sys.executable, "-m", "nntrace", *words], check=False).returncode


def main() -> int:
    """Return 0 if the healthy run is found healthy and the faulty one faulty, else 1."""
    expected = {"healthy": 0, "faulty": 1}
    codes = {}
    for name, arguments in (("healthy", []), ("faulty", ["--fault", "softmax"])):
        if nntrace("run", "--name", name, str(EXAMPLE), *arguments):
            return 1
        newest = max(RUNS.glob(f"{name}-*"), key=lambda run: run.stat().st_mtime)
        codes[name] = nntrace("diagnose", str(newest))
    command = os.path.relpath(Path(sys.executable).with_name("nntrace"))
    print(f"\nThe run folders are in {RUNS}/. Next: {command} monitor, {command} show latest.")
    return 0 if codes == expected else 1


if __name__ == "__main__":
    sys.exit(main())
