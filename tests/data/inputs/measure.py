"""How long files take, and how much memory, beyond what the process has from its start.

measure.py FILE ...: each is decoded three times, and its size asked for by its header, each time in a process
that was forked from this one. Prints a line of JSON a file: name, seconds (of the processor, the least of
three), bytes (the most), outcome.
"""

from __future__ import annotations

import io
import json
import os
import resource
import sys
import time
from pathlib import Path

from PIL import Image

from goingdeeper.data.decode import decode, header_size
from goingdeeper.errors import DataError


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def trial(file: Path) -> tuple[float, int, str]:
    before, began = resident(), time.process_time()
    try:
        outcome = f"{decode(file).shape}"
    except DataError as problem:
        outcome = str(problem)
    seconds = time.process_time() - began
    began = time.process_time()
    header_size(file)
    seconds = max(seconds, time.process_time() - began)
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before, outcome


def forked(file: Path) -> tuple[float, int, str]:
    end, start = os.pipe()
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
        os.write(start, json.dumps(trial(file)).encode())
        os._exit(0)
    os.close(start)
    with os.fdopen(end) as stream:
        said = stream.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        return 30.0, 0, f"the process ended with {status}"
    seconds, most, outcome = json.loads(said)
    return seconds, most, outcome


def main() -> None:
    Image.init()
    for kind in ("PNG", "JPEG", "MPO", "GIF", "WEBP", "BMP", "TIFF", "PPM"):
        stream = io.BytesIO()
        Image.new("RGB", (8, 8)).save(stream, kind)
        decode(stream.getvalue())
    for name in sys.argv[1:]:
        found = [forked(Path(name)) for _ in range(3)]
        seconds, most, outcomes = zip(*found, strict=True)
        print(json.dumps({"name": name, "seconds": min(seconds), "bytes": max(most), "outcome": outcomes[0]}))


main()
