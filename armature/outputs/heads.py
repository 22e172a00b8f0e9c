"""Heads: packed hidden states → scores and, with labels, losses."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from armature.batch import Layout
from armature.config import Config
from armature.layers.act import activation
from armature.layers.linear import Linear
from armature.layers.norm import LayerNorm
from armature.outputs import losses, tasks
from armature.outputs.beams import Beams
from armature.outputs.chain import LinearChain, inside_after_begin
from armature.outputs.picking import Given, pick
from armature.outputs.summary import Summary, rate


class Spare(nn.Module):
    """A dense map that nothing reads: kept, so that a file saved again is as it was."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(width, width))
        self.register_buffer("bias", torch.zeros(width))


class Path(nn.Module):
    """dense ▸ activation ▸ norm ▸ dropout ▸ out, each part only where the head has it."""

    def __init__(self, spec: tasks.Head, config: Config, sizes: tuple[int, int, int]) -> None:
        super().__init__()
        self.spec, self.config = spec, config
        width, inner, labels = sizes
        self.dropout_in = nn.Dropout(rate(spec.dropout_in, config))
        self.open = not spec.gate or bool(config.get(spec.gate))
        self.dense = Linear(width, inner) if spec.dense and self.open else None
        self.act = activation(read(spec.act, config))
        normed = spec.norm and self.open
        self.norm = LayerNorm(inner, eps=float(read(spec.eps, config))) if normed else None
        self.dropout = nn.Dropout(rate(spec.dropout, config))
        self.out = Linear(inner, labels, bias=spec.bias) if spec.out else None
        self.spare = Spare(width) if spec.spare else None

    def score(self, x: Tensor) -> Tensor:
        """(…, D) → (…, labels)."""
        x = self.features(x)
        return x if self.out is None else self.out(x)

    def features(self, x: Tensor) -> Tensor:
        """(…, D) → what the output map reads."""
        if self.dense is not None:
            x = self.act(self.dense(self.dropout_in(x)))
        return self.dropout(x if self.norm is None else self.norm(x))


def read(value: Any, config: Config) -> Any:
    """Return `value`, or the config's setting where it is a text that begins with `@`."""
    if isinstance(value, str) and value.startswith("@"):
        return getattr(config, value[1:])
    return value


class HeadModule(Path):
    """Base of the tasks: what to do with a path's scores."""

    def forward(self, x: Tensor, given: Given) -> dict[str, Tensor | None]:
        """Packed states (N, D) → the fields of the result."""
        raise NotImplementedError(f"{type(self).__name__} does not score anything")


class Pooler(HeadModule):
    """One token of each sequence through a dense map, or their mean: pooler_output (B, D)."""

    spec: tasks.Base

    def forward(self, x: Tensor, given: Given) -> dict[str, Tensor | None]:
        """Packed states (N, D) → pooler_output."""
        which = self.spec.pick if self.open else "first"
        pooled = self.score(pick(x, given, which, self.config))
        if isinstance(self.spec, tasks.PooledMap):
            pooled = pooled[..., None, None]
        return {"pooler_output": pooled}


