"""Sentence embeddings: texts to unit vectors whose dot product is their likeness in meaning.

A checkpoint says in its own files (`modules.json`, `1_Pooling/config.json`…) how the hidden states
of its tokens become one vector; a checkpoint without these files is pooled by the mean.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from armature.errors import ArgumentError, CheckpointError, ConfigError

if TYPE_CHECKING:
    from torch import Tensor

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
TOKENS_AT_ONCE = 4096

POOLINGS = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "last",
}


class Embedder:
    """A text encoder together with the way in which its tokens become one vector."""

    def __init__(self, model: Any, tokenizer: Any, settings: Mapping[str, Any]) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.pooling: str = settings["pooling"]
        self.normalize: bool = settings["normalize"]
        self.max_length: int = settings["max_length"]

    @classmethod
    def from_pretrained(cls, name: str | Path = DEFAULT_MODEL, **options: Any) -> Embedder:
        """Open a checkpoint by name or folder, with the options of `AutoModel.from_pretrained`."""
        from armature.auto import AutoModel, AutoTokenizer
        from armature.checkpoint.hub import HUB_OPTIONS, resolve

        places = {key: value for key, value in options.items() if key in HUB_OPTIONS}
        tokenizer = AutoTokenizer.from_pretrained(name, **places)
        model = AutoModel.from_pretrained(name, **options)
        return cls(model, tokenizer, read_settings(resolve(name, **places), model.config))

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Return the vectors of `texts`, (B, D), in their order.

        Batches hold texts of like length, up to a budget of tokens; a batch changes no result.
        """
        import torch

        if isinstance(texts, str):
            raise ArgumentError("encode takes a list of texts; wrap the one text in a list")
        rows = self.tokenizer(list(texts), truncation=True, max_length=self.max_length)["input_ids"]
        vectors = torch.empty(len(rows), self.model.config.hidden_size)
        for batch in _batches(rows):
            rows_of_batch = {"input_ids": [rows[i] for i in batch]}
            inputs = self.tokenizer.pad(rows_of_batch, return_tensors="pt").to(self.model.device)
            with torch.inference_mode():
                states = self.model(**inputs).last_hidden_state
                vectors[batch] = self._pool(states, inputs["attention_mask"]).float().cpu()
        return torch.nn.functional.normalize(vectors, dim=-1) if self.normalize else vectors

    def rank(self, text: str, labels: Sequence[str]) -> list[tuple[str, float]]:
        """Order `labels` by their likeness to `text`, best first: zero-shot classification."""
        vectors = self.encode([text, *labels])
        scores = (vectors[1:] @ vectors[0]).tolist()
        return sorted(zip(labels, scores, strict=True), key=lambda pair: -pair[1])

    def _pool(self, states: Tensor, mask: Tensor) -> Tensor:
        """Make one vector of each row's tokens: (B, T, D), (B, T) → (B, D)."""
        if self.pooling == "cls":
            return states[:, 0]
        if self.pooling == "last":
            return states[range(len(states)), mask.sum(-1) - 1]
        real = mask.unsqueeze(-1).bool()
        if self.pooling == "max":
            return states.masked_fill(~real, float("-inf")).amax(1)
        return states.masked_fill(~real, 0).sum(1) / mask.sum(-1, keepdim=True)


def read_settings(source: Any, config: Any) -> dict[str, Any]:
    """Read how a checkpoint pools, from the files that sentence-transformers writes.

    Raises:
        ConfigError: the checkpoint pools in a way that is not known here.
    """
    modules = _read(source, "modules.json", [])
    kinds = {str(module.get("type", "")).rsplit(".", 1)[-1]: module for module in modules}
    unknown = set(kinds) - {"Transformer", "Pooling", "Normalize"}
    if unknown:
        raise ConfigError(f"modules.json: no module of kind `{min(unknown)}` is known here")
    pooling = "mean"
    if "Pooling" in kinds:
        file = f"{kinds['Pooling'].get('path', '1_Pooling')}/config.json"
        modes = [key for key, on in _read(source, file, {}).items() if on and "pooling_mode" in key]
        if len(modes) != 1 or modes[0] not in POOLINGS:
            raise ConfigError(f"{file}: no pooling `{', '.join(modes)}` is known here")
        pooling = POOLINGS[modes[0]]
    limit = _read(source, "sentence_bert_config.json", {}).get("max_seq_length")
    return {
        "pooling": pooling,
        "normalize": not kinds or "Normalize" in kinds,
        "max_length": limit or config.get("max_position_embeddings", 512),
    }


def _read(source: Any, filename: str, default: Any) -> Any:
    path = source.find(filename)
    if path is None:
        return default
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(path, f"is not JSON ({error})", "fetch the file again") from error


def _batches(rows: Sequence[Sequence[int]]) -> list[list[int]]:
    """Group the indices of rows by length, longest first, within a budget of tokens."""
    batches: list[list[int]] = []
    room = 0
    for index in sorted(range(len(rows)), key=lambda i: -len(rows[i])):
        if room < len(rows[index]):
            batches.append([])
            room = TOKENS_AT_ONCE
        batches[-1].append(index)
        room -= len(rows[index])
    return batches
