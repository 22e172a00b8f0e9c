"""The documentation: its examples run, its commands exist, its links lead somewhere."""

from __future__ import annotations

import json
import math
import re
import shlex
import shutil
import struct
import wave
from pathlib import Path
from urllib.parse import unquote

import pytest
from click.testing import CliRunner
from PIL import Image, ImageDraw
from stand_ins import PACKAGE, bert, wordpieces

import armature
from armature.cli import COMMANDS, group

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
COMMAND = re.compile(r"^(?:cat (?P<piped>\S+) \| )?armature (?P<words>.+?)(?: +> \S+)?$")
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def named(document):
    return str(document.relative_to(ROOT))


def blocks(language):
    """Yield (document, code) for every block of a language."""
    for document in DOCUMENTS:
        for found in BLOCK.finditer(document.read_text(encoding="utf-8")):
            if found[1] == language:
                yield document, found[2]


def lines():
    """Yield (place, line) for every shell line of the documents and of the commands' own help."""
    for document, code in blocks("sh"):
        for line in code.splitlines():
            plain = re.sub(r"\s+#.*$", "", line).strip()
            if plain:
                yield named(document), plain
    for name in COMMANDS:
        text = group.get_command(None, name).help or ""
        for line in re.findall(r"^ *((?:cat \S+ \| )?armature .*)$", text, re.MULTILINE):
            yield f"{name} --help", line.strip()


SHELL = list(dict.fromkeys(lines()))
COMMANDS_SHOWN = [pytest.param(line, id=f"{place}: {line}") for place, line in SHELL]


@pytest.fixture
def place(hub, tmp_path):
    """A working folder with what the examples speak of."""
    shutil.copytree(hub.snapshot("bert-base-cased-finetuned-mrpc"), "my-checkpoint")
    words = wordpieces("The striker scored twice. This example is sport cooking money", lower=True)
    tokenizer = armature.BertTokenizer(vocab={word: i for i, word in enumerate(words)})
    for folder, kind, labels in (
        ("my-nli", armature.BertForSequenceClassification, ["contradiction", "entailment"]),
        ("folder", armature.BertForTokenClassification, ["O", "B-PER", "I-PER"]),
    ):
        config = armature.BertConfig(**bert(len(words)))
        config.id2label = dict(enumerate(labels))
        kind(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    Path("story.txt").write_text("Zhong left the house. The others stayed.\n")
    Path("questions.txt").write_text("Once upon a time\n从前\n")
    Path("reviews.txt").write_text("A fine film.\nA waste of time.\n")
    Path("README.md").write_text("Read the documents.\n")
    ImageDraw.Draw(photo := Image.new("RGB", (40, 40), "white")).line((5, 5, 30, 35), "black", 4)
    photo.save("photo.jpg")
    shutil.copytree(ROOT / "tests" / "golden" / "segformer" / "places", "my-segmenter")
    settings = {
        "image_processor_type": "SegformerImageProcessor",
        "size": {"height": 32, "width": 32},
    }
    Path("my-segmenter/preprocessor_config.json").write_text(json.dumps(settings))
    with wave.open("dialled.wav", "wb") as sound:
        sound.setparams((1, 2, 16000, 0, "NONE", ""))
        five = [
            sum(math.sin(math.tau * i * hertz / 16000) for hertz in (770, 1336))
            for i in range(2400)
        ]
        sound.writeframes(bytes(3200))
        sound.writeframes(struct.pack("<2400h", *(int(8000 * value) for value in five)))
        sound.writeframes(bytes(3200))
    Path("docs").mkdir()
    Path("docs/refunds.md").write_text("# Refunds\n\nWe return what you paid within a week.\n")
    return tmp_path


@pytest.mark.parametrize(
    ("document", "code"),
    [
        pytest.param(document, code, id=f"{named(document)}-{i}")
        for i, (document, code) in enumerate(blocks("python"))
    ],
)
def test_python_runs(place, document, code):
    if "json_schema" in code:
        pytest.importorskip("llguidance")
    exec(compile(code, str(document), "exec"), {})


@pytest.mark.parametrize("line", COMMANDS_SHOWN)
def test_shell_lines_run(place, line):
    first, *words = shlex.split(line, comments=True)
    if first == "make":
        assert words[0] in TARGETS
        return
    if first in ("python", "pip") or line.startswith("armature completion"):
        assert not words or not words[0].endswith(".py") or (ROOT / words[0]).is_file()
        return
    if "armature search" in line and PACKAGE is None:
        pytest.skip("needs the package of the sentence encoder")
    found = COMMAND.match(line)
    assert found, f"how is this run? {line}"
    piped = Path(found["piped"]).read_text() if found["piped"] else None
    if line.startswith("armature chat"):
        piped = "Once upon a time\n"
    result = CliRunner().invoke(group, shlex.split(found["words"]), input=piped)
    assert result.exit_code == 0, result.output
    assert result.stdout.strip()


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_links_lead_somewhere(document):
    for link in LINK.findall(document.read_text(encoding="utf-8")):
        if not re.match(r"https?:|mailto:|#", link):
            target = document.parent / unquote(link.split("#")[0])
            assert target.exists(), f"{named(document)} links to {link}"


def test_both_readmes_show_the_same_code():
    english, chinese = (
        [re.sub(r"\s*#.*", "", code) for place, code in blocks("python") if place.name == name]
        for name in ("README.md", "README.zh-CN.md")
    )
    assert english == chinese
