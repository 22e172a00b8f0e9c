"""Sounds: frames of a sound → letters, labels, a vector for its voice, what was hidden of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from armature.config import Config
from armature.errors import ArgumentError, ConfigError
from armature.layers.linear import Linear
from armature.layers.sound import FEATURES, LENGTHS, MASKED, REAL
from armature.outputs import losses, tasks
from armature.outputs.heads import Given, HeadModule

Sizes = tuple[int, int, int]


class Letters(HeadModule):
    """Scores of letters for each frame: logits (B, T, V); all ways to read labels count."""

    def forward(self, x: Tensor, given: Given) -> dict[str, Tensor | None]:
        """Packed states (N, D) → loss, logits."""
        logits, labels = given.layout.unpack(self.score(x)), given.labels.get("labels")
        if labels is None:
            return {"logits": logits}
        if int(labels.max()) >= logits.shape[-1]:
            raise ArgumentError(
                f"labels hold {int(labels.max())}, but the model knows {logits.shape[-1]} letters"
            )
        c = self.config
        how, blank = (c.ctc_loss_reduction, bool(c.ctc_zero_infinity)), c.pad_token_id
        loss = losses.letters(logits, labels, given.further[LENGTHS], blank, how)
        return {"loss": loss, "logits": logits}


class Blended(HeadModule):
    """Base of heads that read the last states, or a blend of all blocks'."""

    def __init__(self, spec: tasks.Blended, config: Config, sizes: Sizes) -> None:
        super().__init__(spec, config, sizes)
        self.blends = bool(config.use_weighted_layer_sum)
        self.shows = self.blends and spec.shown
        depth = config.num_hidden_layers + 1
        self.blend = nn.Parameter(torch.empty(depth)) if self.blends else None

    def read(self, x: Tensor, given: Given) -> Tensor:
        """Packed states (N, D) → what the head reads, (N, D)."""
        if self.blend is None:
            return x
        shares, states = self.blend.softmax(-1), given.further["states"]
        return torch.stack([states[i] * share for i, share in enumerate(shares)]).sum(0)


class SoundLabels(Blended):
    """Scores for whole sounds: logits (B, labels)."""

    def forward(self, x: Tensor, given: Given) -> dict[str, Tensor | None]:
        """Packed states (N, D) → loss, logits."""
        frames = given.layout.unpack(self.read(x, given))
        lengths = given.further[LENGTHS].to(x.device)
        real = torch.arange(frames.shape[1], device=x.device) < lengths[:, None]
        mean = (frames * real[..., None]).sum(1) / real.sum(1, keepdim=True).to(x.dtype)
        logits, labels = self.score(mean), given.labels.get("labels")
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits, labels.to(logits.device).flatten())
        return {"loss": loss, "logits": logits}


class FrameLabels(Blended):
    """Scores for each frame: logits (B, T, labels)."""

    def forward(self, x: Tensor, given: Given) -> dict[str, Tensor | None]:
        """Packed states (N, D) → loss, logits; labels are (B, T, labels), one of each row set."""
        logits, labels = (
            given.layout.unpack(self.score(self.read(x, given))),
            given.labels.get("labels"),
        )
        loss = None
        if labels is not None:
            if labels.shape != logits.shape:
                raise ArgumentError(
                    f"labels have the shape {tuple(labels.shape)}, but the scores "
                    f"{tuple(logits.shape)}: give every frame a row with a one at its label"
                )
            best = labels.to(logits.device).argmax(-1).flatten()
            loss = F.cross_entropy(logits.flatten(0, 1), best)
        return {"loss": loss, "logits": logits}


