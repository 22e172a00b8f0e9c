"""CodeGen (Nijkamp et al., 2022): GPT-J, whose projections lie in blocks as it was trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from armature.arch import gptj
from armature.checkpoint.views import Pair, Plain, Target
from armature.config import Config
from armature.errors import ConfigError
from armature.model.spec import Stack
from armature.outputs.tasks import Base, CausalLM

LIKE = gptj
DEFAULTS = gptj.DEFAULTS | {"n_ctx": 2048}


def spec(c: Config) -> Stack:
    """Return the anatomy.

    Raises:
        ConfigError: the heads do not share four processors evenly.
    """
    if c.num_attention_heads % _SHARES:
        raise ConfigError(
            f"config.json: there are {c.num_attention_heads} heads, but the weights lie in "
            f"{_SHARES} blocks of equal size\n  → compare it with the original's config.json"
        )
    return gptj.spec(c)


_SHARES = 4  # processors that the published models were trained on


@dataclass(frozen=True)
class Blocks(Plain):
    """Each processor's queries, values and keys lie together."""

    def pairs(self, target: Target, fill: Callable[[str], str]) -> Iterator[Pair]:
        """Yield one pair: a stretch of every block."""
        place, (rows, *rest) = "qvk".index(target.part), target.shape
        share = rows // _SHARES
        yield Pair(
            fill(self.name) + target.end,
            (3 * rows, *rest),
            lambda p: p.view(_SHARES, share, *rest),
            lambda d: d.view(_SHARES, 3, share, *rest).select(1, place),
        )


NAMES = gptj.NAMES | {"blocks.{i}.attn.qkv": Blocks("h.{i}.attn.qkv_proj")}
IGNORED = (*gptj.IGNORED, "attn.causal_mask")
UNUSED = (*gptj.UNUSED, "n_ctx")

HEADS = {
    "CodeGenModel": Base(),
    "CodeGenForCausalLM": CausalLM(out="lm_head"),
}
INPUTS = "codegen"
