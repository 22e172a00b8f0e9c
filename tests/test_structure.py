"""The tree's own rules: sizes, names, and who may know an architecture."""

from __future__ import annotations

import ast
import importlib
import io
import re
import tokenize
from pathlib import Path

import pytest

from armature import arch

PACKAGE = Path(__file__).parent.parent / "armature"
FILES = sorted(PACKAGE.rglob("*.py"))
ARCHITECTURES = sorted(file for file in PACKAGE.glob("arch/*.py") if file.stem[0] != "_")

# Short names that a file may give to what several of its heads share.
SHORTHAND = {"DROPOUT", "FIRST", "POOLED", "SPARE", "WORDS"}

# Fields of all the dataclasses that describe an anatomy. A new field is a new flag: raise this
# number only with a reason in the commit.
SPEC_FIELDS = 60

# Whole words that name an architecture (`llama3` is a published kind of rotary scaling).
NAMED = re.compile(
    r"\b(albert|bart|beit|bert|bloom|ctrl|deberta|deit|detr|distilbert|dpt|electra|falcon|gemma"
    r"|gpt|gpt2|gptj|hubert|layoutlm|llama|longformer|mamba|marian|mbart|mistral|mixtral|mpnet"
    r"|neox|opt|pegasus|phi3?|qwen[23]?|roberta|swin|t5|vit|wav2vec2?|whisper|xlm|xlnet|yolos)\b",
    re.IGNORECASE,
)
CAMEL = re.compile(r"_|(?<=[a-z0-9])(?=[A-Z])")


def lines_of(file):
    return len(file.read_text(encoding="utf-8").splitlines())


def name_of(file):
    return str(file.relative_to(PACKAGE))


def tree_of(file):
    return ast.parse(file.read_text(encoding="utf-8"))


def owns_modules(tree):
    """Whether a file defines torch modules of its own: inside a function, which imports torch."""
    makers = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return any(isinstance(node, ast.ClassDef) for maker in makers for node in ast.walk(maker))


def imported(tree):
    """The names of all modules that a file imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def public_names(tree):
    """The names that a file defines at its top without a leading underscore."""
    for node in tree.body:
        targets = []
        if isinstance(node, ast.Assign):
            targets = [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            targets = [node.target.id]
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            targets = [node.name]
        yield from (name for name in targets if not name.startswith("_"))


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_a_file_is_short(file):
    budget = 300 if file.parent == PACKAGE / "layers" else 400
    assert lines_of(file) <= budget, "split it along the two ideas that live in it"


@pytest.mark.parametrize("file", ARCHITECTURES, ids=name_of)
def test_an_architecture_is_short(file):
    budget = 300 if owns_modules(tree_of(file)) else 150
    assert lines_of(file) <= budget


def agreed_words():
    """The words of an architecture's file, in their order: the table in the docstring of `arch`."""
    doc = ast.get_docstring(tree_of(PACKAGE / "arch" / "__init__.py"))
    return re.findall(r"^ {4}(\w+)", doc, re.MULTILINE)


@pytest.mark.parametrize("file", ARCHITECTURES, ids=name_of)
def test_an_architecture_defines_the_agreed_words_in_their_order(file):
    words, names = agreed_words(), list(public_names(tree_of(file)))
    assert [name for name in names if name in words] == [word for word in words if word in names]
    assert {name for name in names if name.isupper()} <= {*words, *SHORTHAND}
    assert "LIKE" in names or {*words} - {*names} <= {"LIKE", *arch.EMPTY}


@pytest.mark.parametrize("file", ARCHITECTURES, ids=name_of)
def test_an_architecture_says_nothing_that_goes_without_saying(file):
    module = importlib.import_module(f"armature.arch.{file.stem}")
    given = {*agreed_words()} & {*public_names(tree_of(file))} - {"LIKE"}
    like = vars(module.LIKE) if hasattr(module, "LIKE") else arch.EMPTY
    again = [word for word in given if word in like and getattr(module, word) == like[word]]
    assert not again, "leave it out"


@pytest.mark.parametrize("file", ARCHITECTURES, ids=name_of)
def test_an_architecture_builds_on_at_most_one_other_that_builds_on_none(file):
    def parents(of):
        found = {
            name.split(".")[2]
            for name in imported(tree_of(of))
            if name.startswith("armature.arch.")
        }
        files = {file.stem for file in ARCHITECTURES}
        return (found & files) - {of.stem}

    above = parents(file)
    assert len(above) <= 1
    renames = not any(isinstance(node, ast.FunctionDef) for node in tree_of(file).body)
    for name in above if not renames else ():
        assert not parents(PACKAGE / "arch" / f"{name}.py")


def words_of_code(file):
    """Yield (line, text) of a file's code: its comments and docstrings may refer to papers."""
    text = file.read_text(encoding="utf-8")
    docs = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.NAME, tokenize.STRING) and token.start[0] not in docs:
            yield token.start[0], CAMEL.sub(" ", token.string)


BELOW = [
    file
    for part in ("layers", "model", "outputs", "checkpoint")
    for file in (PACKAGE / part).rglob("*.py")
]


@pytest.mark.parametrize("file", [*BELOW, PACKAGE / "batch.py", PACKAGE / "config.py"], ids=name_of)
def test_nothing_below_arch_names_an_architecture(file):
    found = [f"{line}: {word}" for line, word in words_of_code(file) if NAMED.search(word)]
    assert not found, "give the architecture's file a word for it instead"


def test_the_anatomy_has_few_fields():
    classes = [
        node
        for node in tree_of(PACKAGE / "model" / "spec.py").body
        if isinstance(node, ast.ClassDef)
    ]
    fields = [
        f"{c.name}.{f.target.id}" for c in classes for f in c.body if isinstance(f, ast.AnnAssign)
    ]
    assert len(fields) <= SPEC_FIELDS, "compose variants instead of adding flags"


def test_packages_are_flat_and_modules_have_real_names():
    for file in FILES:
        parts = file.relative_to(PACKAGE).parts
        assert len(parts) <= 3, f"{file}: at most two packages deep"
        assert not {"utils", "helpers", "common", "misc"} & {
            part.removesuffix(".py") for part in parts
        }


# Calls that run what a file says.
RUNNING = {"eval", "exec", "__import__", "Unpickler", "pickle.load", "pickle.loads", "torch.load"}


def test_nothing_imports_the_reference_library_or_runs_what_a_file_says():
    for file in FILES:
        tree = tree_of(file)
        roots = {str(name).split(".")[0] for name in imported(tree)}
        assert not roots & {"transformers", "marshal", "shelve", "dill", "runpy"}, file
        calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        assert not calls & RUNNING, file


def test_every_module_says_what_it_is_for():
    for file in FILES:
        doc = ast.get_docstring(tree_of(file)) or ""
        assert doc.split("\n")[0].endswith((".", ":", "。")), f"{file}: begin with one sentence"
