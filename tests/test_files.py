"""Files written whole or not at all, and kept from a second process."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from goingdeeper.errors import ResourceError
from goingdeeper.files import lock, whole_file, write_whole


@pytest.mark.parametrize("content", ["new ☃\n", b"\x00\xff new"])
def test_a_file_is_written_and_replaced(tmp_path, content):
    file = tmp_path / "a.txt"
    for old in (None, b"old and longer than what comes"):
        if old:
            file.write_bytes(old)
        write_whole(file, content)
        assert file.read_bytes() == (content if isinstance(content, bytes) else content.encode())
        assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("function", ["fsync", "replace", "open"])
@pytest.mark.parametrize(
    ("problem", "kind"),
    [
        (OSError(28, "No space left on device"), ResourceError),
        (OSError(5, "I/O"), OSError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, function, problem, kind):
    file = tmp_path / "a.txt"
    file.write_text("old")

    def fail(*_: object, **__: object) -> None:
        raise problem

    with monkeypatch.context() as patched:
        if function == "open":
            patched.setattr("pathlib.Path.open", fail)
        else:
            patched.setattr(os, function, fail)
        with pytest.raises(kind):
            write_whole(file, "new")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_is_written_in_pieces_is_there_when_it_is_whole(tmp_path):
    file = tmp_path / "a.bin"
    with whole_file(file, 6) as stream:
        stream.write(b"new")
        assert not file.exists()
        stream.write(b"er")
    assert file.read_bytes() == b"newer"
    with pytest.raises(KeyError), whole_file(file, 6) as stream:
        stream.write(b"newest")
        raise KeyError
    assert file.read_bytes() == b"newer"
    assert list(tmp_path.iterdir()) == [file]


def test_a_full_disk_leaves_the_old_file(tmp_path):
    """A limit on file sizes stands for the disk: the write itself comes up short."""
    file = tmp_path / "a.bin"
    file.write_bytes(b"old")
    code = (
        "import resource, signal, sys\nfrom pathlib import Path\n"
        "from goingdeeper.files import write_whole\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, {resource.RLIM_INFINITY}))\n"
        "try: write_whole(Path(sys.argv[1]), b'x' * 100_000)\n"
        "except Exception as problem: print(type(problem).__name__, problem)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"ResourceError the disk is full at {file}, where 0.1 MB are needed; free")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_lock_keeps_others_out_until_its_file_is_closed(tmp_path):
    with (tmp_path / "lock").open("wb") as first:
        assert lock(first)
        with (tmp_path / "lock").open("wb") as second:
            assert not lock(second)
    with (tmp_path / "lock").open("wb") as third:
        assert lock(third)


def test_a_place_that_takes_no_files_is_said_in_one_line():
    """/proc gives "no such file" where others give "not permitted"."""
    with pytest.raises(ResourceError, match=r"cannot write at /proc/a\.txt: .*; choose another place"):
        write_whole(Path("/proc/a.txt"), b"x")
