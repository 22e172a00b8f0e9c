"""Open any model checkpoint in one line and do its task: safely, exactly, fast.

    text ──┐                                                      ┌─ logits, spans, maps
           ├─▶ inputs ─▶ Layout ─▶ model ──────────────────▶ outputs
    image ─┘             packed    embed ▸ blocks ▸ norm,         └─ tokens (decoding) ─▶ task
                         tokens    built from layers as arch says,
                                   filled from checkpoint

Letters of tensor shapes, everywhere: N packed tokens, B sequences, T length, D width, H heads,
K key-value heads, E head width, F mlp width, V vocabulary, C channels, X experts.

Everything public is imported when it is first used, so `import armature` costs nothing:

    >>> from armature import AutoTokenizer, AutoModelForMaskedLM, pipeline
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from armature.auto import (
        AutoBackbone,
        AutoConfig,
        AutoFeatureExtractor,
        AutoImageProcessor,
        AutoModel,
        AutoProcessor,
        AutoTokenizer,
    )
    from armature.checkpoint.hub import cached_file
    from armature.outputs.decoding import Engine, GenerationConfig, top_k_top_p_filtering
    from armature.pipelines import pipeline

__version__ = "0.1.0"

# Public name → the module that defines it. Classes by name (BertModel, …) come from `auto.find`.
_HOMES = {
    "pipeline": "armature.pipelines",
    "cached_file": "armature.checkpoint.hub",
    "Config": "armature.config",
    "PreTrainedModel": "armature.pretrained",
    "BatchEncoding": "armature.inputs.encoding",
    "Engine": "armature.outputs.decoding",
    "GenerationConfig": "armature.outputs.decoding",
    "Cache": "armature.layers.cache",
    "cache_bytes": "armature.stepping",
    "LogitsProcessor": "armature.outputs.decoding",
    "LogitsProcessorList": "armature.outputs.decoding",
    "StoppingCriteria": "armature.outputs.decoding",
    "StoppingCriteriaList": "armature.outputs.decoding",
    "PhrasalConstraint": "armature.outputs.decoding",
    "DisjunctiveConstraint": "armature.outputs.decoding",
    "TextStreamer": "armature.outputs.decoding",
    "TextIteratorStreamer": "armature.outputs.decoding",
    "top_k_top_p_filtering": "armature.outputs.decoding",
    "ArmatureError": "armature.errors",
    "CheckpointError": "armature.errors",
}

__all__ = [
    "AutoBackbone",
    "AutoConfig",
    "AutoFeatureExtractor",
    "AutoImageProcessor",
    "AutoModel",
    "AutoProcessor",
    "AutoTokenizer",
    "Engine",
    "GenerationConfig",
    "cached_file",
    "pipeline",
    "top_k_top_p_filtering",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _HOMES and not name[0].isupper():
        raise AttributeError(f"armature has no {name!r}")  # modules are found by the import system
    from importlib import import_module

    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    else:
        auto = import_module("armature.auto")
        value = auto.find(name)
        if value is None:
            raise AttributeError(f"armature has no {name!r}.{auto.suggestion(name)}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List every public name, also those that nothing has used yet."""
    from armature.auto import names

    return sorted({"__version__", *_HOMES, *names()})
