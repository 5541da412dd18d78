"""The wheel: what it holds, and that it works where nothing else is installed."""

from __future__ import annotations

import email
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build: list[str | Path] = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        folder,
        ROOT,
    ]
    subprocess.run(build, check=True, capture_output=True)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The programs' folder of an environment that holds the wheel and what it asks for."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    install: list[str | Path] = [folder / "bin/python", "-m", "pip", "install", "--no-compile", "--no-input"]
    install += ["-q", "-c", ROOT / "constraints.txt", wheel]
    subprocess.run(install, check=True, stdin=subprocess.DEVNULL)
    yield folder / "bin"
    shutil.rmtree(folder)  # over a gigabyte, which pytest would keep for three runs


def printed(*command: str | Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        command, cwd="/", env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def described(wheel: Path, name: str) -> bytes:
    """A file of the wheel's own folder, dist-info."""
    with zipfile.ZipFile(wheel) as archive:
        (path,) = (path for path in archive.namelist() if path.endswith(f".dist-info/{name}"))
        return archive.read(path)


def metadata(wheel: Path) -> Message:
    return email.message_from_bytes(described(wheel, "METADATA"))


def test_holds_the_package_and_nothing_else(wheel: Path) -> None:
    source = ROOT / "src"
    package = {
        str(file.relative_to(source))
        for file in (source / "goingdeeper").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in names if ".dist-info/" not in name} == package
    assert "goingdeeper/py.typed" in names
    assert any(name.startswith("goingdeeper/published/") and name.endswith(".toml") for name in names)
    assert any(name.startswith("goingdeeper/reports/") and name.endswith(".jinja") for name in names)


def test_carries_its_licence(wheel: Path) -> None:
    assert metadata(wheel)["License-Expression"] == "Apache-2.0"
    assert described(wheel, "licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
    assert (
        b"Apache License\n                           Version 2.0, January 2004"
        in (ROOT / "LICENSE").read_bytes()
    )


@pytest.mark.parametrize("command", [["deeper"], ["python", "-m", "goingdeeper"]])
def test_tells_its_version(wheel: Path, installed: Path, command: list[str]) -> None:
    version = metadata(wheel)["Version"]
    assert printed(installed / command[0], *command[1:], "--version") == f"goingdeeper {version}\n"


def test_lists_the_networks(installed: Path) -> None:
    document = json.loads(printed(installed / "deeper", "list", "--json"))
    assert {"googlenet", "resnet-50"} <= {network["id"] for network in document["networks"]}


def test_imports_no_torch(installed: Path) -> None:
    modules = printed(installed / "python", "-c", "import goingdeeper, sys; print(*sys.modules, sep='\\n')")
    assert "goingdeeper" in modules.splitlines()
    assert "torch" not in modules.splitlines()
