"""The anatomy as data: small frozen descriptions of organs and bodies, without torch.

An architecture's file builds one of these from a config; `armature.model.build` turns it into
modules. Variants are types, not flags: `position=Learned(512)` or `Rotary(...)`, never both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LayerNorm:
    """Layer normalisation (Ba et al., 2016)."""

    eps: float = 1e-5


@dataclass(frozen=True)
class UnbiasedLayerNorm(LayerNorm):
    """It only scales."""


@dataclass(frozen=True)
class BareLayerNorm(LayerNorm):
    """It has nothing trained: neither a weight nor a bias."""


@dataclass(frozen=True)
class RMSNorm:
    """Root mean square normalisation (Zhang and Sennrich, 2019)."""

    eps: float = 1e-6


@dataclass(frozen=True)
class ShiftedRMSNorm(RMSNorm):
    """Its weight is stored less one, so that zero means no change."""


Norm = LayerNorm | RMSNorm


@dataclass(frozen=True)
class Learned:
    """A trained table of positions."""

    size: int
    offset: int = 0  # rows of the table before that of position 0
    pad: int | None = None  # count only tokens other than this one; it has row `pad` itself


@dataclass(frozen=True)
class Counted(Learned):
    """Positions count the real tokens of a row, not its columns."""


@dataclass(frozen=True)
class Sinusoidal(Learned):
    """Computed positions (Vaswani et al., 2017): all sines, then all cosines."""


@dataclass(frozen=True)
class ClosedSinusoidal(Sinusoidal):
    """The slowest wave turns exactly 10,000 times slower than the fastest."""


@dataclass(frozen=True)
class Stored(Sinusoidal):
    """Computed positions that a file may hold; then its own count, rounded as they are."""


@dataclass(frozen=True)
class Rotary:
    """Rotary positions on queries and keys (Su et al., 2021), with any published scaling."""

    width: int  # how many of a head's numbers turn
    settings: dict[str, Any]  # rope_theta, rope_type and its factors


@dataclass(frozen=True)
class Interleaved(Rotary):
    """The pairs that turn are neighbours, not halves."""


@dataclass(frozen=True)
class Switching(Rotary):
    """A text that outgrows the length trained first is read anew, with other rotations."""


@dataclass(frozen=True)
class Relative:
    """A trained bias for each head and bucket of distances (Raffel et al., 2019)."""

    buckets: int
    distance: int


@dataclass(frozen=True)
class OneWay(Relative):
    """Buckets for what lies behind alone; everything ahead shares the first."""


@dataclass(frozen=True)
class Alibi:
    """For each head a slope times the key's position (Press et al., 2021)."""


@dataclass(frozen=True)
class RoundedAlibi(Alibi):
    """Slopes and their products are rounded to bfloat16, and scaled together with the scores."""


@dataclass(frozen=True)
class Tokens:
    """Token embeddings and what is added to them."""

    vocab: int
    width: int
    position: Learned | None = None
    types: int = 0  # segment embeddings; -1: the table of tokens serves them too
    norm: Norm | None = None
    scale: float = 1.0
    project: int = 0  # width after a linear projection; 0: none


@dataclass(frozen=True)
class ScaledTokens(Tokens):
    """The scale is for embeddings that a caller gives, too."""


@dataclass(frozen=True)
class Patches:
    """An image cut into squares, each embedded by one convolution."""

    width: int
    shape: tuple[int, int, int]  # channels, height and width of a patch
    grid: tuple[int, int] | None = None  # patches down and across of a trained position table
    norm: Norm | None = None


@dataclass(frozen=True)
class PatchTokens(Patches):
    """The squares are tokens of a sequence, behind one that stands for all of it."""


@dataclass(frozen=True)
class StretchedPatchTokens(PatchTokens):
    """Trained positions are stretched over images of any size, without being asked for it."""


@dataclass(frozen=True)
class TaughtPatchTokens(PatchTokens):
    """A second token stands for what a teacher says of it (Touvron et al., 2020)."""


@dataclass(frozen=True)
class Attention:
    """Multi-head attention (Vaswani et al., 2017)."""

    heads: int
    width: int  # numbers in one head
    kv_heads: int = 0  # 0: as many as heads
    bias: tuple[bool, bool] = (True, True)  # on the projections in, on the projection out
    scale: float | None = None  # of scores; None: 1/√width
    causal: bool = False
    window: int | None = None  # how far a token sees: back, and ahead too where not causal
    rotary: Rotary | None = None
    norm: Norm | None = None  # of each head's queries and keys
    cap: float | None = None  # scores stay below it, by a tanh


