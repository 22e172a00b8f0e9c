"""Decoding: a model's scores for the next token → tokens, one step after another.

prompt ──▶ steps.start ─▶ scores ─▶ controls ─▶ choice ─▶ stop? ──▶ tokens
                             ▲                     │
                             └───── steps.step ◀───┘

`strategy` says which search follows a call's settings; each lives in a file of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from armature.outputs.decoding.chance import row_seed
    from armature.outputs.decoding.config import GenerationConfig
    from armature.outputs.decoding.constraints import DisjunctiveConstraint, PhrasalConstraint
    from armature.outputs.decoding.controls import LogitsProcessor, LogitsProcessorList
    from armature.outputs.decoding.engine import Engine
    from armature.outputs.decoding.logits import top_k_top_p_filtering
    from armature.outputs.decoding.stop import StoppingCriteria, StoppingCriteriaList
    from armature.outputs.decoding.stream import TextIteratorStreamer, TextStreamer

__all__ = [
    "DisjunctiveConstraint",
    "Engine",
    "GenerationConfig",
    "LogitsProcessor",
    "LogitsProcessorList",
    "PhrasalConstraint",
    "StoppingCriteria",
    "StoppingCriteriaList",
    "TextIteratorStreamer",
    "TextStreamer",
    "row_seed",
    "top_k_top_p_filtering",
]

# Public name → the module that defines it: settings are read without torch.
_HOMES = {
    "DisjunctiveConstraint": "constraints",
    "Engine": "engine",
    "GenerationConfig": "config",
    "LogitsProcessor": "controls",
    "LogitsProcessorList": "controls",
    "PhrasalConstraint": "constraints",
    "StoppingCriteria": "stop",
    "StoppingCriteriaList": "stop",
    "TextIteratorStreamer": "stream",
    "TextStreamer": "stream",
    "row_seed": "chance",
    "top_k_top_p_filtering": "logits",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
