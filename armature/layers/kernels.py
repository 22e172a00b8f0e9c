"""Attention kernels: packed queries against packed or cached keys, one signature for all.

Sequences of one length lie next to each other as a rectangle (`Layout.runs`), so a packed batch is
a few calls of the fused kernel and no score is ever computed for padding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from armature.batch import Layout
from armature.layers.bias import Bias

# Queries (b, H, Q, E), keys (b, K, S, E), their rows of the batch → (b, H, Q, S) of scores.
Content = Callable[[Tensor, Tensor, slice], Tensor]


@dataclass(frozen=True)
class Rule:
    """How scores become weights."""

    scale: float
    causal: bool = False
    window: int | None = None  # a token sees this many to each side that it sees, itself included
    bias: Bias | None = None
    dropout: float = 0.0
    regions: Tensor | None = None  # (R, T) labels of row r modulo R: other labels are not seen
    content: Content | None = None  # adds to the scores what depends on queries and keys
    cap: float | None = None  # scores stay between it and its negative, by a tanh


@dataclass(frozen=True)
class WrittenOut(Rule):
    """Step by step: where nothing is normed, what a fused kernel rounds otherwise grows."""


@dataclass(frozen=True)
class _Piece:
    """One rectangle of queries (rows, H, Q, E) and the keys (rows, K, S, E) it looks at."""

    q: Tensor
    k: Tensor
    v: Tensor
    out: slice  # of the packed result
    rows: slice
    past: int  # tokens before the first query
    hidden: Tensor | None = None  # (rows, S) keys that are no tokens


def attend(q: Tensor, k: Tensor, v: Tensor, layout: Layout, keys: Layout, rule: Rule) -> Tensor:
    """Packed attention: (N, H, E), (M, K, E), (M, K, E) → (N, H · E)."""
    pieces = list(_packed(q, k, v, layout, keys))
    return _run(pieces, q, rule, _score_masks(pieces, rule))


def attend_cached(q: Tensor, k: Tensor, v: Tensor, layout: Layout, rule: Rule) -> Tensor:
    """Attention of packed new tokens (N, H, E) to a cache (B, K, capacity, E) → (N, H · E)."""
    even = len(set(layout.lengths)) == 1 and rule.content is None and rule.regions is None
    if set(layout.lengths) == {1} or (even and rule.causal):  # all rows in one call
        mask = _step_mask(layout, rule, q)
        longest = layout.longest
        queries = q.unflatten(0, (layout.rows, -1)).transpose(1, 2)
        y = _fused(queries, k[:, :, :longest], v[:, :, :longest], mask, rule)
        return y.transpose(1, 2).flatten(2).flatten(0, 1)
    pieces = list(_cached(q, k, v, layout))
    return _run(pieces, q, rule, _score_masks(pieces, rule))


def weights(q: Tensor, k: Tensor, layout: Layout, keys: Layout, rule: Rule) -> Tensor:
    """Recompute the weights alone: (N, H, E), (M, K, E) → (B, H, T, S), zero at padding."""
    result = q.new_zeros(layout.rows, q.shape[1], layout.width, keys.width)
    for piece in _packed(q, k, k, layout, keys):
        shares = _share(piece, rule)
        if shares.shape == result.shape:  # nothing is padded
            return shares
        rows = range(piece.rows.start, piece.rows.stop)
        for row, share in zip(rows, shares, strict=True):
            down, across = _places(layout, row), _places(keys, row)
            result[row][:, down[:, None], across] = share
    return result


def weights_cached(q: Tensor, k: Tensor, layout: Layout, rule: Rule) -> Tensor:
    """Recompute the weights of new tokens (N, H, E) on a cache (B, K, capacity, E)."""
    result = q.new_zeros(layout.rows, q.shape[1], layout.width, layout.longest)
    for piece in _cached(q, k, k, layout):
        row = piece.rows.start
        result[row][:, _places(layout, row), : piece.k.shape[2]] = _share(piece, rule)[0]
    return result


def _share(piece: _Piece, rule: Rule) -> Tensor:
    """Return the (rows, H, Q, S) softmax of a piece's scores."""
    return _softmax(piece.q, piece.k, _mask(piece, rule), rule)


