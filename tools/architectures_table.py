"""Write docs/architectures.md from what the architectures' files say.

    python tools/architectures_table.py [--check]

With --check nothing is written: the status is 1 if the page is out of date.
"""

from __future__ import annotations

import sys
from pathlib import Path

from armature import arch
from armature.auto import auto_names
from armature.model import spec
from armature.opening import config_class

PAGE = Path(__file__).parent.parent / "docs" / "architectures.md"

HEADER = """\
# Architectures

Generated from `armature/arch/` by `tools/architectures_table.py` (`make docs`): one row for each
file there, as its default settings build it. A word in *italics* is an organ of the file's own.

| model_type | what it is | norms | positions | attention | mlp | tasks |
|---|---|---|---|---|---|---|
"""


def row(model_type):
    module = arch.find(model_type)
    anatomy = module.spec(config_class(model_type)())
    match anatomy:
        case spec.EncoderDecoder():
            stacks = [anatomy.encoder, anatomy.decoder]
        case spec.Pyramid():
            stacks = list(anatomy.stages[:1])
        case spec.Own():
            stacks = []
        case _:
            stacks = [anatomy]
    blocks = [first(part) for part in stacks]
    title = module.__doc__.split("\n")[0].rstrip(".")
    cells = [
        f"[`{model_type}`](../armature/arch/{Path(module.__file__).name})",
        title,
        "; ".join(_unique(norms(block) for block in blocks)),
        "; ".join(_unique(positions(s, b) for s, b in zip(stacks, blocks, strict=True))),
        "; ".join(_unique(attention(block) for block in blocks)),
        "; ".join(_unique(mlp(getattr(block, "mlp", block)) for block in blocks)),
        ", ".join(tasks(module.HEADS)),
    ]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def first(part):
    """The first block of a stack or a stage; an architecture's own is `Own`."""
    if isinstance(part, spec.Stage):
        return part.blocks[0]
    return part.block(0) if callable(part.block) else part.block


def norms(block):
    if isinstance(block, spec.Own):
        return "*own*"
    order = type(block.order).__name__.lower()
    return f"{order} {type(block.order.norm).__name__}"


def positions(stack, block):
    found = []
    place = getattr(getattr(stack, "embed", None), "position", None)
    if place is not None:
        found.append(type(place).__name__.lower())
    organ = getattr(block, "attn", block)
    if getattr(organ, "rotary", None) is not None:
        found.append("rotary")
    match getattr(stack, "bias", None):
        case spec.Own():
            found.append("*own bias*")
        case spec.Alibi():
            found.append("slopes")
        case spec.Relative():
            found.append("relative bias")
    if isinstance(organ, spec.Own):
        found.append("*own*")
    if isinstance(organ, spec.Windows):
        found.append("offsets")
    return ", ".join(found) or "none"


def attention(block):
    attn = getattr(block, "attn", block)
    if isinstance(attn, spec.Own):
        return "*own*"
    grouped = attn.kv_heads and attn.kv_heads != attn.heads
    if isinstance(attn, spec.Windows):
        return f"shifted windows of {attn.window} × {attn.window}"
    words = ["causal" if attn.causal else "both ways"]
    words += [f"{attn.heads // attn.kv_heads} heads share keys"] if grouped else []
    words += [f"window {attn.window}"] if attn.window else []
    words += ["crossed"] if block.cross is not None else []
    return ", ".join(words)


def mlp(organ):
    match organ:
        case spec.Own():
            return "*own*"
        case spec.MoE():
            return f"{organ.top} of {organ.experts} experts, {organ.act}"
        case spec.Gated():
            return f"gated {organ.act}"
        case _:
            return organ.act


def tasks(heads):
    """The words after AutoModelFor under which the architecture's classes are opened."""
    for class_name in heads:
        for name in auto_names(class_name)[:1]:
            if name != "AutoModel":
                yield name.removeprefix("AutoModelFor")


def _unique(values):
    return dict.fromkeys(values)


def main():
    text = HEADER + "\n".join(row(model_type) for model_type in arch.names()) + "\n"
    if "--check" in sys.argv:
        sys.exit(PAGE.read_text(encoding="utf-8") != text)
    PAGE.write_text(text, encoding="utf-8")
    print(f"{PAGE.relative_to(Path.cwd())}: {len(arch.names())} architectures")


if __name__ == "__main__":
    main()
