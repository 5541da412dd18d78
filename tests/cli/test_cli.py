import os
import subprocess
import sys

import click
import pytest

from goingdeeper.cli import VERBS
from goingdeeper.cli import deeper as main_command
from goingdeeper.version import __version__

DEEPER = [sys.executable, "-m", "goingdeeper"]


def test_help_lists_every_verb(deeper):
    said = deeper("--help")
    assert (said.status, said.err) == (0, "")
    assert said.out.startswith("Usage: deeper [OPTIONS] COMMAND")
    for verb in VERBS:
        assert f"\n  {verb} " in said.out
    assert deeper("-h") == said


def test_no_words_at_all_are_a_call_for_help(deeper):
    assert deeper() == deeper("--help")


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_every_verb(deeper, verb):
    said = deeper(verb, "--help")
    assert (said.status, said.err) == (0, "")
    assert said.out.startswith(f"Usage: deeper {verb} ")
    assert max(map(len, said.out.splitlines())) <= 80
    options = [param for param in command(verb).params if isinstance(param, click.Option)]
    assert "--json" in said.out or verb == "draw"
    for option in options:
        assert option.opts[-1] in said.out
        assert option.help
        assert option.help.endswith(".")
    assert deeper(verb, "-h") == said


def command(verb):
    return main_command.get_command(click.Context(main_command), verb)


def test_version(deeper):
    said = deeper("--version")
    assert (said.status, said.out) == (0, f"goingdeeper {__version__}\n")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["trian", "photos"], ["unknown command 'trian'", "did you mean train?", "`deeper --help`"]),
        (["xyzzy"], ["unknown command 'xyzzy'", "`deeper --help`"]),
        (["--bogus"], ["'--bogus'", "`deeper --help`"]),
        (["train", "photos", "--epoch"], ["'--epoch'", "Did you mean", "--epochs", "`deeper train --help`"]),
        (["train", "photos", "--epochs", "few"], ["'--epochs'", "'few'", "`deeper train --help`"]),
        (["train", "photos", "--epochs", "0"], ["'--epochs'", "x>=1"]),
        (["train", "photos", "--epochs"], ["'--epochs'", "argument"]),
        (["train", "photos", "--seed", "-1"], ["'--seed'", "-1"]),
        (["train"], ["Missing argument 'IMAGES'", "`deeper train --help`"]),
        (["train", "photos", "more"], ["unexpected extra argument", "more"]),
        (["train", "photos", "--set", "rate"], ["--set rate", "key=value", "--set rate=0.05"]),
        (["train", "photos", "--set", "=3"], ["--set =3", "key=value"]),
        (["evaluate"], ["no RUN is given"]),
        (["evaluate", "r", "--batch", "0"], ["'--batch'"]),
        (["predict", "runs/a"], ["Missing argument 'IMAGES...'"]),
        (["predict", "runs/a", "x.png", "--top", "0"], ["'--top'"]),
        (["list", "vit-*"], ["no network matches 'vit-*'", "`deeper list`"]),
        (["show"], ["Missing argument 'NETWORK'"]),
        (["show", "googlnet"], ["unknown network 'googlnet'", "did you mean googlenet", "`deeper list`"]),
        (["show", "googlenet", "3c"], ["unknown address in googlenet: '3c'", "3a"]),
        (["show", "googlenet", "--by", "row"], ["'--by'", "'stage', 'block', 'layer'"]),
        (["show", "googlenet", "--size", "40"], ["googlenet cannot take 3x40x40", "79x79"]),
        (["show", "googlenet", "--classes", "0"], ["'--classes'"]),
        (["draw", "resnet-51"], ["unknown network 'resnet-51'", "did you mean", "resnet-50"]),
        (["draw", "googlenet", "9z"], ["unknown address in googlenet: '9z'"]),
        (["draw", "googlenet", "-o", "no/such/folder/g.svg"], ["no folder no/such/folder", "g.svg"]),
        (["runs", "nowhere"], ["no folder nowhere", "`deeper train`"]),
    ],
)
def test_a_wrong_word_is_answered_in_one_line_with_a_remedy(deeper, here, words, parts):
    line = deeper(*words).refusal(2)
    for part in parts:
        assert part in line
    assert list(here.iterdir()) == []


def test_help_loads_little(tmp_path):
    code = "import sys; sys.argv = ['deeper', '--help']\nfrom goingdeeper.cli import main\n"
    code += "try: main()\nfinally: print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stderr.split()) & {"torch", "numpy", "rich", "PIL", "sklearn", "goingdeeper.api"}


@pytest.mark.parametrize("words", [["runs"], ["list"], ["show", "googlenet"], ["train", "--help"]])
def test_verbs_that_do_not_compute_load_no_torch(tmp_path, words):
    (tmp_path / "runs").mkdir()
    code = f"import sys; sys.argv = ['deeper', *{words}]\nfrom goingdeeper.cli import main\n"
    code += "try: main()\nfinally: print('torch' in sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stderr.splitlines()[-1] == "False"


def test_python_m_does_the_same(deeper, environment):
    done = subprocess.run([*DEEPER, "list"], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, deeper("list").out, "")
    done = subprocess.run([*DEEPER, "lsit"], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", deeper("lsit").err)


@pytest.mark.parametrize(
    "words", [["list"], ["list", "--json"], ["show", "resnet-152", "--by", "layer"], ["draw", "resnet-152"]]
)
def test_a_reader_that_leaves_early_is_no_error(environment, words):
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as pipe:
        done = subprocess.run([*DEEPER, *words], stdout=pipe, stderr=subprocess.PIPE, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")


def test_head_gets_its_line(environment):
    done = subprocess.run(
        f"'{sys.executable}' -m goingdeeper list | head -n 1; echo ${{PIPESTATUS[0]}}",
        shell=True, executable="/bin/bash", capture_output=True, text=True, env=environment,
    )  # fmt: skip
    assert done.stdout.splitlines()[0].startswith("network ")
    assert (done.stdout.splitlines()[1:], done.stderr) == (["0"], "")


@pytest.mark.parametrize("words", [["list"], ["show", "googlenet", "--json"]])
def test_a_full_disk_behind_stdout_is_named(environment, words):
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = subprocess.run([*DEEPER, *words], stdout=full, stderr=subprocess.PIPE, env=environment)
    assert done.returncode == 5
    line = done.stderr.decode()
    assert line.startswith("deeper: the disk is full")
    assert line.count("\n") == 1


def test_without_stdin(environment):
    done = subprocess.run(
        f"'{sys.executable}' -m goingdeeper list resnet-50 <&-",
        shell=True, capture_output=True, text=True, env=environment,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "resnet-50" in done.stdout


def test_draw_onto_a_folder_is_refused(deeper, here, tree):
    (here / "pictures.svg").mkdir()
    (here / "pictures.svg" / "a.svg").write_text("precious")
    before = tree(here)
    line = deeper("draw", "googlenet", "3a", "-o", "pictures.svg").refusal(5)
    assert "pictures.svg: Is a directory" in line
    assert tree(here) == before


def test_a_drawing_is_not_called_png(deeper, here):
    assert "call the file g.svg" in deeper("draw", "googlenet", "3a", "-o", "g.png").refusal(2)
    assert not any(here.iterdir())