class Words(HeadModule):
    """Scores of the vocabulary for every token: logits (B, T, V)."""

    spec: tasks.WordHead

    def __init__(self, spec: tasks.WordHead, config: Config, sizes: tuple[int, int, int]) -> None:
        width, narrow, words = sizes
        super().__init__(spec, config, (width, width, words) if spec.rest else sizes)
        self.rest = Linear(words, width - narrow, bias=False) if spec.rest else None
        if spec.rest:
            self.out = Linear(narrow, words, bias=spec.bias)

    def score(self, x: Tensor) -> Tensor:
        """(…, D) → (…, V)."""
        if self.rest is None or self.out is None:
            return super().score(x)
        logits = self.features(x) @ torch.cat((self.out.weight.T, self.rest.weight))
        return logits if self.out.bias is None else logits + self.out.bias

    def scores(self, x: Tensor) -> Tensor:
        """(N, D) → (N, V)."""
        if self.spec.scale is not None:
            x = x * self.spec.scale(self.config)
        logits = self.score(x)
        cap = self.config.stated(self.spec.cap) if self.spec.cap else None
        if cap is not None:
            logits = torch.tanh(logits / cap) * cap
        shift = getattr(self, "shift", None)  # (1, V) a constant that some files add
        if shift is None:
            return logits
        if shift.device.type == "cpu" and not torch.compiler.is_compiling():
            # Nearly all files shift by nothing, and a sum over all scores takes its time.
            if not bool(shift.any()):
                return logits.to(torch.result_type(logits, shift))
            if getattr(self.out, "unwatched", False) and shift.dtype is logits.dtype:
                return logits.add_(shift)
        return logits + shift

    def forward(self, x: Tensor, given: Given) -> dict[str, Tensor | None]:
        """Packed states (N, D) → loss, logits."""
        logits, labels = given.layout.unpack(self.scores(x)), given.labels.get("labels")
        shift = isinstance(self.spec, tasks.CausalLM) and self.spec.shift
        loss = None if labels is None else losses.words(logits, _real(labels, given), shift=shift)
        return {"loss": loss, "logits": logits}


class WordsAndOrder(Words):
    """Scores of words, and of the order of two sentences (B, 2)."""

    spec: Any  # tasks.PreTraining

    def __init__(
        self, spec: tasks.PreTraining, config: Config, sizes: tuple[int, int, int]
    ) -> None:
        super().__init__(spec, config, sizes)
        sentence = tasks.Head(dense=spec.pooler, act="tanh", out=spec.order, gate=spec.pooler_gate)
        orders = spec.orders or int(config.num_labels)
        self.order = Path(sentence, config, (sizes[0], sizes[0], orders))

    def forward(self, x: Tensor, given: Given) -> dict[str, Tensor | None]:
        """Packed states (N, D) → loss, prediction_logits and the order's logits."""
        fields = super().forward(x, given)
        order = self.order.score(pick(x, given, "first", self.config))
        label = given.labels.get(self.spec.label)
        loss = fields["loss"]
        if label is not None and loss is not None:
            loss = loss + losses.sequence(order, label, "single_label_classification")
        else:
            loss = None
        return {"loss": loss, "prediction_logits": fields["logits"], self.spec.result: order}


class WordsAndChoice(Words):
    """Scores of words for every choice (B, choices, T, V), and one for each (B, choices)."""

    spec: Any  # tasks.DoubleHeads

    def __init__(
        self, spec: tasks.DoubleHeads, config: Config, sizes: tuple[int, int, int]
    ) -> None:
        super().__init__(spec, config, sizes)
        self.summary = Summary(config, sizes[0], labels=1)

    def forward(self, x: Tensor, given: Given) -> dict[str, Tensor | None]:
        """Packed states (N, D) → loss, mc_loss, logits, mc_logits."""
        labels, places = given.labels.get("labels"), given.labels.get("mc_token_ids")
        if labels is not None:
            given.labels["labels"] = labels.flatten(0, -2)
        fields = super().forward(x, given)
        choice = self.summary(self._picked(x, given, places)).squeeze(-1)
        if given.choices and fields["logits"] is not None:
            fields["logits"] = fields["logits"].unflatten(0, (-1, given.choices))
        best = given.labels.get("mc_labels")
        if best is not None:
            scores = choice.flatten(0, -2) if choice.dim() > 1 else choice[None]
            best = losses.sequence(scores, best, "single_label_classification")
        return fields | {"mc_logits": choice, "mc_loss": best}

    def _picked(self, x: Tensor, given: Given, places: Tensor | None) -> Tensor:
        """Return the states (B, D), or (B, choices, D), that the summary reads."""
        which, choices = self.summary.pick, given.choices
        if self.summary.placed and places is not None:
            whole = given.layout.unpack(x)
            states = whole[torch.arange(len(whole), device=x.device), places.flatten()]
        elif not choices or self.summary.placed:
            states = pick(x, given, which, self.config)
        else:  # HF: with several choices these count the choices, not the tokens
            whole = given.layout.unpack(x).unflatten(0, (-1, choices))
            return whole.mean(1) if which == "mean" else whole[:, 0 if which == "first" else -1]
        return states.unflatten(0, (-1, choices)) if choices else states


