"""Weights in few bits: how they are rounded, how they lie, and the linear map that reads them.

Every group of inputs of an output shares a scale. Sixteen outputs lie side by side, four inputs
of each at a time, so that one instruction takes in a whole vector of them:

    8 bits  (panel, input / 4, 16 outputs, 4 inputs), a byte each, 128 more than its value
    4 bits  (panel, input / 8, 16 outputs, 4 inputs), half a byte each, 8 more; the four inputs
            that follow have the upper halves
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from armature.layers.embed import Embedding
from armature.layers.linear import Linear, by_kernels
from armature.layers.moe import Experts
from armature.native import library
from armature.native.program import Weight

LANES = library.LANES


@dataclass(frozen=True)
class Bits:
    """A way to round weights."""

    kind: int
    group: int  # inputs that share a scale
    lowest: int  # value of the least code
    packs: int  # inputs of one output that lie together


PRECISIONS = {
    "int8": Bits(library.BITS_8, library.GROUP_8, -128, 4),
    "int4": Bits(library.BITS_4, library.GROUP_4, -8, 8),
}


def pack(weight: Tensor, bits: Bits) -> tuple[Tensor, Tensor]:
    """Round a matrix (N, K) → its codes and scales as the kernels read them."""
    outputs, inputs = weight.shape
    groups = -(-inputs // bits.group)
    padded = F.pad(weight.float(), (0, groups * bits.group - inputs, 0, -outputs % LANES))
    grouped = padded.view(len(padded), groups, bits.group)
    scales = _scales(grouped, bits)
    factors = scales.float()[..., None]
    codes = (grouped / torch.where(factors == 0, 1, factors)).round_()
    codes = codes.clamp_(bits.lowest, -bits.lowest - 1).sub_(bits.lowest).to(torch.uint8)
    lying = codes.view(len(padded) // LANES, LANES, -1, bits.packs).transpose(1, 2)
    if bits.packs == 8:
        lying = lying[..., :4] | (lying[..., 4:] << 4)
    scales = scales.view(-1, LANES, groups).transpose(1, 2)
    return lying.contiguous(), scales.contiguous()


def _scales(grouped: Tensor, bits: Bits) -> Tensor:
    """Return the scale of each group, (N, groups), as half floats."""
    if bits.packs == 4:
        scales = grouped.abs().amax(-1) / 127
    else:  # the number farthest from zero gets the code that lies farthest from it
        farthest = grouped.abs().argmax(-1, keepdim=True)
        scales = grouped.gather(-1, farthest).squeeze(-1) / bits.lowest
    return scales.half()


def unpack(codes: Tensor, scales: Tensor, bits: Bits, inputs: int) -> Tensor:
    """Return the rounded matrix, its rows padded to whole panels: (panels · 16, K) float32."""
    if bits.packs == 8:
        codes = torch.cat((codes & 15, codes >> 4), -1)
    values = codes.transpose(1, 2).flatten(2).float() + bits.lowest  # (panels, 16, K)
    factors = scales.float().transpose(1, 2)[..., None]
    values = values.unflatten(-1, (-1, bits.group)) * factors
    return values.flatten(2).flatten(0, 1)[:, :inputs]


class PackedLinear(Linear):
    """A linear map whose weight is rounded to few bits; its inputs are rounded as it runs."""

    codes: Tensor
    scales: Tensor
    bits: Bits

    @classmethod
    def replace(cls, linear: Linear, bits: Bits) -> None:
        """Round a map's weight, in its place."""
        codes, scales = pack(linear.weight.detach(), bits)
        del linear.weight
        linear.__class__ = cls
        assert isinstance(linear, cls)
        linear.register_buffer("codes", codes)
        linear.register_buffer("scales", scales)
        linear.bits = bits
        if linear.bias is not None:
            linear.bias = nn.Parameter(linear.bias.detach().float(), requires_grad=False)

    def native(self) -> Weight | None:
        """Return the map as the kernels read it."""
        if self.codes.device.type != "cpu" or library.kernels() is None:
            return None
        return Weight(
            self.bits.kind, self.codes, self.out_features, self.in_features, self.bias, self.scales
        )

    def rows(self, index: Tensor) -> Tensor:
        """Return the rounded rows named, (R,) → (R, K): what a table of embeddings looks up."""
        flat = index.reshape(-1)
        panels, lanes = flat // LANES, flat % LANES
        codes = self.codes[panels, :, lanes][:, :, None]  # (R, K / packs, 1, 4)
        scales = self.scales[panels, :, lanes][:, :, None]
        found = unpack(codes, scales, self.bits, self.in_features)
        return found.view(*index.shape, self.in_features)

    @property
    def weight(self) -> Tensor:  # type: ignore[override]
        """The rounded matrix, (rows, D): made anew each time."""
        whole = unpack(self.codes, self.scales, self.bits, self.in_features)
        return whole[: self.out_features]

    def forward(self, input: Tensor) -> Tensor:
        """(…, D) → (…, rows)."""
        derived = input.requires_grad and torch.is_grad_enabled()
        weight = None if derived or torch.compiler.is_compiling() else self.native()
        if weight is None:
            return F.linear(input.float(), self.weight, self.bias)
        return by_kernels(self, weight, input.float())


class PackedEmbedding(Embedding):
    """A table of vectors that is the rounded weight of a linear map, too."""

    @classmethod
    def replace(cls, table: Embedding, linear: PackedLinear) -> None:
        """Let a table look its vectors up in a map's rounded weight."""
        del table.weight
        table.__class__ = cls
        table.__dict__["linear"] = linear  # which the model knows by another name

    def forward(self, input: Tensor) -> Tensor:
        """(…) → (…, D)."""
        return self.__dict__["linear"].rows(input)


class PackedExperts(Experts):
    """Experts whose weights are rounded."""

    ups: nn.ModuleList
    downs: nn.ModuleList

    @classmethod
    def replace(cls, experts: Experts, bits: Bits) -> None:
        """Round the weights of experts, in their place."""
        stacks = experts.gate_up.detach(), experts.down.detach()
        del experts.gate_up, experts.down
        experts.__class__ = cls
        for name, stack in zip(("ups", "downs"), stacks, strict=True):
            setattr(experts, name, nn.ModuleList(_packed(matrix, bits) for matrix in stack))

    def forward(self, x: Tensor, expert: int) -> Tensor:
        """(n, D) → (n, D) through one expert."""
        gate, up = self.ups[expert](x).chunk(2, dim=-1)
        return self.downs[expert](self.act(gate) * up)

    def __len__(self) -> int:
        """How many experts there are."""
        return len(self.downs)


def _packed(matrix: Tensor, bits: Bits) -> PackedLinear:
    with torch.device("meta"):
        linear: Any = Linear(matrix.shape[1], matrix.shape[0], bias=False)
    linear.weight = nn.Parameter(matrix, requires_grad=False)
    PackedLinear.replace(linear, bits)
    return linear
