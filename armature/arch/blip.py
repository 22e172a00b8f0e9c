"""BLIP (Li et al., 2022): a text tower that looks at an image: to match, to answer, to write."""

from __future__ import annotations

from typing import Any

from armature.arch import find
from armature.arch._nested import Part, tower, tower_names
from armature.checkpoint.views import View, behind
from armature.config import Config
from armature.model.spec import Own
from armature.outputs.tasks import Captions, LookingContrast, Match

DEFAULTS: dict[str, Any] = {
    "text_config": find("blip_text_model").DEFAULTS,
    "vision_config": find("blip_vision_model").DEFAULTS,
    "projection_dim": 512,
    "logit_scale_init_value": 2.6592,
    "image_text_hidden_size": 256,
    "label_smoothing": 0.0,
}


def spec(c: Config) -> Own:
    """Return the anatomy of two towers that are compared."""
    (arch, text), vision = _parts(c)

    def make() -> Any:
        from armature.outputs.towers import Tower, TowersApart

        texts = Tower(arch, text, anatomy=arch.tower(text, vision[1].hidden_size, causal=False))
        return TowersApart(texts, Tower(*vision), c.projection_dim, c.logit_scale_init_value)

    return Own(make)


def _parts(c: Config) -> tuple[Part, Part]:
    text = tower(c, "text_config", "blip_text_model")
    text[1].read_keys.add("encoder_hidden_size")  # it is the vision tower's
    return text, tower(c, "vision_config", "blip_vision_model")


def _captions(c: Config, *, reads: bool, writes: bool) -> Own:
    (arch, text), (seeing, vision) = _parts(c)
    c.read_keys.update(("projection_dim", "logit_scale_init_value"))

    def make() -> Any:
        from armature.model.build import build
        from armature.outputs.captions import Captions

        width = vision.hidden_size
        reader = build(arch.tower(text, width, causal=False)) if reads else None
        writer = build(arch.tower(text, width, causal=True)) if writes else None
        return Captions(build(seeing.spec(vision)), reader, writer)

    return Own(make)


def _writer(spec: Captions, c: Config, body: Any) -> Any:
    from armature.outputs.captions import Writer

    return Writer(spec, _parts(c)[0][1], body)


def _match(spec: Match, c: Config, body: Any) -> Any:
    from armature.outputs.captions import Match

    (_, text), (_, vision) = _parts(c)
    return Match((text.hidden_size, vision.hidden_size), c.image_text_hidden_size)


PREFIX = ""
NAMES: dict[str, str | View] = {  # the towers bring their own
    "text_map": "text_projection",
    "vision_map": "visual_projection",
    "scale.weight": "logit_scale",
}


def names(c: Config) -> dict[str, str | View]:
    """Return the names of all parts, each behind a word of its own."""
    text, vision = _parts(c)
    rows = NAMES | tower_names(text, vision)
    for slot, word, (arch, part) in (
        ("vision", "vision_model", vision),
        ("reader", "text_encoder", text),
        ("writer", "text_decoder.bert", text),
    ):
        named = behind(word, arch.names(part)).items()
        rows |= {f"{slot}.{ours}": row for ours, row in named}
    return rows


# fmt: off
IGNORED = ("embeddings.position_ids",)
UNUSED = ("initializer_factor", "image_text_hidden_size", "label_smoothing", "tie_word_embeddings")

WORDS: dict[str, Any] = {
    "dense": "text_decoder.cls.predictions.transform.dense",
    "norm":  "text_decoder.cls.predictions.transform.LayerNorm",
    "out":   "text_decoder.cls.predictions.decoder",
    "act":   "@hidden_act",
    "names": {"head.out.bias": "text_decoder.cls.predictions.bias"},
    "untied_bias": "text_decoder.cls.predictions.decoder.bias",
    "writer": "BlipTextLMHeadModel",
    "make":  _writer,
}
HEADS = {
    "BlipModel":                    LookingContrast(),
    "BlipForConditionalGeneration": Captions(
        body=lambda c: _captions(c, reads=False, writes=True),
        also=("ImageTextToText", "Vision2Seq"), **WORDS),
    "BlipForQuestionAnswering":     Captions(
        body=lambda c: _captions(c, reads=True, writes=True),
        also=("VisualQuestionAnswering",), **WORDS),
    "BlipForImageTextRetrieval":    Match(
        body=lambda c: _captions(c, reads=True, writes=False), make=_match,
        names={"head.out": "itm_head", "head.text": "text_proj", "head.vision": "vision_proj"}),
}
# fmt: on
INPUTS = "bert"
