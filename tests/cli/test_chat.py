"""`armature chat`: turns through a pipe and in a terminal, commands, and what stops an answer."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parents[1] / "golden" / "pipelines" / "prompts"
TEMPLATE = (
    "{% for m in messages %}{{ m['role'][0] }}:{{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}a:{% endif %}"
)


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(GOLDEN, folder)
    file = folder / "tokenizer_config.json"
    settings = json.loads(file.read_text(encoding="utf-8")) | {"chat_template": TEMPLATE}
    file.write_text(json.dumps(settings), encoding="utf-8")
    return folder


def turns(result):
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_every_line_of_a_pipe_is_a_turn(armature, model):
    options = ("--max-new-tokens", 5, "--json")
    first, second = turns(armature("chat", model, *options, input="Hello\n\n你好\n"))
    assert first["user"] == "Hello"
    assert second["user"] == "你好"
    assert first["assistant"]
    assert not first["stopped"]
    shown = armature("chat", model, "--max-new-tokens", 5, input="Hello\n")
    assert shown.stdout == first["assistant"] + "\n"
    assert "chat template" not in shown.stderr


def test_answers_are_those_of_the_pipeline(armature, model):
    from armature import pipeline

    lines = "Hello\nthe list\n"
    given = (
        "--system",
        "Be brief",
        "--max-new-tokens",
        6,
        "--json",
        "--set",
        "no_repeat_ngram_size=2",
    )
    chat = []
    pipe = pipeline("text-generation", model=model)
    messages = [{"role": "system", "content": "Be brief"}]
    for line in lines.splitlines():
        messages.append({"role": "user", "content": line})
        (answer,) = pipe(messages, max_new_tokens=6, no_repeat_ngram_size=2)
        messages = answer["generated_text"]
        chat.append(messages[-1]["content"])
    assert [
        turn["assistant"] for turn in turns(armature("chat", model, *given, input=lines))
    ] == chat


def test_a_seed_says_what_is_drawn(armature, model):
    def said(*options):
        given = ("--max-new-tokens", 12, "--json", *options)
        return turns(armature("chat", model, *given, input="Hello\n"))[0]["assistant"]

    assert said("--seed", 3) == said("--seed", 3)
    assert said("--seed", 3, "--temperature", 3) != said("--seed", 4, "--temperature", 3)
    assert said("--temperature", 0) == said()


def test_commands(armature, model, tmp_path):
    file = tmp_path / "said.json"
    lines = [
        "Hello",
        f"/save {file}",
        "/reset",
        "/system 简短",
        f"/load {file}",
        "/help",
        "//not a command",
        "/quit",
        "never read",
    ]
    result = armature("chat", model, "--max-new-tokens", 3, "--json", input="\n".join(lines))
    assert result.exit_code == 0
    users = [json.loads(line)["user"] for line in result.stdout.splitlines() if line[0] == "{"]
    assert users == ["Hello", "/not a command"]
    assert "/load FILE" in result.stdout
    assert "system: 简短" in result.stderr
    saved = json.loads(file.read_text(encoding="utf-8"))
    assert [message["role"] for message in saved["messages"]] == ["user", "assistant"]


@pytest.mark.parametrize(
    ("line", "words"),
    [("/rest", "/reset"), ("/save", "which file"), ("/load nowhere.json", "nowhere.json")],
)
def test_a_command_that_fails_in_a_pipe_ends_it(armature, model, line, words):
    result = armature("chat", model, input=line)
    assert result.exit_code == 1
    assert words in result.stderr


def test_a_checkpoint_without_a_template_goes_on_with_the_text(armature):
    result = armature("chat", GOLDEN, "--max-new-tokens", 3, input="Hello\n")
    assert result.exit_code == 0
    assert "no chat template" in result.stderr


def test_text_that_is_not_utf8_is_refused(armature, model):
    result = armature("chat", model, input=b"\xff\xfe\n")
    assert result.exit_code == 2
    assert "line 1" in result.stderr


class Terminal:
    """The command in a terminal of its own."""

    def __init__(self, *arguments):
        self.master, end = pty.openpty()
        code = "from armature.cli import main; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            stdin=end,
            stdout=end,
            stderr=end,
            start_new_session=True,
            # Whoever runs the tests may ignore Ctrl-C, which a new process would inherit.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            env={**os.environ, "NO_COLOR": "1", "TERM": "dumb"},
        )
        os.close(end)
        self.seen = b""

    def until(self, words, seconds=150):
        """Read until the words are there."""
        end = time.monotonic() + seconds
        while words.encode() not in self.seen:
            assert time.monotonic() < end, self.seen.decode(errors="replace")
            if select.select([self.master], [], [], 0.1)[0]:
                self.seen += os.read(self.master, 65536)
        _, _, self.seen = self.seen.partition(words.encode())

    def interrupt(self):
        """Press Ctrl-C once the program waits: readline loses one that comes just before."""
        status = Path(f"/proc/{self.process.pid}/stat")
        waited = 0
        while waited < 10:
            time.sleep(0.1)
            state = status.read_text().rpartition(")")[2].split()[0] if status.exists() else "S"
            waited = waited + 1 if state == "S" else 0
        os.killpg(self.process.pid, signal.SIGINT)

    def type(self, text):
        os.write(self.master, text.encode())

    def end(self):
        self.process.wait(60)
        os.close(self.master)
        return self.process.returncode


def test_a_terminal(model):
    """Ctrl-C stops an answer and not the program, lines are joined, Ctrl-D ends."""
    terminal = Terminal("chat", model, "--max-new-tokens", 4, "--set", "eos_token_id=-1")
    try:
        terminal.until("›")
        terminal.type("Hello \\\n")
        terminal.until("…")
        terminal.type("你好\n")
        terminal.until("›")
        terminal.type('"""one\n')
        terminal.until("…")
        terminal.type('two"""\n')
        terminal.until("›")
        terminal.type("/nothing\n")
        terminal.until("no command /nothing")
        terminal.until("›")
        terminal.interrupt()
        terminal.until("Ctrl-D or /quit ends")
        terminal.until("›")
        terminal.type("/save said.json\n")
        terminal.until("4 messages")
        terminal.until("›")
        terminal.type("\x04")
        assert terminal.end() == 0
        said = json.loads(Path("said.json").read_text(encoding="utf-8"))["messages"]
        assert [one["content"] for one in said[::2]] == ["Hello \n你好", "one\ntwo"]
    finally:
        terminal.process.kill()
        Path("said.json").unlink(missing_ok=True)


def test_ctrl_c_stops_an_answer(capsys):
    """The answer ends where it was, and the conversation goes on."""
    from armature.cli.chat import _turn

    class Talk:
        def __init__(self):
            self.messages, self.stopped = [], False

        def answer(self, text):
            try:
                yield "One "
                raise KeyboardInterrupt
            finally:
                self.messages.append({"role": "assistant", "content": "One "})

    _turn(Talk(), "x", {}, as_json=False, terminal=True)
    assert capsys.readouterr() == ("One \n", "· stopped\n")
    with pytest.raises(KeyboardInterrupt):
        _turn(Talk(), "x", {}, as_json=False, terminal=False)