class Sequences(HeadModule):
    """Scores for whole sequences: logits (B, labels)."""

    spec: tasks.SequenceHead

    def __init__(
        self, spec: tasks.SequenceHead, config: Config, sizes: tuple[int, int, int]
    ) -> None:
        summary = Summary(config, sizes[0]) if spec.summary else None
        inner = sizes[1] if summary is None else summary.size
        super().__init__(spec, config, (sizes[0], inner, sizes[2]))
        self.summary = summary

    def forward(self, x: Tensor, given: Given) -> dict[str, Tensor | None]:
        """Packed states (N, D) → loss, logits."""
        logits, labels = self.score(self._picked(x, given)), given.labels.get("labels")
        problem = self.config.problem_type
        if isinstance(self.spec, tasks.NextSentence):
            problem = "single_label_classification"
        if isinstance(self.spec, tasks.MultipleChoice):
            logits, problem = logits.view(-1, given.choices), "single_label_classification"
        soft = isinstance(self.spec, tasks.SequenceClassifier) and self.spec.soft
        soft = soft and problem is None
        if soft and logits.shape[-1] > 1:
            problem = "soft_label_classification"
        loss = None if labels is None else losses.sequence(logits, labels, problem)
        if soft and logits.shape[-1] == 1 and labels is not None:
            logits = logits.flatten()  # HF: beside labels, a single score loses its column
        return {"loss": loss, "logits": logits}

    def _picked(self, x: Tensor, given: Given) -> Tensor:
        layout = given.layout
        if self.summary is not None:
            if self.spec.column:
                given = Given(Layout.of(None, (layout.rows, layout.width), x.device))
                x = layout.unpack(x).flatten(0, 1)
            return self.summary(pick(x, given, self.summary.pick, self.config))
        return pick(x, given, self.spec.pick if self.open else "first", self.config)