def _softmax(q: Tensor, k: Tensor, mask: Tensor | None, rule: Rule) -> Tensor:
    """(b, H, Q, E) against (b, K, S, E) → (b, H, Q, S) of weights, written out."""
    wide = k.repeat_interleave(q.shape[1] // k.shape[1], 1)
    scores = q @ wide.transpose(-1, -2) * rule.scale
    if rule.cap is not None:
        scores = torch.tanh(scores / rule.cap) * rule.cap
    scores = scores if mask is None else scores + mask
    return scores.softmax(-1, dtype=torch.float32).to(q.dtype)


def _written_out(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, rule: Rule) -> Tensor:
    """Do what no fused kernel does: (b, H, Q, E) against (b, K, S, E) → (b, H, Q, E)."""
    shares = F.dropout(_softmax(q, k, mask, rule), rule.dropout)
    return shares @ v.repeat_interleave(q.shape[1] // v.shape[1], 1)


def _places(layout: Layout, row: int) -> Tensor:
    """Return the columns that the tokens of a row have in the padded rectangle."""
    start, length = layout.starts[row], layout.lengths[row]
    if layout.index is None:
        return torch.arange(length, device=layout.device)
    return layout.index[start : start + length] % layout.width


def _packed(q: Tensor, k: Tensor, v: Tensor, layout: Layout, keys: Layout) -> Iterator[_Piece]:
    """Cut a packed batch into rectangles whose rows agree in both lengths."""
    row = 0
    pairs = list(zip(layout.lengths, keys.lengths, strict=True))
    while row < len(pairs):
        stop = row + 1
        while stop < len(pairs) and pairs[stop] == pairs[row]:
            stop += 1
        count, (down, across) = stop - row, pairs[row]
        if down and across:
            a, b = layout.starts[row], keys.starts[row]
            there = slice(a, a + count * down)

            def cut(x: Tensor, start: int, length: int, rows: int = count) -> Tensor:
                part = x[start : start + rows * length].unflatten(0, (rows, length))
                return part.transpose(1, 2)

            hidden = None if keys.hidden is None else keys.hidden[row:stop]
            yield _Piece(
                cut(q, a, down),
                cut(k, b, across),
                cut(v, b, across),
                there,
                slice(row, stop),
                0,
                hidden,
            )
        row = stop


def _cached(q: Tensor, k: Tensor, v: Tensor, layout: Layout) -> Iterator[_Piece]:
    """Cut new tokens and a cache into one rectangle for each row."""
    for row, (start, length) in enumerate(zip(layout.starts, layout.lengths, strict=True)):
        if length:
            there, total = slice(start, start + length), layout.totals[row]
            one = slice(row, row + 1)
            queries = q[there].transpose(0, 1)[None]
            yield _Piece(queries, k[one, :, :total], v[one, :, :total], there, one, total - length)


def _run(pieces: list[_Piece], q: Tensor, rule: Rule, masks: Iterable[Tensor | None]) -> Tensor:
    results = [
        _fused(piece.q, piece.k, piece.v, mask, rule).transpose(1, 2).flatten(2).flatten(0, 1)
        for piece, mask in zip(pieces, masks, strict=True)
    ]
    if len(results) == 1 and results[0].shape[0] == q.shape[0]:
        return results[0]
    if sum(result.shape[0] for result in results) == q.shape[0]:
        return torch.cat(results)
    out = q.new_zeros(q.shape[0], q.shape[1] * q.shape[2])  # rows that have nothing to look at
    for piece, result in zip(pieces, results, strict=True):
        out[piece.out] = result
    return out


def _fused(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, rule: Rule) -> Tensor:
    """Call the fused kernel: (b, H, Q, E) against (b, K, S, E) → (b, H, Q, E)."""
    if rule.cap is not None or isinstance(rule, WrittenOut):
        return _written_out(q, k, v, mask, rule)
    queries, across = q.shape[2], k.shape[2]
    causal = rule.causal and mask is None and queries > 1 and queries == across
    shares = q.shape[1] // k.shape[1]
    if shares > 1 and queries == 1 and (mask is None or mask.shape[1] == 1):
        # The heads of one group are as many queries of one head: nothing is repeated in memory.
        grouped = q.unflatten(1, (k.shape[1], shares)).squeeze(3)
        y = F.scaled_dot_product_attention(grouped, k, v, mask, rule.dropout, scale=rule.scale)
        return y.flatten(1, 2).unsqueeze(2)
    return F.scaled_dot_product_attention(
        q, k, v, mask, rule.dropout, is_causal=causal, scale=rule.scale, enable_gqa=shares > 1
    )


def _score_masks(pieces: list[_Piece], rule: Rule) -> Iterable[Tensor | None]:
    """Yield what is added to the scores of each piece, or None where `is_causal` says it all."""
    hidden = any(piece.hidden is not None for piece in pieces)
    if hidden or rule.regions is not None or rule.content is not None:
        return (_mask(piece, rule) for piece in pieces)
    plain = rule.bias is None and rule.window is None and rule.cap is None
    if not plain and pieces and rule.bias is not None and all(piece.past == 0 for piece in pieces):
        return _sliced_masks(pieces, rule)
    return [
        None
        if plain and not (rule.causal and (piece.past or piece.q.shape[2] != piece.k.shape[2]))
        else _mask(piece, rule)
        for piece in pieces
    ]


def _sliced_masks(pieces: list[_Piece], rule: Rule) -> list[Tensor | None]:
    """Compute the bias of the longest piece once and slice it for the others."""
    down = max(piece.q.shape[2] for piece in pieces)
    across = max(piece.k.shape[2] for piece in pieces)
    table = _table(down, across, 0, rule, pieces[0].q)
    return [table[:, :, : piece.q.shape[2], : piece.k.shape[2]] for piece in pieces]


def _mask(piece: _Piece, rule: Rule) -> Tensor | None:
    placed = _placed(piece, rule)
    if rule.content is None:
        return placed
    scores = rule.content(piece.q, piece.k, piece.rows)
    return scores if placed is None else scores + placed


def _placed(piece: _Piece, rule: Rule) -> Tensor | None:
    everything = not rule.causal and rule.window is None and piece.hidden is None
    if everything and rule.bias is None and rule.regions is None:
        return None
    table = _table(piece.q.shape[2], piece.k.shape[2], piece.past, rule, piece.q)
    if piece.hidden is not None:  # not minus infinity: a row of padding alone stays a number
        least = torch.finfo(table.dtype).min
        table = table.masked_fill(piece.hidden[:, None, None, :], least)
    return table if rule.regions is None else table + _apart(piece, rule.regions)


def _table(down: int, across: int, past: int, rule: Rule, like: Tensor) -> Tensor:
    """Return the (1, 1 or H, Q, S) sum of bias and what is hidden."""
    queries = torch.arange(past, past + down, device=like.device)
    keys = torch.arange(across, device=like.device)
    table = like.new_zeros(1, 1, down, across)
    if rule.bias is not None:
        table = rule.bias(queries, keys)[None].to(like.dtype)
    if rule.causal or rule.window is not None:
        distance = queries[:, None] - keys
        distance = distance.where(distance >= 0, across) if rule.causal else distance.abs()
        reach = across if rule.window is None else min(rule.window, across)
        table = table.masked_fill(distance >= reach, float("-inf"))
    return table


def _apart(piece: _Piece, regions: Tensor) -> Tensor:
    """Return the (rows, 1, Q, S) mask between tokens of different regions of a sequence."""
    rows = torch.arange(piece.rows.start, piece.rows.stop, device=regions.device)
    labels = regions[rows % len(regions)]
    different = labels[:, None, :, None] != labels[:, None, None, :]
    # HF: hidden is -100, not minus infinity: scores far enough apart still shine through.
    return different.to(piece.q.dtype) * -100.0


def _step_mask(layout: Layout, rule: Rule, like: Tensor) -> Tensor | None:
    """Return the (B, 1 or H, Q, S) mask of as many new tokens in each row; each sees its past."""
    longest, totals, new = layout.longest, layout.totals, layout.lengths[0]
    even = len(set(totals)) == 1
    windowed = rule.window is not None and longest > rule.window
    if even and new == 1 and not windowed and rule.bias is None:
        return None
    keys = torch.arange(longest, device=like.device)
    ends = torch.tensor(totals, device=like.device)
    queries = ends[:, None] - torch.arange(new, 0, -1, device=like.device)  # (B, Q)
    table = like.new_zeros(layout.rows, 1, new, longest)
    if rule.bias is not None:
        table = rule.bias(queries, keys).to(like.dtype)
    hidden = keys > queries[..., None]
    if windowed and rule.window is not None:
        hidden = hidden | (keys <= queries[..., None] - rule.window)
    return table.masked_fill(hidden[:, None], float("-inf"))