class Tap(nn.Module):
    """A convolution over frames, written as a linear map of a window's frames (TDNN)."""

    def __init__(self, width: int, out: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.kernel = Linear(width * kernel, out)
        self.size, self.dilation = kernel, dilation

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) → (B, T', D')."""
        weight = self.kernel.weight.unflatten(1, (self.size, -1)).transpose(1, 2)
        y = F.conv1d(x.transpose(1, 2), weight, self.kernel.bias, dilation=self.dilation)
        return F.relu(y).transpose(1, 2)


class Voices(Blended):
    """A vector for the voice of each sound (Snyder et al., 2018): logits, embeddings (B, width)."""

    def __init__(self, spec: tasks.Speakers, config: Config, sizes: Sizes) -> None:
        widths, out = list(config.tdnn_dim), config.xvector_output_dim
        super().__init__(spec, config, (sizes[0], widths[0], out))
        shapes = zip(
            [widths[0], *widths], widths, config.tdnn_kernel, config.tdnn_dilation, strict=False
        )
        self.layers = nn.ModuleList(Tap(*shape) for shape in shapes)
        self.vector = Linear(2 * widths[-1], out)
        self.out = Linear(out, out)
        self.voices = nn.Parameter(torch.empty(out, int(config.num_labels)))

    def forward(self, x: Tensor, given: Given) -> dict[str, Tensor | None]:
        """Packed states (N, D) → loss, logits, embeddings."""
        assert self.dense is not None and self.out is not None
        frames = self.dense(given.layout.unpack(self.read(x, given)))
        lengths = given.further[LENGTHS]
        if REAL not in given.further:  # states that are blended are those before an adapter
            lengths = torch.full_like(lengths, frames.shape[1])
        for layer in self.layers:
            frames = layer(frames)
            # HF: gaps between a window's frames are not counted: it may read past a sound's end.
            lengths = lengths - layer.size + 1  # type: ignore[operator]
        kept = [row[:length] for row, length in zip(frames, lengths.tolist(), strict=True)]
        both = [torch.cat((row.mean(0), row.std(0))) for row in kept]
        vectors = self.vector(torch.stack(both))
        logits, labels = self.out(vectors), given.labels.get("labels")
        loss = None if labels is None else losses.margin(logits, self.voices, labels)
        return {"loss": loss, "logits": logits, "embeddings": vectors}


class Codebook(HeadModule):
    """Frames against codes of what was heard there (Baevski et al., 2020)."""

    def __init__(self, spec: tasks.HiddenFrames, config: Config, sizes: Sizes) -> None:
        width, features, _ = sizes
        super().__init__(spec, config, (width, config.proj_codevector_dim, 0))
        self.groups, count = config.num_codevector_groups, config.num_codevectors_per_group
        if config.codevector_dim % self.groups:
            raise ConfigError(
                f"config.json: codevector_dim is {config.codevector_dim}, no multiple of "
                f"{self.groups} groups (num_codevector_groups)"
            )
        each = config.codevector_dim // self.groups
        self.codes = nn.Parameter(torch.empty(1, self.groups * count, each))
        self.chooses = Linear(features, self.groups * count)
        self.project = Linear(config.codevector_dim, config.proj_codevector_dim)
        self.temperature = 2.0  # of choices while training

    def forward(self, x: Tensor, given: Given) -> dict[str, Tensor | None]:
        """Packed states (N, D) → the fields of the result."""
        masked, others = given.further.get(MASKED), given.labels.get("sampled_negative_indices")
        states = given.layout.unpack(self.features(x))  # (B, T, P)
        codes, perplexity = self.quantised(given.further[FEATURES], masked)
        codes = self.project(codes)
        found: dict[str, Any] = {
            "projected_states": states,
            "projected_quantized_states": codes,
            "codevector_perplexity": perplexity,
        }
        if others is None:
            return found
        if masked is None:
            raise ArgumentError(f"sampled_negative_indices are compared at {MASKED}: give both")
        c = self.config
        apart = losses.contrast(states, codes, others, masked, c.contrastive_logits_temperature)
        size = self.codes.shape[1]
        spread = (size - perplexity) / size * masked.sum()
        loss = apart + c.diversity_loss_weight * spread
        return found | {"loss": loss, "contrastive_loss": apart, "diversity_loss": spread}

    def quantised(self, features: Tensor, masked: Tensor | None) -> tuple[Tensor, Tensor]:
        """(B, T, C) → the codes chosen (B, T, codes' width), and how evenly they are used."""
        scores = self.chooses(features).unflatten(-1, (self.groups, -1))  # (B, T, G, V)
        if self.training:
            chosen = F.gumbel_softmax(scores.float(), tau=self.temperature, hard=True).to(
                scores.dtype
            )
            used = scores.float().softmax(-1)
        else:
            chosen = F.one_hot(scores.argmax(-1), scores.shape[-1]).to(scores.dtype)
            used = chosen
        rows = used.flatten(0, 1)
        rows = rows if masked is None else rows[masked.flatten().bool()]
        shares = rows.mean(0)  # (G, V)
        perplexity = torch.exp(-torch.xlogy(shares, shares).sum(-1)).sum()
        books = self.codes.unflatten(1, (self.groups, -1))[0]  # (G, V, each)
        return torch.einsum("btgv,gve->btge", chosen, books).flatten(2), perplexity


def build_sound_head(spec: tasks.Head, config: Config, body: Any) -> nn.Module:
    """Build a head that only sounds have.

    Raises:
        ConfigError: the head reads frames that an adapter has joined, or there is no vocabulary.
    """
    embed = body.embed
    width, labels = embed.width, int(config.num_labels)
    adapter = getattr(embed, "adapter", None)
    if isinstance(spec, tasks.CTC):
        if config.vocab_size is None:
            raise ConfigError("config.json: vocab_size says how many letters there are; it is null")
        width = width if adapter is None else adapter.width
        return Letters(spec, config, (width, width, config.vocab_size))
    if isinstance(spec, tasks.SoundClassifier | tasks.FrameClassifier) and adapter is not None:
        raise ConfigError("config.json: add_adapter joins frames, which labels cannot be read off")
    if isinstance(spec, tasks.SoundClassifier):
        return SoundLabels(spec, config, (width, config.classifier_proj_size, labels))
    if isinstance(spec, tasks.FrameClassifier):
        return FrameLabels(spec, config, (width, width, labels))
    if isinstance(spec, tasks.Speakers):
        return Voices(spec, config, (width, width, labels))
    assert isinstance(spec, tasks.HiddenFrames)
    return Codebook(spec, config, (width, embed.frames.width, 0))
