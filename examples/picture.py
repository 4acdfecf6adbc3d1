"""Makes docs/monitor.svg, the picture in the README: the monitor on a real run of digits_cnn.py.

It traces the example with its planted fault in a temporary folder, opens the monitor on the run
without a terminal, and saves the overview page.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from nntrace_tui.app import MonitorApp
from nntrace_tui.export import save_svg

from nntrace.diagnosis import diagnose
from nntrace.watch import Watch

EXAMPLE = Path(__file__).with_name("digits_cnn.py")
PICTURE = Path(__file__).parent.parent / "docs" / "monitor.svg"
SIZE = (132, 36)
PATIENCE_SECONDS = 30


async def take(run: Path) -> Path:
    """Save a picture of the overview once the diagnosis is there; return its path."""
    app = MonitorApp(Watch(run, diagnose))
    async with app.run_test(size=SIZE) as pilot:
        ends = time.monotonic() + PATIENCE_SECONDS
        while "LOS02" not in app.export_screenshot() and time.monotonic() < ends:
            await pilot.pause(0.2)
        saved = save_svg(app, "monitor", run)
    if isinstance(saved, str):
        sys.exit(saved)
    return saved


def main() -> None:
    """Trace the example, open the monitor and save the picture."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "digits-softmax"
        words = ["run", "--out", str(run), str(EXAMPLE), "--fault", "softmax"]
        subprocess.run([sys.executable, "-m", "nntrace", *words], check=True)
        PICTURE.write_bytes(asyncio.run(take(run)).read_bytes())
    print(f"wrote {PICTURE}")


if __name__ == "__main__":
    main()