@dataclass(frozen=True)
class UnbiasedKeys(Attention):
    """The projection of keys has no bias, which would change no share."""


@dataclass(frozen=True)
class NormedTogether(Attention):
    """The norm goes over the queries, or keys, of all heads at once."""


@dataclass(frozen=True)
class NormedApart(Attention):
    """Each head has a layer norm of its own, which only scales."""


@dataclass(frozen=True)
class Windows(Attention):
    """Attention inside squares of `window` patches a side, biased by offsets (Liu et al., 2021)."""


@dataclass(frozen=True)
class ShiftedWindows(Windows):
    """The squares moved down and right by half their side."""


@dataclass(frozen=True)
class Dense:
    """Two linear maps around an activation."""

    width: int
    act: str
    bias: bool = True


@dataclass(frozen=True)
class Gated(Dense):
    """Two linear maps, the first multiplied by an activated gate (Shazeer, 2020)."""


@dataclass(frozen=True)
class MoE(Gated):
    """Gated experts of which a router picks a few for each token (Shazeer et al., 2017)."""

    experts: int = 8
    top: int = 2
    shared: int = 0  # width of one more expert that all tokens go through, behind a gate


@dataclass(frozen=True)
class PlainMoE(MoE):
    """The weights of the experts chosen stay as the router gave them, and sum to less than one."""


@dataclass(frozen=True)
class Own:
    """An organ that the architecture's file brings itself."""

    make: Callable[..., Any]  # called when the model is built; returns the module


@dataclass(frozen=True)
class Pre:
    """Norm before each organ, its result added to the stream."""

    norm: Norm


@dataclass(frozen=True)
class Post(Pre):
    """Norm after each addition."""


@dataclass(frozen=True)
class Sandwich(Pre):
    """Norm before each organ, and another one on its result before it is added."""


@dataclass(frozen=True)
class Scaled(Pre):
    """Norm before each organ, its result times a trained vector (Touvron et al., 2021)."""


@dataclass(frozen=True)
class Late(Pre):
    """Norm on each organ's result alone, before it is added."""


@dataclass(frozen=True)
class Parallel(Pre):
    """Attention and mlp side by side on the same stream, behind one norm."""


@dataclass(frozen=True)
class ParallelTwo(Parallel):
    """Attention and mlp side by side, each behind a norm of its own."""


@dataclass(frozen=True)
class Block:
    """One layer of a stack."""

    order: Pre
    attn: Attention | Own
    mlp: Dense | Own
    cross: Attention | Own | None = None


@dataclass(frozen=True)
class Dropout:
    """How much is dropped while training."""

    hidden: float = 0.0
    attention: float = 0.0
    path: float = 0.0  # whole branches of the last block; less of those before it


@dataclass(frozen=True)
class Stack:
    """Embeddings, blocks, and perhaps a norm."""

    embed: Tokens | Patches | Own
    block: Block | Callable[[int], Block | Own]
    depth: int
    norm: Norm | Own | None = None
    bias: Relative | Alibi | Own | None = None  # what the scores of every block know of distances
    schedule: tuple[int, ...] | None = None  # which block runs when; None: each once, in order
    dropout: Dropout = Dropout()


@dataclass(frozen=True)
class EncoderDecoder:
    """Two stacks, the second attending to the first; one table of tokens serves both."""

    encoder: Stack
    decoder: Stack


@dataclass(frozen=True)
class Untied(EncoderDecoder):
    """Two stacks, each with a table of tokens of its own."""


@dataclass(frozen=True)
class Stage:
    """Blocks of one resolution, and what halves it afterwards."""

    blocks: tuple[Block | Own, ...]  # on tokens; blocks of one's own are on maps
    down: Own | None = None


@dataclass(frozen=True)
class Entered(Stage):
    """What halves it comes before its blocks."""


@dataclass(frozen=True)
class Pyramid:
    """Stages of feature maps, each coarser than the one before."""

    embed: Patches | Own
    stages: tuple[Stage, ...]
    norm: Norm | Own | None = None  # of the last map; one's own may be any organ that ends it
    dropout: Dropout = Dropout()


@dataclass(frozen=True)
class Stemless(Pyramid):
    """Its states begin with the first stage's; what is embedded counts for none."""


Body = Stack | EncoderDecoder | Pyramid | Own  # of one's own: see `model.composite`
