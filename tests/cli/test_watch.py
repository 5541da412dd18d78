import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time

import pytest

from goingdeeper.cli.watch import PLAIN_SECONDS, Watch, duration, roughly
from goingdeeper.training.events import EpochEnd, Pace

DEEPER = [sys.executable, "-m", "goingdeeper"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1:00"), (187, "3:07"), (3599.7, "1:00:00"), (3729, "1:02:09")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(4.4, "4 s"), (99, "99 s"), (187, "3 min"), (5000, "83 min"), (9000, "2.5 h")]
)
def test_durations_to_come(seconds, text):
    assert roughly(seconds) == text


def show(stream, columns):
    """The lines that a terminal of so many columns ends up with, and all that ever stood on it."""
    screen, row, column, seen = [""], 0, 0, set()
    for token in re.findall(r"\x1b\[[?0-9;]*[a-zA-Z]|\r|\n|[^\x1b\r\n]", stream):
        if token == "\r":
            column = 0
        elif token == "\n":
            row += 1
        elif token.startswith("\x1b["):
            count = int(re.sub(r"\D", "", token) or 1)
            if token[-1] == "A":
                row = max(0, row - count)
            elif token[-1] == "K":
                assert token == "\x1b[2K", token
                screen[row] = ""
            else:
                assert token[-1] in "mhl", token
        else:
            if column == columns:
                row, column = row + 1, 0
            screen += [""] * (row + 1 - len(screen))
            screen[row] = screen[row].ljust(column)[:column] + token + screen[row][column + 1 :]
            column += 1
            seen.add(screen[row])
        screen += [""] * (row + 1 - len(screen))
    return [line.rstrip() for line in screen], seen


def test_the_terminal_of_these_tests():
    lines, seen = show("ab\r\ncdef\r\x1b[2K\x1b[1A\x1b[2Kx\r\nyz12345", 4)
    assert lines == ["x", "yz12", "345"]
    assert "cdef" in seen


