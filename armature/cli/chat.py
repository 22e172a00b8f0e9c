"""`armature chat`: a conversation with a model, in the terminal or through a pipe."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from armature.cli.run import setting, with_options
from armature.cli.terminal import accent, note, show_notes, table
from armature.errors import ArmatureError, nearest

if TYPE_CHECKING:
    from armature.pipelines.conversation import Conversation

DEFAULT = "starter/stories"
BLOCK = '"""'
COMMANDS = {
    "/help": "this list",
    "/system [TEXT]": "what the model is told before everything else; without TEXT: show it",
    "/reset": "forget what was said",
    "/save FILE": "write the conversation into a file",
    "/load FILE": "go on with the conversation of a file",
    "/quit": "end, as Ctrl-D does",
}
NAMES = [usage.split()[0] for usage in COMMANDS]

OPTIONS = [
    click.option("--system", help="What the model is told before everything else."),
    click.option("--seed", type=int, help="Draw answers by this number: the same every time."),
    click.option("--max-new-tokens", type=click.IntRange(min=1), help="The longest answer."),
    click.option("--temperature", type=click.FloatRange(min=0),
                 help="How freely answers are drawn; 0: always the likeliest token."),
    click.option("--set", "-s", "settings", multiple=True, metavar="NAME=VALUE",
                 help="Any setting of text-generation: top_p=0.9, repetition_penalty=1.2…"),
    click.option("--precision", type=click.Choice(["float32", "int8", "int4"]),
                 help="Round the weights: less memory, sooner answers."),
    click.option("--device", help="Where to compute: cpu, cuda, cuda:1, mps."),
    click.option("--dtype", help="Numbers to compute with: float32, bfloat16, float16."),
    click.option("--json", "as_json", is_flag=True, help="One JSON object per turn, for machines."),
]  # fmt: skip


@click.command(short_help="Talk with a model, in the terminal.")
@click.argument("model", default=DEFAULT)
@with_options(OPTIONS)
def chat(model: str, **given: Any) -> None:
    """Talk with MODEL, a checkpoint's folder or name on the hub; without one, with a starter.

    In a terminal, Ctrl-C stops an answer, Ctrl-D ends, and `/help` shows the commands. A line that
    ends in \\ goes on in the next one, and lines between two \"\"\" are one text. Through a pipe,
    every line is a turn.

    \b
    armature chat --system "Answer in one sentence." --temperature 0.7
    cat questions.txt | armature chat --seed 7 --json
    """  # noqa: D301 - \b keeps the lines as they are
    show_notes()
    start = time.perf_counter()
    talk = _open(model, given)
    note(f"{model}, ready after {time.perf_counter() - start:.1f} s")
    if talk.plain:
        note("this checkpoint has no chat template: it goes on with your text, and answers nothing")
    terminal = sys.stdin.isatty()
    if terminal:
        note("/help shows the commands, Ctrl-C stops an answer, Ctrl-D ends")
    options = _options(given)
    for text in _typed() if terminal else _piped():
        if text.startswith("/") and not text.startswith("//"):
            if not _command(talk, text, fails=not terminal):
                return
            continue
        said = text[1:] if text.startswith("/") else text
        try:
            _turn(talk, said, options, as_json=given["as_json"], terminal=terminal)
        except ArmatureError as error:
            if not terminal:
                raise
            _complain(error)


def _open(model: str, given: dict[str, Any]) -> Conversation:
    from armature.pipelines import pipeline
    from armature.pipelines.conversation import Conversation

    how = {name: given[name] for name in ("device", "dtype") if given[name]}
    if given["precision"]:
        how["model_kwargs"] = {"precision": given["precision"]}
    pipe: Any = pipeline("text-generation", model=model, **how)
    return Conversation(pipe, given["system"])


