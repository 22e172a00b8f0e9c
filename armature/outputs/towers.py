"""Towers: a text and an image, each made one vector by a body of its own, and compared."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from armature.batch import Layout
from armature.config import Config
from armature.layers.linear import Linear
from armature.model import call
from armature.model.build import build
from armature.model.call import Asked
from armature.model.composite import Composite
from armature.model.pyramid import Pyramid
from armature.outputs import tasks
from armature.outputs.heads import build_head
from armature.outputs.images import see
from armature.outputs.picking import Given, columns
from armature.outputs.results import BaseModelOutputWithPooling, ImageModelOutput


class Tower(nn.Module):
    """A body, and a head that makes one vector of its states; without one it is the first."""

    def __init__(
        self, arch: ModuleType, config: Config, *, pooled: bool = True, anatomy: Any = None
    ) -> None:
        super().__init__()
        self.body: Any = build(anatomy or arch.spec(config))
        embed: Any = self.body.embed
        if hasattr(embed, "learn_mask") and config.get("use_mask_token", False):
            embed.learn_mask()
        self.width = int(embed.width if not isinstance(self.body, Pyramid) else self.channels)
        self.head = None
        spec = base_of(arch)
        if spec.make is not None:
            self.head = spec.make(spec, config, self.body)
        elif pooled:
            self.head = build_head(spec, config, self.width, (0, 0))

    @property
    def channels(self) -> int:
        """Width of the last map of a pyramid."""
        return self.body.channels[-1]

    @property
    def takes(self) -> tuple[str, ...]:
        """The arguments of a call that it reads."""
        embed = self.body.embed
        if hasattr(embed, "open") or isinstance(self.body, Pyramid):
            return self.body.takes if isinstance(self.body, Pyramid) else embed.takes
        types = ("token_type_ids",) if embed.takes_types else ()
        return ("input_ids", "attention_mask", "position_ids", *types)

    def forward(
        self, given: Mapping[str, Any], asked: Asked, other: Tensor | None = None
    ) -> BaseModelOutputWithPooling:
        """Return the states that a call's arguments lead to, and the vector made of them.

        Args:
            given: the arguments.
            asked: what else the caller wants to see.
            other: (B, M, D) states to look at, where the body can.
        """
        if isinstance(self.body, Pyramid):
            return ImageModelOutput(**see(self.body, self.head, given, asked))
        ids, embed = given.get("input_ids"), self.body.embed
        if hasattr(embed, "open"):
            inputs, ids = embed.open(given), None
        else:
            inputs = call.pack(ids, None, given.get("attention_mask"), given)
        record = asked.record(self.body)
        looks: dict[str, Any] = {}
        if other is not None:
            looks = {"memory": other.flatten(0, 1), "memory_layout": _full(other)}
        x = self.body(inputs, record, **looks)
        seen = asked.seen(self.body, record, inputs.layout)
        del seen["cross_attentions"]
        pooled = {"pooler_output": columns(x, inputs.layout)[:, 0]}
        if self.head is not None:
            leading = getattr(embed, "leading", 0)
            told = Given(inputs.layout, inputs.tokens, ids, leading=leading)
            pooled = self.head(x, told)
        whole = inputs.layout.unpack(x)
        return BaseModelOutputWithPooling(last_hidden_state=whole, **pooled, **seen)


def _full(x: Tensor) -> Layout:
    return Layout((x.shape[1],) * x.shape[0], x.shape[1], x.device)


def base_of(arch: ModuleType) -> tasks.Base:
    """Return the head of an architecture's bare class."""
    return next(head for head in arch.HEADS.values() if isinstance(head, tasks.Base))


class Constant(nn.Module):
    """One trained number, and what it begins with."""

    def __init__(self, value: float, *shape: int) -> None:
        super().__init__()
        self.value = value
        self.weight = nn.Parameter(torch.empty(shape))

    def compute(self, weight: Tensor) -> None:
        """Fill a fresh weight."""
        weight.fill_(self.value)


