"""Free memory stays with the process from step to step, and goes back afterwards."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

STEPS = """
import resource, torch
from goingdeeper.nn.heap import kept_heap
torch.set_num_threads(1)

def faults(times):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        held = [torch.ones(2**24) for _ in range(3)]  # 64 MB each
        del held
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

faults(1)
start = resident()
print(faults(3))
with kept_heap("cpu"):
    faults(5)
    with kept_heap("cpu"), kept_heap("cuda"):
        pass
    print(faults(3))
print(resident() - start)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives back at once")
def test_pages_are_kept_then_given_back():
    done = subprocess.run([sys.executable, "-c", STEPS], capture_output=True, text=True, check=True)
    plain, kept, left = map(int, done.stdout.split())
    assert kept < plain / 20
    assert left < 64 * 2**20
