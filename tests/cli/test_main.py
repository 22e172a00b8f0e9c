"""The command itself: help, versions, wrong usage, exit status, completion."""

from __future__ import annotations

import resource
import subprocess
import sys
from importlib.metadata import version

import pytest

from armature.cli import COMMANDS


def process(*arguments, **options):
    command = [sys.executable, "-c", "from armature.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


def test_help_lists_every_command_with_a_sentence(armature):
    result = armature("--help")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    for name in COMMANDS:
        assert any(line.split()[:1] == [name] and len(line.split()) > 3 for line in lines), name


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(armature, name):
    result = armature(name, "--help")
    assert result.exit_code == 0
    assert "--debug" in result.stdout


def test_version(armature):
    assert armature("--version").stdout == f"armature {version('armature-models')}\n"


def test_help_is_quick_and_light():
    start = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    code = "import sys; sys.argv = ['armature', '--help']\nfrom armature.cli import main\n"
    code += "try: main()\nfinally: print({'torch', 'numpy', 'tokenizers'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert out.endswith("set()\n")
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - start < 3 * 0.3


def test_wrong_usage_ends_with_2_and_names_the_nearest_command():
    result = process("inspct", "x")
    assert (result.returncode, result.stdout) == (2, "")
    assert "`inspect`" in result.stderr


def test_an_error_ends_with_1_and_one_message(tmp_path):
    result = process("inspect", tmp_path / "absent")
    assert (result.returncode, result.stdout) == (1, "")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("where", ["before", "after"])
def test_debug_shows_the_traceback(tmp_path, where):
    words = ["inspect", tmp_path / "absent"]
    result = process(*(["--debug", *words] if where == "before" else [*words, "--debug"]))
    assert result.returncode == 1
    assert "Traceback" in result.stderr


def test_no_colour_unless_a_terminal_wants_it(armature, checkpoint):
    checkpoint.weights("a")
    assert "\x1b[" not in armature("inspect", checkpoint.folder).stdout
    assert "\x1b[" in armature("inspect", checkpoint.folder, color=True).stdout
    quiet = armature("inspect", checkpoint.folder, color=True, env={"NO_COLOR": "1"})
    assert "\x1b[" not in quiet.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(armature, shell):
    result = armature("completion", shell)
    assert result.exit_code == 0
    assert "_ARMATURE_COMPLETE" in result.stdout


def test_completion_completes_commands():
    words = {"COMP_WORDS": "armature ins", "COMP_CWORD": "1", "_ARMATURE_COMPLETE": "bash_complete"}
    assert "inspect" in process(env={**words, "PATH": "/usr/bin:/bin"}).stdout
