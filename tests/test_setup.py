"""The set-up: tools/setup with programs of our own as Python, pip and df, and once with the real ones."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
SHELL_TOOLS = "sh dirname cat cksum grep df awk mkdir rm tail date cp sleep kill flock".split()

# A stand-in answers as `version`, notes what it is asked, and takes over the part of pip from a file.
PYTHON = """#!/bin/sh
echo "$*" >>{calls}
case "$*" in
-V) echo "Python {version}" ;;
-c*) exec {real} -c '
import sys
sys.version_info = {version_info}
sys._base_executable = sys.argv[2]
sys.modules.update({modules})
exec(sys.argv[1])' "$2" "$0" ;;
"-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
"-m pip install "*) . {pip} ;;
esac
"""


class Machine:
    """A checkout on a machine that has the shell's tools, and only the Pythons it is given."""

    def __init__(self, folder: Path) -> None:
        self.checkout, self.bin, self.calls, self.pip = (
            folder / n for n in ("checkout", "bin", "calls", "pip")
        )
        (self.checkout / "tools").mkdir(parents=True)
        for name in ("tools/setup", "pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, self.checkout / name)
        self.bin.mkdir()
        for name in SHELL_TOOLS:
            if found := shutil.which(name):
                (self.bin / name).symlink_to(found)
        self.calls.touch()
        self.pip.touch()

    def has(self, name: str, text: str) -> None:
        (self.bin / name).unlink(missing_ok=True)
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def has_python(self, name: str, version: str, without_venv: bool = False) -> None:
        text = PYTHON.format(
            calls=self.calls,
            pip=self.pip,
            real=sys.executable,
            version=version,
            version_info=tuple(map(int, version.split("."))),
            modules='{"ensurepip": None}' if without_venv else "{}",
        )
        self.has(name, text)

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["tools/setup", *arguments],
            cwd=self.checkout,
            env={"PATH": str(self.bin), **variables},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def set_up(self, *arguments: str, **variables: str) -> tuple[int, str, list[str]]:
        """The exit status, what it said, and what it asked of Python beside questions (venv, pip)."""
        self.calls.write_text("")
        process = self.start(*arguments, **variables)
        said = process.communicate()[1]
        return process.returncode, said, self.asked()

    def asked(self) -> list[str]:
        return re.findall(r"^-m (venv|pip)", self.calls.read_text(), re.MULTILINE)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def ready(machine: Machine) -> Machine:
    machine.has_python("python3.11", "3.11.7")
    assert machine.set_up()[2] == ["venv", "pip"]
    return machine


def test_no_python(machine: Machine) -> None:
    status, said, _ = machine.set_up()
    assert status == 1
    assert said.startswith(
        "Going Deeper needs Python 3.11 or newer, and none was found; install it, or name another"
    )
    assert said.count("\n") == 1


def test_old_python(machine: Machine) -> None:
    machine.has_python("python3", "3.9.18")
    status, said, asked = machine.set_up()
    assert (status, asked) == (1, [])
    assert "needs Python 3.11 or newer, and python3 is 3.9.18" in said
    assert said.count("\n") == 1


def test_python_without_venv(machine: Machine) -> None:
    machine.has_python("python3.11", "3.11.2", without_venv=True)
    status, said, asked = machine.set_up()
    assert (status, asked) == (1, [])
    assert "venv module, which python3.11 (3.11.2) lacks" in said
    assert "python3.11-venv" in said
    assert said.count("\n") == 1


def test_named_python_that_does_not_run(machine: Machine) -> None:
    machine.has_python("python3.11", "3.11.7")
    status, said, asked = machine.set_up(PYTHON="/nowhere/python3")
    assert (status, asked) == (1, [])
    assert "/nowhere/python3 does not run" in said


def test_passes_over_pythons_that_cannot_serve(machine: Machine) -> None:
    machine.has("python3.11", "#!/bin/sh\necho 'pyenv: python3.11: command not found' >&2\nexit 127\n")
    machine.has_python("python3.12", "3.12.1", without_venv=True)
    machine.has_python("python3", "3.13.0")
    status, said, asked = machine.set_up()
    assert (status, asked) == (0, ["venv", "pip"])
    assert "Python 3.13.0" in said


def test_named_python_replaces_another(ready: Machine) -> None:
    ready.has_python("python3.12", "3.12.1")
    assert ready.set_up(PYTHON="python3.12")[2] == ["venv", "pip"]
    assert ready.set_up(PYTHON="python3.12")[2] == []
    assert ready.set_up()[2] == []


def test_second_time_has_nothing_to_do(ready: Machine) -> None:
    assert ready.set_up() == (0, "", [])


def test_working_on_it_adds_to_using_it(ready: Machine) -> None:
    assert ready.set_up("dev")[2] == ["pip"]
    assert "-e .[dev]" in ready.calls.read_text()
    assert ready.set_up("dev")[2] == []
    assert ready.set_up()[2] == []


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_new_requirements_are_installed(ready: Machine, name: str) -> None:
    with (ready.checkout / name).open("a") as file:
        file.write("# changed\n")
    assert ready.set_up()[2] == ["pip"]
    assert ready.set_up()[2] == []


def test_moved_checkout_starts_afresh(ready: Machine) -> None:
    ready.checkout = ready.checkout.rename(ready.checkout.with_name("moved, with a space"))
    assert ready.set_up()[2] == ["venv", "pip"]
    assert ready.set_up()[2] == []


def test_vanished_python_starts_afresh(ready: Machine) -> None:
    (ready.checkout / ".venv/bin/python").unlink()
    assert ready.set_up()[2] == ["venv", "pip"]


def test_killed_setup_starts_afresh(machine: Machine) -> None:
    machine.has_python("python3.11", "3.11.7")
    machine.pip.write_text("echo half >.venv/half; kill -9 0")
    assert machine.set_up()[0] == -signal.SIGKILL
    assert (machine.checkout / ".venv/half").exists()
    machine.pip.write_text("")
    status, _, asked = machine.set_up()
    assert (status, asked) == (0, ["venv", "pip"])
    assert not (machine.checkout / ".venv/half").exists()


@pytest.mark.parametrize(
    ("pip_says", "sentence"),
    [
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            "disk is full",
        ),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 122] Disk quota exceeded",
            "disk is full",
        ),
        (
            "WARNING: Retrying (Retry(total=0, connect=None, read=None)) after connection broken by"
            " 'NewConnectionError('<HTTPSConnection object at 0x7f5f>: Failed to establish a new connection:"
            " [Errno -3] Temporary failure in name resolution')': /simple/torch/",
            "index cannot be reached",
        ),
    ],
)
def test_failures_with_a_known_cause_are_one_sentence(machine: Machine, pip_says: str, sentence: str) -> None:
    machine.has_python("python3.11", "3.11.7")
    machine.pip.write_text(f'cat <<"END"\n{pip_says}\nERROR: giving up\nEND\nexit 1')
    status, said, _ = machine.set_up()
    assert status == 1
    announced, explained = said.splitlines()
    assert announced.startswith("Setting up .venv")
    assert sentence in explained
    assert pip_says in (machine.checkout / ".make/setup.log").read_text()

    machine.pip.write_text("")
    assert machine.set_up()[2] == ["venv", "pip"]


