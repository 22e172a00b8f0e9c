"""Biases of attention scores that depend on positions alone: [heads, queries, keys]."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class Bias(nn.Module):
    """Anything that yields a bias from the ranks of queries and keys in their sequences."""

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """(…, Q) and (S,) positions → (…, H, Q, S)."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it biases scores")


class Relative(Bias):
    """A trained bias for each head and bucket of distances (Raffel et al., 2019)."""

    def __init__(self, heads: int, buckets: int, distance: int, *, bidirectional: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(buckets, heads))
        self.buckets, self.distance, self.bidirectional = buckets, distance, bidirectional

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """(…, Q) and (S,) positions → (…, H, Q, S)."""
        bucket = self._bucket(keys - queries[..., None])
        return nn.functional.embedding(bucket, self.weight).movedim(-1, -3)

    def _bucket(self, offset: Tensor) -> Tensor:
        """Map key minus query to a bucket: near distances exactly, far ones by logarithm."""
        buckets, first = self.buckets, torch.zeros_like(offset)
        if self.bidirectional:
            buckets //= 2
            first = (offset > 0).long() * buckets
            distance = offset.abs()
        else:
            distance = -offset.clamp(max=0)
        exact = buckets // 2
        ratio = torch.log(distance.float() / exact) / math.log(self.distance / exact)
        far = (exact + (ratio * (buckets - exact)).long()).clamp(max=buckets - 1)
        return first + torch.where(distance < exact, distance, far)


class Offsets(Bias):
    """A trained bias for each head and offset of two patches in a square (Liu et al., 2021)."""

    def __init__(self, heads: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.table = nn.Parameter(torch.empty((2 * side - 1) ** 2, heads))

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """(Q,) and (S,) places in a square, row by row → (H, Q, S)."""
        side = math.isqrt(keys.shape[0])  # smaller than `self.side` where the whole map is
        down = queries[:, None] // side - keys // side
        across = queries[:, None] % side - keys % side
        index = (down + self.side - 1) * (2 * self.side - 1) + across + self.side - 1
        return nn.functional.embedding(index, self.table).movedim(-1, 0)


class Alibi(Bias):
    """A slope for each head times the key's position (Press et al., 2021)."""

    def __init__(
        self, heads: int, *, scale: float = 1.0, dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        self.heads, self.scale, self.dtype = heads, scale, dtype

    def slopes(self) -> Tensor:
        """Return the (H,) published slopes: powers of a base, then of a finer one."""
        power = 2 ** math.floor(math.log2(self.heads))

        def base(count: int) -> float:
            return 2 ** (-(2 ** -(math.log2(count) - 3)))

        slopes = [base(power) ** i for i in range(1, power + 1)]
        rest = range(1, 1 + 2 * (self.heads - power), 2)
        return torch.tensor(slopes + [base(2 * power) ** i for i in rest], dtype=torch.float32)

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """(…, Q) and (S,) positions → (…, H, Q, S)."""
        slopes = self.slopes().to(keys.device, self.dtype)
        bias = (slopes[:, None] * keys.to(slopes.dtype)).float() * self.scale  # (H, S)
        shape = (*queries.shape[:-1], self.heads, queries.shape[-1], keys.shape[0])
        return bias[:, None, :].expand(shape)
