"""How long the command and the package take to start: `python benchmarks/startup.py`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from side_by_side import compare, show


def run(*words: str) -> object:
    return subprocess.run([sys.executable, *words], check=True, capture_output=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        picture = str(Path(folder) / "picture.svg")
        candidates = {
            "python -c pass": lambda: run("-c", "pass"),
            "import goingdeeper": lambda: run("-c", "import goingdeeper"),
            "deeper --help": lambda: run("-m", "goingdeeper", "--help"),
            "deeper list": lambda: run("-m", "goingdeeper", "list"),
            "deeper show googlenet": lambda: run("-m", "goingdeeper", "show", "googlenet"),
            "deeper draw resnet-152": lambda: run("-m", "goingdeeper", "draw", "resnet-152", "-o", picture),
        }
        rows = compare(candidates, "python -c pass", rounds=11, block_seconds=0.3, warm_up=1)
        show("start-up, whole processes", rows, 1, "processes")
        for row in rows:
            print(f"  {row.name:<28} {1000 * row.seconds:7.0f} ms")


if __name__ == "__main__":
    main()