def test_other_failures_show_the_end_of_the_log(machine: Machine) -> None:
    machine.has_python("python3.11", "3.11.7")
    machine.pip.write_text(
        "echo Collecting torch; echo 'ERROR: No matching distribution found for torch' >&2; exit 1"
    )
    status, said, _ = machine.set_up()
    assert status == 1
    assert "No matching distribution found for torch" in said
    assert ".make/setup.log" in said.splitlines()[-1]


def test_too_small_a_disk_is_refused_at_once(machine: Machine) -> None:
    machine.has_python("python3.11", "3.11.7")
    machine.has(
        "df", "#!/bin/sh\necho 'Filesystem 1024-blocks Used Available'\necho 'disk 9000000 8200000 800000'\n"
    )
    status, said, asked = machine.set_up()
    assert (status, asked) == (1, [])
    assert "needs 1.5 GB" in said
    assert "has only 800 MB" in said


@pytest.mark.skipif(not shutil.which("flock"), reason="without flock(1) set-ups are not kept apart")
def test_two_at_once_share_one_setup(machine: Machine) -> None:
    machine.has_python("python3.11", "3.11.7")
    machine.pip.write_text("sleep 1")
    first = machine.start()
    deadline = time.monotonic() + 30
    while "pip" not in machine.asked():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    second = machine.start()
    assert "waiting" in second.communicate()[1]
    assert "Ready" in first.communicate()[1]
    assert (first.returncode, second.returncode) == (0, 0)
    assert machine.asked() == ["venv", "pip"]


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["venv", "pip"])
def test_real_setup_killed_and_repeated(tmp_path: Path, moment: str) -> None:
    """The package with a single dependency: the set-up is on trial, not the downloads."""
    machine = Machine(tmp_path)
    pyproject = (ROOT / "pyproject.toml").read_text()
    pyproject = re.sub(r"^dependencies = \[.*?^\]", 'dependencies = ["click"]', pyproject, flags=re.M | re.S)
    (machine.checkout / "pyproject.toml").write_text(pyproject)
    for name in ("README.md", "LICENSE", "src/goingdeeper/__init__.py", "src/goingdeeper/version.py"):
        (machine.checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, machine.checkout / name)

    environment = os.environ | {"PYTHON": sys.executable}
    first = machine.start(**environment)
    log, created = machine.checkout / ".make/setup.log", machine.checkout / ".venv/pyvenv.cfg"
    while not (created.exists() if moment == "venv" else log.exists() and "Obtaining" in log.read_text()):
        assert first.poll() is None
        time.sleep(0.01)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    assert not (machine.checkout / ".venv/ready").exists()

    second = machine.start(**environment)
    said = second.communicate()[1]
    assert second.returncode == 0, said
    python = machine.checkout / ".venv/bin/python"
    subprocess.run([python, "-c", "import click, goingdeeper"], check=True)
    assert machine.start(**environment).communicate()[1] == ""