def on_a_terminal(words, columns, environment, here, stdout=None):
    """The status, and everything that was written to a terminal of so many columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    process = subprocess.Popen(
        words, cwd=here, env=environment, stdin=theirs, stdout=stdout or theirs, stderr=theirs, close_fds=True
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux says so when the last writer has gone
            break
        if not part:
            break
        written += part
    os.close(ours)
    return process.wait(timeout=60), written.decode()


@pytest.mark.slow
@pytest.mark.parametrize("columns", [40, 100])
def test_a_live_line_that_fits_and_leaves_nothing_behind(pets, here, environment, columns):
    environment["TERM"] = "xterm-256color"
    words = [*DEEPER, "train", str(pets), "--epochs", "40", "--batch", "8", "--size", "8", "--out", "run"]
    status, written = on_a_terminal(words, columns, environment, here)
    assert status == 0
    lines, seen = show(written, columns)
    live = [line for line in seen if line.startswith("epoch ")]
    assert any("━" in line for line in live)
    assert any("val error" in line for line in live)
    if columns == 100:
        assert any("img/s" in line for line in live)
    # Two columns stay free for what the terminal itself writes at Ctrl-C.
    assert max(len(line.rstrip()) for line in live) <= columns - 2
    assert not [line for line in lines if line.startswith(("epoch ", "reading"))]
    assert written.count("\x1b[?25l") == written.count("\x1b[?25h") > 0
    text = "\n".join(lines)
    assert "next:  deeper predict run IMAGE" in text
    assert "writing run · 40 epochs" in text
    # Notes break between words, so that what is longer than a line stays whole for copying.
    assert "--set flip=false" in text


@pytest.mark.slow
def test_the_answer_stays_apart_from_a_live_line(pets, here, environment):
    environment["TERM"] = "xterm-256color"
    words = [*DEEPER, "train", str(pets), "--epochs", "20", "--batch", "8", "--size", "8", "--json"]
    with (here / "answer.json").open("wb") as answer:
        status, written = on_a_terminal(words, 80, environment, here, answer)
    assert status == 0
    assert json.loads((here / "answer.json").read_text())["epochs"] == 20
    assert any("━" in line for line in show(written, 80)[1])


@pytest.mark.slow
@pytest.mark.parametrize("how", ["NO_COLOR", "TERM=dumb", "pipe"])
def test_plain_where_it_is_wanted(pets, here, environment, how):
    words = [*DEEPER, "train", str(pets), "--epochs", "5", "--batch", "8", "--size", "8", "--out", "run"]
    environment["TERM"] = "dumb" if how == "TERM=dumb" else "xterm-256color"
    if how == "NO_COLOR":
        environment["NO_COLOR"] = "1"
    if how == "pipe":
        done = subprocess.run(words, cwd=here, env=environment, capture_output=True, text=True)
        status, written = done.returncode, done.stderr
        assert done.stdout.startswith("val error ")
    else:
        status, written = on_a_terminal(words, 100, environment, here)
    assert status == 0
    if how == "NO_COLOR":
        colours = re.findall(r"\x1b\[([0-9;]*)m", written)
        assert not [code for code in colours if re.search(r"(^|;)(3[0-8]|4[0-8]|9[0-7])(;|$)", code)]
    else:
        assert "\x1b" not in written
        assert "epoch 5/5  step 3/3  loss " in written


PACE = Pace(3, 15, 2, 40, 0.625, 104.6, 4.2, 107.0)
END = EpochEnd(2, 15, 0.7, 0.6, 18.21, 17.09, 20.0)


def watch(monkeypatch, capsys, **environment):
    for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Watch()


def test_a_plain_line_now_and_then(monkeypatch, capsys):
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    shown = watch(monkeypatch, capsys)
    shown.epoch(END)
    for _ in range(100):
        clock[0] += 1.0
        shown.step(PACE)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "about 2 min for 13 epochs"
    assert len(lines) == 1 + int(100 / PLAIN_SECONDS)
    assert set(lines[1:]) == {
        "epoch 3/15  step 2/40  loss 0.62  val error 18.2 %  best 17.1 %  105 img/s  data wait 4 %  1:47 left"
    }


def test_nothing_of_it_goes_to_stdout(monkeypatch, capsys):
    shown = watch(monkeypatch, capsys)
    shown.note("a note")
    shown.reading(3, 10)
    shown.step(PACE)
    shown.epoch(EpochEnd(15, 15, 0.7, 0.6, 18.21, 17.09, 20.0))
    shown.close()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("a note\n")


def test_a_run_that_goes_on_may_end_without_a_step(monkeypatch, capsys):
    shown = watch(monkeypatch, capsys)
    shown.epoch(EpochEnd(15, 15, 0.7, 0.6, 18.21, 17.09, 20.0))
    shown.close()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("width", [20, 39, 40, 60, 80, 100, 200])
@pytest.mark.parametrize(
    "pace",
    [
        PACE,
        Pace(100, 100, 12345, 12345, 123.456, 123456.7, 99.9, 360000.0),
        Pace(1, 1, 1, 1, 0.1, 1.0, 0.0, None),
    ],
)
def test_the_live_line_fits_any_width(monkeypatch, capsys, width, pace):
    shown = watch(monkeypatch, capsys, FORCE_COLOR="1", TERM="xterm", COLUMNS=str(width))
    shown.epoch(END)
    shown.pace = pace
    with shown.board.console.capture() as kept:
        shown.board.console.print(shown._line(width))
    text = re.sub(r"\x1b\[[0-9;]*m", "", kept.get())
    lines = text.rstrip("\n").split("\n")
    assert len(lines) == 1
    assert len(lines[0].rstrip()) <= width
    assert lines[0].startswith("epoch")
    if width >= 40:
        assert "val error 18.2 %" in lines[0]