class Towers(Composite):
    """Both vectors are mapped to one width; their angle says how well the two go together.

    Radford et al., 2021.
    """

    lists = ("return_loss",)
    fields = (
        "loss",
        "logits_per_image",
        "logits_per_text",
        "text_embeds",
        "image_embeds",
        "text_model_output",
        "vision_model_output",
    )

    def __init__(self, text: Tower, vision: Tower, width: int, scale: float) -> None:
        super().__init__()
        self.text, self.vision = text, vision
        self.text_map = Linear(text.width, width, bias=False)
        self.vision_map = Linear(vision.width, width, bias=False)
        self.scale = Constant(scale)

    @property
    def takes(self) -> tuple[str, ...]:  # type: ignore[override]
        """The arguments of a call that it reads."""
        further = [name for name in self.text.takes if name != "input_ids"]
        images = [name for name in self.vision.takes if name != "pixel_values"]
        return ("input_ids", "pixel_values", *further, *images, "return_loss")

    @property
    def stack(self) -> Any:
        """The text's stack."""
        return self.text.body

    def texts(self, given: Mapping[str, Any], asked: Asked) -> BaseModelOutputWithPooling:
        """Return what the texts' tower sees; its vector (B, P) is mapped."""
        found = self.text(given, asked)
        found.pooler_output = self.text_map(found.pooler_output)
        return found

    def images(self, given: Mapping[str, Any], asked: Asked) -> BaseModelOutputWithPooling:
        """Return what the images' tower sees; its vector (B, P) is mapped."""
        found = self.vision(given, asked)
        found.pooler_output = self.vision_map(found.pooler_output)
        return found

    def answer(self, given: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
        """Return the fields of the result."""
        images, texts = self.images(given, asked), self.texts(given, asked)
        return self.compared(texts, images, texts.pooler_output, images.pooler_output, given)

    def compared(
        self,
        texts: BaseModelOutputWithPooling,
        images: BaseModelOutputWithPooling,
        text: Any,
        image: Any,
        given: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Return the result of two vectors (B, P) each and of what made them."""
        text, image = unit(text), unit(image)
        logits = self.scores(text @ image.t())
        return {
            "loss": self.loss(logits) if given.get("return_loss") else None,
            "logits_per_image": logits.t(),
            "logits_per_text": logits,
            "text_embeds": text,
            "image_embeds": image,
            "text_model_output": texts,
            "vision_model_output": images,
        }

    def scores(self, cosines: Tensor) -> Tensor:
        """(texts, images) of angles → of scores."""
        return cosines * self.scale.weight.exp()

    def loss(self, logits: Tensor) -> Tensor:
        """Each text should be found among all by its image, and the other way round."""
        places = torch.arange(len(logits), device=logits.device)
        return (F.cross_entropy(logits, places) + F.cross_entropy(logits.t(), places)) / 2


def unit(x: Tensor) -> Tensor:
    """(…, D) → vectors of length one."""
    return x / x.norm(dim=-1, keepdim=True)


class TowersApart(Towers):
    """What each tower shows is its own vector, as it was before it is mapped."""

    def answer(self, given: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
        """Return the fields of the result."""
        images, texts = self.vision(given, asked), self.text(given, asked)
        text, image = self.text_map(texts.pooler_output), self.vision_map(images.pooler_output)
        return self.compared(texts, images, text, image, given)


class SigmoidTowers(Towers):
    """Each pair of a text and an image is a question of its own (Zhai et al., 2023)."""

    def __init__(self, text: Tower, vision: Tower) -> None:
        Composite.__init__(self)
        self.text, self.vision = text, vision
        self.text_map = self.vision_map = nn.Identity()
        self.scale, self.shift = Constant(0.0, 1), Constant(0.0, 1)

    def scores(self, cosines: Tensor) -> Tensor:
        """(texts, images) of angles → of scores."""
        return super().scores(cosines) + self.shift.weight

    def loss(self, logits: Tensor) -> Tensor:
        """Of all pairs only those of one text and its own image belong together."""
        signs = 2 * torch.eye(len(logits), device=logits.device) - 1
        return -F.logsigmoid(signs * logits).sum(-1).mean()


def shelved(module: nn.Module) -> nn.Module:
    """Turn a module's weights into constants: nothing reads them, but files hold them."""
    for part in module.modules():
        for name, weight in list(part._parameters.items()):
            del part._parameters[name]
            part.register_buffer(name, None if weight is None else weight.data)
    return module


class NormedAgain(nn.Module):
    """The first state, through the body's last norm once more: pooler_output (B, D)."""

    norm: Any

    def __init__(self, body: Any) -> None:
        super().__init__()
        self.__dict__["norm"] = body.norm  # the body's, not another one

    def forward(self, x: Tensor, given: Given) -> dict[str, Tensor]:
        """Packed states (N, D) → pooler_output."""
        return {"pooler_output": self.norm(x[given.layout.ends[0]])}