@pytest.mark.parametrize(
    ("beside", "given", "seen"),
    [(True, None, "shared/data"), (False, None, None), (True, "elsewhere", "elsewhere")],
)
def test_ci_names_the_test_data(tmp_path: Path, beside: bool, given: str | None, seen: str | None) -> None:
    (tmp_path / "checkout/.ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci/run", tmp_path / "checkout/.ci/run")
    if beside:
        (tmp_path / "shared/data").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/make").write_text('#!/bin/sh\necho "$PWD: $*: ${GOINGDEEPER_TEST_DATA-unset}"\n')
    (tmp_path / "bin/make").chmod(0o755)
    environment = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    if given:
        environment["GOINGDEEPER_TEST_DATA"] = given
    run = tmp_path / "checkout/.ci/run"
    said = subprocess.run([run], cwd="/", env=environment, capture_output=True, text=True, check=True).stdout
    data = "unset" if seen is None else seen if seen == given else str(tmp_path / seen)
    assert said == f"{tmp_path / 'checkout'}: test: {data}\n"


def test_every_package_of_the_setup_is_pinned() -> None:
    constraints = [
        Requirement(line)
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert all(re.fullmatch(r"==[0-9.]+", str(pin.specifier)) for pin in constraints)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    waiting = [
        Requirement(line) for line in project["dependencies"] + project["optional-dependencies"]["dev"]
    ]
    needed: set[str] = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in needed or name.startswith(
            ("nvidia-", "cuda-", "triton")
        ):  # pinned by a CUDA build of torch
            continue
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        needed.add(name)
        waiting += map(Requirement, importlib.metadata.requires(name) or [])
    assert {canonicalize_name(pin.name) for pin in constraints} == needed
