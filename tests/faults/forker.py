"""Runs jobs in processes of their own, one at a time, each forked from this one, which has torch loaded.

Reads orders on stdin, one JSON object a line; answers each with the child's id and then its exit status.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import accelerate  # noqa: F401
import jobs
import points
import sklearn.model_selection  # noqa: F401
import torch
import torch._dynamo  # by torch's optimisers, at their first use
from PIL import Image

import goingdeeper.api
import goingdeeper.training.train  # noqa: F401
from goingdeeper import catalogue

HERE = Path(__file__).parent


def child(order: dict[str, Any]) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    os.chdir(order["cwd"])
    for number, file in enumerate(("/dev/null", order["out"], order["err"])):
        handle = os.open(file, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, number)
        os.close(handle)
    if "cpus" in order:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: order["cpus"]])
    if "more_memory" in order:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * os.sysconf("SC_PAGE_SIZE") + order["more_memory"]
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    torch.seed()  # nothing may depend on the state that the process began with
    points.watch(order)
    getattr(jobs, order["job"])(*order["words"])
    points.end()


def main() -> None:
    torch.set_num_threads(1)  # a pool of threads would not survive the fork
    catalogue.__path__.append(str(HERE / "networks"))
    catalogue.names()
    Image.init()
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                child(order)
                status = 0
            except SystemExit as leaving:
                status = leaving.code if isinstance(leaving.code, int) else 1
            except BaseException:
                traceback.print_exc()
            finally:
                points.note_counts(order)
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


main()