class Projected(HeadModule):
    """One vector for each sequence (B, P), perhaps normed before it is mapped."""

    spec: tasks.Projection

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of the result."""
        return (self.spec.result, "last_hidden_state", "hidden_states", "attentions")

    def forward(self, x: Tensor, given: Given) -> dict[str, Tensor | None]:
        """Packed states (N, D) → the vectors, and the states (B, T, D)."""
        vectors = self.score(pick(x, given, self.spec.pick, self.config))
        return {self.spec.result: vectors, "last_hidden_state": given.layout.unpack(x)}


class Detections(HeadModule):
    """One score for every token, high where it was replaced: logits (B, T)."""

    def forward(self, x: Tensor, given: Given) -> dict[str, Tensor | None]:
        """Packed states (N, D) → loss, logits."""
        scores, labels = self.score(x)[:, 0], given.labels.get("labels")
        loss = None
        if labels is not None:
            wanted = given.layout.pack(labels.to(scores.device)).to(scores.dtype)
            real = slice(None) if given.mask is None else given.mask.flatten() > 0
            loss = nn.functional.binary_cross_entropy_with_logits(scores[real], wanted[real])
        return {"loss": loss, "logits": given.layout.unpack(scores)}


class Tokens(HeadModule):
    """Scores of labels for every token: logits (B, T, labels); with a chain, paths of them."""

    def __init__(self, spec: tasks.Head, config: Config, sizes: tuple[int, int, int]) -> None:
        super().__init__(spec, config, sizes)
        self.chain: LinearChain | None = None

    def learn_chain(self) -> None:
        """Score what may follow what, too: labels come as paths from now on."""
        self.chain = LinearChain(int(self.config.num_labels))

    def forward(self, x: Tensor, given: Given) -> dict[str, Tensor | None]:
        """Packed states (N, D) → loss, logits; with a chain and without labels, paths (B, T)."""
        logits, labels = given.layout.unpack(self.score(x)), given.labels.get("labels")
        if self.chain is not None:
            return {"logits": logits, **self._joined(self.chain, logits, labels, given)}
        loss = None if labels is None else losses.words(logits, _real(labels, given), shift=False)
        return {"loss": loss, "logits": logits}

    def _joined(
        self, chain: LinearChain, logits: Tensor, labels: Tensor | None, given: Given
    ) -> dict[str, Tensor]:
        """Return the loss or the best paths; a token whose label is -100 is not on the path."""
        if labels is not None:
            labels = _real(labels, given).to(logits.device)
            kept = labels != losses.IGNORED
            return {"loss": -chain.log_likelihood(logits.float(), labels, kept).mean()}
        constrained = self.config.get("crf_constraints") == "BIO"
        follows = inside_after_begin(self.config.id2label) if constrained else None
        return {"paths": chain.decode(logits, given.layout.mask, follows)}


class Ends(HeadModule):
    """Scores of an answer's first and last token, (B, T) each; padding can never be chosen."""

    def forward(self, x: Tensor, given: Given) -> dict[str, Tensor | None]:
        """Packed states (N, D) → loss, start_logits, end_logits."""
        both = self.score(x)
        both = given.layout.unpack(both, fill=torch.finfo(both.dtype).min)  # (B, T, 2)
        starts, ends = both[..., 0].contiguous(), both[..., 1].contiguous()
        first, last = given.labels.get("start_positions"), given.labels.get("end_positions")
        loss = None
        if first is not None and last is not None:
            loss = losses.spans(starts, ends, first, last)
        return {"loss": loss, "start_logits": starts, "end_logits": ends}


def _real(labels: Tensor, given: Given) -> Tensor:
    """Return labels (B, T) of which those at padding do not count."""
    return labels.masked_fill(~given.layout.mask.to(labels.device), losses.IGNORED)


def build_head(
    spec: tasks.Head, config: Config, width: int, words: tuple[int, int]
) -> HeadModule | None:
    """Build the head that `spec` describes on a body of `width`.

    Args:
        spec: what the class puts on the body.
        config: read for the number of labels and for what `spec` leaves to it.
        width: D, of the body's states.
        words: (V, D) of the body's token table, which a word head may share.

    Returns:
        The head, or None where a class has no parts of its own beside the body.
    """
    if isinstance(spec, tasks.Base):
        inner = int(config.get("pooler_output_size") or width)
        return Pooler(spec, config, (width, inner, 0)) if spec.pools else None
    if isinstance(spec, tasks.WordHead):
        sizes = (width, words[1], words[0])
        if isinstance(spec, tasks.PreTraining):
            return WordsAndOrder(spec, config, sizes)
        if isinstance(spec, tasks.DoubleHeads):
            return WordsAndChoice(spec, config, sizes)
        return Words(spec, config, sizes)
    if isinstance(spec, tasks.Projection):
        return Projected(spec, config, (width, width, int(config.projection_dim)))
    module, size = _SCORED[type(spec)]
    width *= 2 if getattr(spec, "pick", "") == "both" else 1
    return module(spec, config, (width, width, size or int(config.num_labels)))


# Heads that score labels: their module, and how many scores (0: one for each label).
_SCORED: dict[type[tasks.Head], tuple[type[Any], int]] = {
    tasks.SequenceClassifier: (Sequences, 0),
    tasks.NextSentence: (Sequences, 2),
    tasks.MultipleChoice: (Sequences, 1),
    tasks.TokenClassifier: (Tokens, 0),
    tasks.Detector: (Detections, 1),
    tasks.Spans: (Ends, 2),
    tasks.BeamSpans: (Beams, 0),
    tasks.ImageClassifier: (Sequences, 0),
}
