"""UniLM (Dong et al., 2019): BERT, told by each call which tokens see which.

A row begins with a source, whose tokens see all of it; those after it see the source and their own
past. So a row without a source is read left to right, and one that is all source both ways.
Words are never scored where they stand: a mask stands in the place of the one to come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from armature.arch import bert, head_width, refuse
from armature.checkpoint.views import Pair, Rows, See, T, Target, View
from armature.config import Config
from armature.model.spec import Block, Learned, Own, Stack, Tokens
from armature.outputs import tasks

if TYPE_CHECKING:
    from torch import Tensor, nn

    from armature.batch import Layout
    from armature.layers.context import Context
    from armature.layers.embed import Inputs
    from armature.layers.kernels import Rule

    Reading = Literal["both ways", "left to right", "source, then target"]

DEFAULTS = bert.DEFAULTS | {"vocab_size": 28996, "type_vocab_size": 6}
DEFAULTS |= {"rel_pos_bins": 0, "max_rel_pos": 0, "no_segment_embedding": False}
DEFAULTS |= {"bos_token_id": 101, "eos_token_id": 102, "mask_token_id": 103}
SYNONYMS = {"layer_norm_eps": "layer_norm_epsilon"}
SYNONYMS |= {"source_type_id": "src_type_id", "target_type_id": "tgt_type_id"}

# What the first training called a text read left to right, a source, and a target.
_TRAINED = (2, 4, 5)


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    refuse(c, new_pos_ids=False, seg_emb=False, ffn_type=0, num_qkv=0, relax_projection=0)
    refuse(c, add_cross_attention=False)
    stack = bert.encoder(c, Learned(c.max_position_embeddings))
    assert isinstance(stack.block, Block)
    return replace(
        stack,
        embed=Own(lambda: _embed()(c, stack.embed)),
        block=replace(stack.block, attn=Own(lambda: _attention()(c))),
        bias=Own(lambda: _distances(c)) if min(c.rel_pos_bins, c.max_rel_pos) > 0 else None,
    )


def _distances(c: Config) -> nn.Module:
    from armature.layers.bias import Relative

    return Relative(c.num_attention_heads, c.rel_pos_bins, c.max_rel_pos, bidirectional=True)


def _segments(c: Config) -> tuple[int, int, int]:
    """Return the segments of a text read left to right, of a source and of a target."""
    trained = _TRAINED if c.type_vocab_size > max(_TRAINED) else (0, 0, 1)
    source, target = c.get("source_type_id", trained[1]), c.get("target_type_id", trained[2])
    return trained[0], source, target


@cache
def _embed() -> type:  # noqa: C901 - a module's methods
    import torch

    from armature.batch import extremes
    from armature.layers import embed, position
    from armature.model.build import build_norm

    class Embed(embed.Tokens):
        """Token, position and segment embeddings, and for the blocks which tokens see which."""

        takes = ("attention_mask", "source_lengths")
        decodes = property(lambda _self: _steps())  # the steps by which such a stack writes

        def __init__(self, c: Config, plain: Tokens) -> None:
            width = plain.width
            assert plain.norm is not None
            super().__init__(
                plain.vocab,
                width,
                position=position.Learned(c.max_position_embeddings, width, 0, None),
                types=0 if c.no_segment_embedding else plain.types,
                norm=build_norm(plain.norm, width),
            )
            self.takes_types = True  # where there is no table of them, they still name the target
            self.past, self.source, self.target = _segments(c)
            self.mask_token = c.mask_token_id
            self.reads: Reading = "left to right" if c.is_decoder else "both ways"

        def real(self, _ids: Tensor | None, given: Mapping[str, Any]) -> Tensor | None:
            """Return which tokens are real: those of a mask (B, T, T) that any token sees."""
            mask, first = given.get("attention_mask"), given.get("input_ids")
            if mask is None or mask.dim() < 3:
                return mask
            count = given["inputs_embeds"][..., 0].numel() if first is None else first.numel()
            return mask.flatten(0, -2) if mask.numel() == count else mask.amax(1)

        def forward(self, inputs: Inputs) -> Tensor:
            sight = self._sight(inputs)
            if inputs.types is None and self.segment is not None:
                inputs.types = self._silent(inputs)
            inputs.further = {"sight": sight}
            return super().forward(inputs)

        def _silent(self, inputs: Inputs) -> Tensor | None:
            """Return the segments (N,) of a call that names none."""
            counts = inputs.layout.counts
            if self.reads == "left to right":
                return torch.full_like(counts, self.past)
            later = torch.ones_like(counts) > 0 if any(inputs.layout.past) else self._later(inputs)
            return None if self.reads == "both ways" else self._pair(inputs, later)

        def _pair(self, inputs: Inputs, later: Tensor | None) -> Tensor:
            source = torch.full_like(inputs.layout.counts, self.source)
            return source if later is None else source.masked_fill(later, self.target)

        def _later(self, inputs: Inputs) -> Tensor | None:
            """Return which tokens (N,) follow a source: what a call says, or its segments do."""
            layout, lengths = inputs.layout, inputs.further.get("source_lengths")
            if lengths is not None:
                return layout.counts >= lengths.to(layout.device)[layout.row_of]
            # Segments 0 and 1 are those of any pair of sentences, except to write by.
            speaking = self.reads == "source, then target" or self.target > 1
            if not speaking or inputs.types is None:
                return None
            later = inputs.types == self.target
            return later | (inputs.types == self.past) if self.past > 1 else later

        def _sight(self, inputs: Inputs) -> bool | Tensor:
            """Return whether all see but their past, or what each does not see (B, S, S)."""
            layout, mask = inputs.layout, inputs.further.get("attention_mask")
            if mask is not None and mask.numel() > layout.rows * layout.width and not layout.past:
                return self._compact(mask == 0, layout)
            silent = "source_lengths" not in inputs.further
            if any(layout.past) or (silent and self.reads == "left to right"):
                return True
            later = self._later(inputs)
            if later is None:
                return False
            seen = extremes(later.long())
            if seen and seen[0] == seen[1]:
                return bool(seen[0])
            ahead = torch.ones(layout.width, layout.width, dtype=torch.bool, device=later.device)
            return self._compact(ahead.triu(1) & layout.unpack(later)[:, None], layout)

        def _compact(self, hidden: Tensor, layout: Layout) -> Tensor:
            """(B, T, T) → (B, S, S): leave padding out, on whichever side."""
            if layout.index is None:
                return hidden
            of, rows = layout.row_of, torch.arange(layout.rows, device=hidden.device)
            columns = of.new_zeros(layout.rows, layout.longest)
            columns = columns.index_put((of, layout.counts), layout.columns)
            return hidden[rows[:, None, None], columns[:, :, None], columns[:, None]]

        def prepare(self, prompt: Inputs) -> int:
            """Call all but a target begun the source; return the segment of what is written."""
            if self.reads == "left to right":
                prompt.types = torch.full_like(prompt.layout.counts, self.past)
                return self.past or self.target
            begun = None if prompt.types is None else prompt.types == self.target
            prompt.types = self._pair(prompt, begun)
            return self.target

    return Embed


@cache
def _attention() -> type:
    import torch
    from torch import Tensor

    from armature.layers.attention import SelfAttention

    class Attention(SelfAttention):
        """Attention that learns from the call what a token sees."""

        def __init__(self, c: Config) -> None:
            heads, width = c.num_attention_heads, head_width(c)
            super().__init__(c.hidden_size, heads, width, kv_heads=heads, bias=(True, True))

        def _rule(self, context: Context) -> Rule:
            rule, sight = super()._rule(context), context.shared["sight"]
            if not isinstance(sight, Tensor):
                return replace(rule, causal=sight)

            def hide(q: Tensor, k: Tensor, rows: slice) -> Tensor:
                hidden = sight[rows, None, : q.shape[2], : k.shape[2]]
                return torch.zeros_like(hidden, dtype=q.dtype).masked_fill(hidden, -10000.0)

            return replace(rule, content=hide)

    return Attention


@cache
def _steps() -> type:
    import torch

    from armature.batch import Layout
    from armature.layers.embed import Inputs
    from armature.model.steps import StackSteps

    class Steps(StackSteps):
        """Decode by a mask behind the text: it is scored, and forgotten before the next step."""

        def start(self) -> Tensor:
            layout, embed = self._prompt.layout, self._stack.embed
            self._segment = embed.prepare(self._prompt)
            self._prompt.positions = layout.counts
            self._run(self._prompt)
            self._positions = torch.tensor(layout.lengths, device=layout.device)
            return self._ask(self._positions.new_empty(layout.rows, 0))

        def step(self, tokens: Tensor) -> Tensor:
            return self._ask(tokens[:, None])

        def _ask(self, new: Tensor) -> Tensor:
            """Read new tokens (B, 0 or 1) and score (B, V) the place after them."""
            ids = torch.nn.functional.pad(new, (0, 1), value=self._stack.embed.mask_token)
            rows, width = ids.shape
            layout = Layout((width,) * rows, width, ids.device, past=self.cache.lengths)
            places = self._positions[:, None] + torch.arange(width, device=ids.device)
            types = torch.full_like(ids, self._segment).flatten()
            inputs = Inputs(layout, tokens=ids.flatten(), types=types, positions=places.flatten())
            states = self._run(inputs).unflatten(0, (rows, width))
            self.cache.lengths = tuple(length - 1 for length in self.cache.lengths)
            self._positions = self._positions + width - 1
            return self._score(states[:, -1])

    return Steps


def _words(reading: Reading) -> Callable[..., nn.Module]:
    """Return the maker of a word head whose texts are read in this way."""

    def make(spec: tasks.WordHead, config: Config, body: Any) -> nn.Module:
        from armature.outputs.heads import Words

        body.embed.reads = reading
        vocab, width = body.embed.token.weight.shape
        return Words(spec, config, (width, width, vocab))

    return make


class _Projections(Rows):
    """Queries, keys and values; some files hold them fused, and no bias of keys."""

    def pairs(self, target: Target, fill: Callable[[str], str]) -> Iterator[Pair]:
        """Yield one pair."""
        path, first, rows = fill("encoder.layer.{i}.attention.self."), target.first, target.shape[0]
        name, shapes = f"{path}{'q' if target.part == 'q' else 'v'}_bias", [(rows,), (1, 1, rows)]
        see: See = lambda d: d.new_zeros(rows) if target.part == "k" else d.reshape(rows)  # noqa: E731
        if target.suffix == "weight":
            name, shapes = f"{path}qkv_linear.weight", [(3 * rows, *target.shape[1:])]
            see = lambda d: d.narrow(0, first, rows)  # noqa: E731
        older = tuple(Pair(name, shape, theirs=see) for shape in shapes)
        for pair in super().pairs(target, fill):
            yield replace(pair, older=older)


PREFIX = "bert"
# fmt: off
NAMES: dict[str, str | View] = {
    **bert.NAMES,
    "blocks.{i}.attn.qkv": _Projections("encoder.layer.{i}.attention.self.{query,key,value}"),
}


def names(c: Config) -> dict[str, str | View]:
    """Return NAMES, and that of the bias of distances where there is one."""
    return NAMES | ({"bias": T("rel_pos_bias")} if min(c.rel_pos_bins, c.max_rel_pos) > 0 else {})


ALIASES = bert.ALIASES | {
    "encoder.rel_pos_bias":            "rel_pos_bias",
    "cls.predictions.decoder_weight":  "cls.predictions.decoder.weight",
}
IGNORED = (*bert.IGNORED, "crit_mask_lm_smoothed.one_hot")
UNUSED = (*bert.UNUSED, "label_smoothing", "fix_word_embedding", "task_idx", "fp32_embedding")

WORDS: dict[str, Any] = {**bert.WORDS, "make": _words("source, then target")}
HEADS = {name.replace("Bert", "Unilm"): head for name, head in bert.HEADS.items()} | {
    "UnilmLMHeadModel": tasks.CausalLM(shift=False, **{**WORDS, "make": _words("left to right")}),
    "UnilmForSeq2Seq":                tasks.Seq2SeqLM(**WORDS),
    "UniLMForConditionalGeneration":  tasks.Seq2SeqLM(**WORDS),
    "UniLMForSequenceClassification": bert.HEADS["BertForSequenceClassification"],
}
# fmt: on
INPUTS = "bert"
