"""Captions: texts about an image, written, read beside it, or told to fit it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from armature.batch import Layout
from armature.config import Config
from armature.errors import ArgumentError
from armature.layers.linear import Linear
from armature.model import call
from armature.model.call import Asked
from armature.model.composite import Composite
from armature.outputs import losses, tasks
from armature.outputs.heads import Words
from armature.outputs.picking import columns
from armature.outputs.towers import unit


class Captions(Composite):
    """An image's states, and those of a text that looks at them (Li et al., 2022)."""

    def __init__(self, vision: nn.Module, reader: nn.Module | None, writer: nn.Module | None):
        super().__init__()
        self.vision: Any = vision
        self.reader: Any = reader  # of questions
        self.writer: Any = writer  # of what is said about the image, or in answer to a question

    @property
    def lists(self) -> tuple[str, ...]:  # type: ignore[override]
        """The arguments of a call that are no tensors."""
        return ("use_itm_head",) if self.writer is None else ()

    @property
    def takes(self) -> tuple[str, ...]:  # type: ignore[override]
        """The arguments of a call that it reads."""
        texts = ("input_ids", "attention_mask")
        if self.reader is None:
            return (*self.vision.embed.takes, *texts)
        answer = ("decoder_input_ids", "decoder_attention_mask")
        further = (*self.vision.embed.takes, *(answer if self.writer is not None else self.lists))
        return (*texts, *further)

    @property
    def stack(self) -> Any:
        """The stack whose embeddings score words, or that reads."""
        return self.reader if self.writer is None else self.writer

    def see(
        self, given: Mapping[str, Any], asked: Asked | None = None
    ) -> tuple[Tensor, Layout, dict[str, Any]]:
        """Return an image's packed states (M, D), their layout, and its part of the result."""
        inputs, asked = self.vision.embed.open(given), asked or Asked()
        record = asked.record(self.vision)
        x = self.vision(inputs, record)
        seen = asked.seen(self.vision, record, inputs.layout)
        whole = inputs.layout.unpack(x)
        return x, inputs.layout, {"last_hidden_state": whole, "image_embeds": whole, **seen}

    def read(
        self, given: Mapping[str, Any], memory: Tensor | None, layout: Layout | None
    ) -> tuple[Tensor, Layout]:
        """Return the packed states (N, D) of a text that looks at an image, padding and all."""
        inputs = call.pack(given.get("input_ids"), None, given.get("attention_mask"), {})
        whole = inputs.whole
        inputs.keep_padding(0)
        inputs.tokens = None if whole is None else whole.flatten()
        x = self.reader(inputs, call.record((), ()), memory=memory, memory_layout=layout)
        return x, inputs.layout

    def answer(self, given: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
        """Return the image's part of the result, and what a head reads."""
        memory, layout, found = self.see(given, asked)
        ids, mask = given.get("input_ids"), given.get("attention_mask")
        if self.reader is not None:
            alone = given.get("use_itm_head", True) is False
            x, layout = self.read(given, *(None, None) if alone else (memory, layout))
            found["text"] = whole = columns(x, layout)
            if self.writer is None:
                return found | {"question_embeds": whole}
            # HF: an answer looks at a question's padding, too.
            memory, layout = x, Layout.of(None, (whole.shape[0], whole.shape[1]), x.device)
            ids, mask = given.get("decoder_input_ids"), given.get("decoder_attention_mask")
            ids = given.get("labels") if ids is None else ids
        if ids is None:
            raise ArgumentError(
                "give the text to score as labels or decoder_input_ids, or let generate() write it"
                if self.reader is not None
                else "give input_ids, a text to score, or let generate() write one"
            )
        inputs = call.pack(ids, None, mask, {})
        if given.get("labels") is not None:  # HF: those at padding count
            inputs.keep_padding(0)
            inputs.tokens = ids.flatten()
        x = self.writer(inputs, call.record((), ()), memory=memory, memory_layout=layout)
        return found | {"states": x, "layout": inputs.layout}


class Writer(Words):
    """Scores of the next word of a caption, or of an answer."""

    def __init__(self, spec: tasks.Captions, config: Config, body: Captions) -> None:
        words, width = body.writer.embed.token.weight.shape
        super().__init__(spec, config, (width, width, words))
        shown = ("image_embeds", "last_hidden_state", "hidden_states", "attentions")
        self.fields = ("loss", *(() if body.reader is not None else ("logits",)), *shown)

    def forward(self, x: Any, given: Any) -> dict[str, Tensor | None]:
        """States of the writer → loss, logits."""
        logits = columns(self.scores(x["states"]), x["layout"])
        labels, loss = given.get("labels"), None
        if labels is not None:
            eps = float(self.config.label_smoothing)
            loss = losses.smoothed(logits[:, :-1], labels[:, 1:], eps)
        return {"loss": loss, "logits": logits}


class Match(nn.Module):
    """Whether a text and an image go together: by reading it beside the image, or by angles."""

    fields = (
        "itm_score",
        "last_hidden_state",
        "hidden_states",
        "attentions",
        "question_embeds",
    )

    def __init__(self, widths: tuple[int, int], shared: int) -> None:
        super().__init__()
        self.out = Linear(widths[0], 2)
        self.text, self.vision = Linear(widths[0], shared), Linear(widths[1], shared)

    def forward(self, found: Any, given: Any) -> dict[str, Tensor]:
        """States of both → itm_score: (B, 2), or (images, texts) of cosines."""
        text = found["text"][:, 0]
        if given.get("use_itm_head", True):
            return {"itm_score": self.out(text)}
        image = self.vision(found["image_embeds"][:, 0])
        return {"itm_score": _safe(image) @ _safe(self.text(text)).t()}


def _safe(x: Tensor) -> Tensor:
    return F.normalize(x, dim=-1) if bool((x == 0).all(-1).any()) else unit(x)


def first_words(ids: Tensor | None, rows: int, begin: int, device: torch.device) -> Tensor:
    """Return what a caption begins with: (B, T) without their end, or the token `begin`."""
    if ids is None:
        return torch.full((rows, 1), begin, device=device)
    ids = ids.to(device).clone()
    ids[:, 0] = begin
    return ids[:, :-1] if ids.shape[1] > 1 else ids