def _options(given: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of every answer."""
    options = dict(setting(text) for text in given["settings"])
    if given["max_new_tokens"] is not None:
        options["max_new_tokens"] = given["max_new_tokens"]
    if given["temperature"] == 0:
        return options | {"do_sample": False}
    drawn = {name: given[name] for name in ("temperature", "seed") if given[name] is not None}
    return options | drawn | ({"do_sample": True} if drawn else {})


# -------------------------------------------------------------------- what is said


def _typed() -> Iterator[str]:
    """Yield what is typed, until Ctrl-D."""
    with contextlib.suppress(ImportError):  # lines can be edited, where the system has it
        import readline  # noqa: F401
    while True:
        try:
            text = _joined(input("\n› "), lambda: input("… "))
        except EOFError:
            click.echo()
            return
        except KeyboardInterrupt:
            click.echo()
            note("Ctrl-D or /quit ends")
            continue
        if text.strip():
            yield text.strip()


def _joined(line: str, more: Any) -> str:
    r"""Return the whole of a text whose first line goes on: after \, or up to another \"\"\"."""
    if line.strip().startswith(BLOCK):
        lines = [line.strip().removeprefix(BLOCK)]
        while not lines[-1].rstrip().endswith(BLOCK):
            lines.append(more())
        return "\n".join(lines).rstrip().removesuffix(BLOCK)
    lines = [line]
    while lines[-1].endswith("\\"):
        lines[-1] = lines[-1][:-1]
        lines.append(more())
    return "\n".join(lines)


def _piped() -> Iterator[str]:
    """Yield the lines of stdin that are not blank."""
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        except UnicodeDecodeError as error:
            raise click.UsageError(f"stdin, line {number}: this is not UTF-8 text") from error
        if text:
            yield text


# -------------------------------------------------------------------- what is done


def _turn(
    talk: Conversation, text: str, options: dict[str, Any], *, as_json: bool, terminal: bool
) -> None:
    """Show an answer while it is written; Ctrl-C stops it."""
    pieces = talk.answer(text, **options)
    try:
        for piece in pieces:
            if not as_json:
                click.echo(piece, nl=False)
    except KeyboardInterrupt:
        pieces.close()
        if not terminal:
            raise
        talk.stopped = True
    if as_json:
        turn = {"user": text, "assistant": talk.messages[-1]["content"], "stopped": talk.stopped}
        click.echo(json.dumps(turn, ensure_ascii=False))
        return
    click.echo()
    if talk.stopped:
        note("stopped")


def _command(talk: Conversation, text: str, *, fails: bool) -> bool:
    """Do what a line that begins with / says; return whether to go on."""
    name, _, rest = text.partition(" ")
    rest = rest.strip()
    if name in ("/quit", "/exit"):
        return False
    try:
        _obey(talk, name, rest)
    except (ArmatureError, OSError) as error:
        if fails:
            raise
        _complain(error)
    return True


def _obey(talk: Conversation, name: str, rest: str) -> None:
    from armature.errors import ArgumentError

    if name in ("/save", "/load") and not rest:
        raise ArgumentError(f"which file?\n  → {name} FILE")
    if name == "/help":
        table(([accent(usage), about] for usage, about in COMMANDS.items()))
    elif name == "/reset":
        talk.reset()
        note("what was said is forgotten")
    elif name == "/system":
        talk.system = rest or talk.system
        note(f"system: {talk.system or 'nothing'}")
    elif name == "/save":
        talk.save(rest)
        note(f"{len(talk.messages)} messages are in {rest}")
    elif name == "/load":
        talk.load(rest)
        note(f"{len(talk.messages)} messages from {rest}")
    else:
        raise ArgumentError(
            f"there is no command {name}.{nearest(name, NAMES)}\n"
            "  → /help shows them; a text that begins with / is written with two: //"
        )


def _complain(error: Exception) -> None:
    message = str(error)
    if isinstance(error, OSError) and error.filename:
        message = f"{error.filename}: {error.strerror}"
    click.echo(click.style("error: ", fg="red", bold=True) + message, err=True)
