"""Adaptive words (Grave et al., 2017): the rarer a cluster of words, the narrower its vectors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from armature.batch import extremes
from armature.errors import ArgumentError
from armature.layers.embed import Embedding, Inputs


@dataclass(frozen=True)
class Clusters:
    """Where clusters of words begin and end, and how wide their vectors are."""

    ends: tuple[int, ...]  # 0, where each cluster ends, the last at the end of the vocabulary
    width: int  # of the vectors of the first
    shrinks: int  # each cluster's vectors are this many times narrower; 1: one table serves all

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.ends) - 1

    @property
    def tables(self) -> tuple[int, ...]:
        """The ends of tables: those of clusters, or of the whole vocabulary."""
        return self.ends if self.shrinks > 1 else (0, self.ends[-1])

    def narrow(self, index: int) -> int:
        """Return how wide the vectors of a cluster are."""
        return self.width // self.shrinks**index

    def table(self, index: int) -> int:
        """Return the table that a cluster's vectors lie in."""
        return index if self.shrinks > 1 else 0


class AdaptiveEmbed(nn.Module):
    """A table of embeddings for each cluster of words, and the way from its width to D."""

    tables: Any  # of nn.Embedding
    project = position = None
    takes_types = False

    def __init__(self, clusters: Clusters, width: int) -> None:
        super().__init__()
        self.clusters, self.width, self.scale = clusters, width, math.sqrt(width)
        ends = clusters.tables
        sizes = [stop - start for start, stop in pairwise(ends)]
        widths = [clusters.narrow(i) for i in range(len(sizes))]
        self.tables = nn.ModuleList(map(Embedding, sizes, widths))
        wide = clusters.shrinks == 1 and widths[0] == width
        maps = () if wide else (torch.empty(width, one) for one in widths)
        self.projects = nn.ParameterList(nn.Parameter(one) for one in maps)
        self.dropout = nn.Dropout(0.0)

    @property
    def token(self) -> nn.Module:
        """The table of the most frequent words."""
        return self.tables[0]

    def forward(self, inputs: Inputs) -> Tensor:
        """Packed inputs → (N, D)."""
        if inputs.embeds is not None:
            return self.dropout(inputs.embeds)
        if inputs.tokens is None:
            raise ArgumentError("give input_ids or inputs_embeds")
        seen, vocab = extremes(inputs.tokens), self.clusters.ends[-1]
        if seen and not 0 <= seen[0] <= seen[1] < vocab:
            raise ArgumentError(
                f"input_ids hold a token outside the vocabulary of {vocab}: "
                "use the tokenizer of this checkpoint"
            )
        x = self._cluster(inputs.tokens, 0)
        for index in range(1, len(self.tables)):
            mine = inputs.tokens >= self.clusters.tables[index]
            x = torch.where(mine[:, None], self._cluster(inputs.tokens, index), x)
        return self.dropout(x * self.scale)

    def _cluster(self, tokens: Tensor, index: int) -> Tensor:
        """Return (N, D) embeddings, as if all tokens were of this cluster."""
        table = self.tables[index]
        rows = (tokens - self.clusters.tables[index]).clamp(0, len(table.weight) - 1)
        x = table(rows)
        return F.linear(x, self.projects[index]) if len(self.projects) else x


class AdaptiveSoftmax(nn.Module):
    """Logarithms of shares: of frequent words and clusters, and of words in their clusters.

    Words are scored by their embeddings, through the embeddings' maps or through its own.
    """

    embed: AdaptiveEmbed

    def __init__(self, embed: AdaptiveEmbed, own: list[bool]) -> None:
        super().__init__()
        clusters = embed.clusters
        self.__dict__["embed"] = embed  # it belongs to the body
        self.clusters, rare = clusters, clusters.count - 1
        self.weight = nn.Parameter(torch.empty(rare, clusters.width)) if rare else None
        self.bias = nn.Parameter(torch.empty(rare)) if rare else None
        biases = (torch.empty(len(table.weight)) for table in embed.tables)
        self.biases = nn.ParameterList(nn.Parameter(one) for one in biases)
        mine = [i for i in range(clusters.count) if len(embed.projects) and own[i]]
        maps = {str(i): torch.empty(embed.width, clusters.narrow(i)) for i in mine}
        self.projects = nn.ParameterDict({key: nn.Parameter(one) for key, one in maps.items()})

    def forward(self, x: Tensor) -> Tensor:
        """(N, D) → (N, V)."""
        first, frequent = F.log_softmax(self._logits(x, 0), -1), self.clusters.ends[1]
        parts = [first[:, :frequent]]
        for index in range(1, self.clusters.count):
            share = first[:, frequent + index - 1, None]
            parts.append(share + F.log_softmax(self._logits(x, index), -1))
        return torch.cat(parts, -1)

    def _logits(self, x: Tensor, index: int) -> Tensor:
        table, clusters = self.clusters.table(index), self.clusters
        start, (low, high) = clusters.tables[table], clusters.ends[index : index + 2]
        weight = self.embed.tables[table].weight[low - start : high - start]
        bias = self.biases[table][low - start : high - start]
        if index == 0 and self.weight is not None and self.bias is not None:
            weight, bias = torch.cat((weight, self.weight)), torch.cat((bias, self.bias))
        if str(index) in self.projects:
            x = x @ self.projects[str(index)]
        elif len(self.embed.projects):
            x = x @ self.embed.projects[table]
        return F.linear(x, weight, bias)

    def losses(self, scores: Tensor, wanted: Tensor) -> Tensor:
        """Return the (N,) losses of scores (N, V), ordered by the clusters of the words wanted.

        Places whose label does not count have no loss; they come last.
        """
        lost = F.nll_loss(scores, wanted, reduction="none")
        ends = torch.tensor(self.clusters.ends[1:-1], device=wanted.device)
        cluster = torch.bucketize(wanted, ends, right=True).masked_fill(wanted < 0, len(ends) + 1)
        return lost[cluster.argsort(stable=True)] if len(ends) else lost
