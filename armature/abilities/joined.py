"""Two checkpoints under one class name: the encoder of one, the decoder of another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from torch import nn

from armature.checkpoint.names import Names
from armature.checkpoint.views import Pair, Plain, Target
from armature.config import Config
from armature.errors import ArgumentError, ConfigError
from armature.model.encoder_decoder import Joined, JoinedSounds, JoinedTexts
from armature.model.pyramid import Pyramid
from armature.model.stack import Stack
from armature.opening import config_class
from armature.outputs import tasks
from armature.pretrained import PreTrainedModel


@dataclass(frozen=True)
class JoinedNames(Names):
    """The names of two checkpoints in one file, each behind a word of its own."""

    encoder: Names = field(default_factory=lambda: Names({}))
    decoder: Names = field(default_factory=lambda: Names({}))
    half: bool = False  # the decoder is a half, whose rows begin with `decoder.` themselves

    def pairs(self, ours: str, target: Target) -> list[Pair]:
        """Return the views of our parameter `ours` (without `body.`)."""
        slot, _, rest = ours.partition(".")
        if slot == "join":
            bridge = Plain("enc_to_dec_proj")
            return list(bridge.pairs(replace(target, suffix=rest), lambda name: name))
        owner, word = (
            (self.encoder, "encoder")
            if slot in ("encoder", "pooler")
            else (self.decoder, "decoder")
        )
        ours = {"encoder": rest, "pooler": f"head.{rest}", "head": ours}.get(
            slot, ours if self.half else rest
        )
        return [replace(pair, name=f"{word}.{pair.name}") for pair in owner.pairs(ours, target)]


class JoinedModel(PreTrainedModel):
    """A model whose encoder and decoder were trained apart, each as a class of its own."""

    pooler: nn.Module | None
    parts: Any  # the encoder and the decoder, each a model

    def __init__(
        self,
        config: Config | None = None,
        *,
        encoder: PreTrainedModel | None = None,
        decoder: PreTrainedModel | None = None,
        **options: Any,
    ) -> None:
        """Build both with fresh weights, or join two models that exist.

        Args:
            config: the settings of both, in `encoder` and `decoder`; made of theirs if absent.
            encoder: a bare model.
            decoder: a model that writes, and attends to another sequence.
            **options: none so far.
        """
        if config is None:
            if encoder is None or decoder is None:
                raise ArgumentError(f"{type(self).__name__} needs a config, or encoder and decoder")
            parts = {"encoder": encoder.config.to_dict(), "decoder": decoder.config.to_dict()}
            config = self.config_class(**parts)
        # Both are kept, but not as modules: their organs hang in `body`, `head` and `pooler`.
        self.__dict__["parts"] = (encoder, decoder)
        super().__init__(config, **options)

    def _build_body(self) -> Joined:
        built = [
            kind(config) if part is None else part
            for part, (kind, config) in zip(self.parts, _classes(self.config), strict=True)
        ]
        self.__dict__["parts"] = encoder, decoder = tuple(built)
        body = encoder.body
        flat = isinstance(body, Stack) or (isinstance(body, Pyramid) and not body.maps)
        if not flat:
            raise ConfigError(
                f"{encoder.config.model_type!r} cannot be the encoder of {type(self).__name__}: "
                "only a single stack can, or a pyramid of tokens"
            )
        if getattr(decoder.stack.blocks[0], "cross", None) is None:
            raise ConfigError(
                f"{type(decoder).__name__} attends to no other sequence, so it cannot be a "
                "decoder here.\n  → set is_decoder and add_cross_attention in its config"
            )
        width = body.channels[-1] if isinstance(body, Pyramid) else encoder.config.hidden_size
        told = encoder.config.get("output_hidden_size") or width
        sought = decoder.config.get("cross_attention_hidden_size")
        if sought not in (None, width):
            raise ConfigError(
                f"the decoder reads states of {sought} numbers (cross_attention_hidden_size), but "
                f"the encoder's have {width}\n  → compare both with the original's config.json"
            )
        joined = sought is not None or told == decoder.config.hidden_size
        widths = None if joined else (width, decoder.config.hidden_size)
        kind = JoinedSounds if hasattr(encoder.reader, "shrink") else Joined
        kind = JoinedTexts if encoder.reader is None else kind
        return kind(body, decoder.stack, widths)

    def _build_head(self) -> nn.Module | None:
        encoder, decoder = self.parts
        self.pooler, head = encoder.head, decoder.head
        same = {f.name: getattr(head.spec, f.name) for f in fields(tasks.WordHead)}
        head.spec = tasks.Joined(**same)  # labels are the words themselves, not the inputs moved
        return head

    def _initialise_all(self, module: nn.Module) -> None:
        if module is self.body.join:  # all else was filled where it was built
            super()._initialise_all(module)

    def tie_weights(self) -> None:
        """Make the words' scores read the decoder's table of tokens, where its config says so."""
        self.parts[1].tie_weights()

    @property
    def begins_as_given(self) -> bool:
        """Whether generation puts no start before the tokens that a caller gives the decoder."""
        return self.encoder.head_spec.begin == "given"

    @property
    def encoder(self) -> PreTrainedModel:
        """The model that reads."""
        return self.parts[0]

    @property
    def decoder(self) -> PreTrainedModel:
        """The model that writes."""
        return self.parts[1]

    def forward(self, *inputs: Any, **given: Any) -> Any:
        """Run both on a batch; sounds may also be called `inputs`."""
        if "inputs" in given and self.reader is not None:
            given[self.main_input_name] = given.pop("inputs")
        return super().forward(*inputs, **given)

    @classmethod
    def disk_names(cls, config: Config) -> JoinedNames:
        """Return how the tensors of both are called on disk."""
        (reader, first), (writer, second) = _classes(config)
        one, two = reader.disk_names(first), writer.disk_names(second)
        copies = _behind("encoder", one.copies) | _behind("decoder", two.copies)
        pooler = {
            ours.replace("head", "pooler", 1): f"encoder.{theirs}"
            for ours, theirs in one.head.items()
            if isinstance(theirs, str)
        }
        half = writer.head_spec.half is not None
        return JoinedNames(
            {},
            pooler,
            aliases={**one.aliases, **two.aliases},
            ignored=(*one.ignored, *two.ignored),
            copies=copies,
            encoder=one,
            decoder=two,
            half=half,
        )

    @classmethod
    def from_encoder_decoder_pretrained(
        cls,
        encoder_pretrained_model_name_or_path: str | Path | None = None,
        decoder_pretrained_model_name_or_path: str | Path | None = None,
        **options: Any,
    ) -> JoinedModel:
        """Join two checkpoints; what lets the decoder look at the encoder may be new.

        Args:
            encoder_pretrained_model_name_or_path: what reads.
            decoder_pretrained_model_name_or_path: what writes.
            **options: of `from_pretrained`, for one of them: `encoder_…`, `decoder_…`; a model
                itself as `encoder_model`, `decoder_model`; others are settings of the whole.
        """
        from armature import auto

        encoder, decoder = options.pop("encoder_model", None), options.pop("decoder_model", None)
        first, second = _take(options, "encoder_"), _take(options, "decoder_")
        if encoder is None:
            silent = {"is_decoder": False, "add_cross_attention": False}
            opener: Callable[..., Any] = auto.AutoModel.from_pretrained
            encoder = opener(_named(encoder_pretrained_model_name_or_path), **(silent | first))
        if decoder is None:
            looks = {"is_decoder": True, "add_cross_attention": True}
            opener = auto.AUTO_MODELS["AutoModelForCausalLM"].from_pretrained
            decoder = opener(_named(decoder_pretrained_model_name_or_path), **(looks | second))
        model = cls(encoder=encoder, decoder=decoder)
        model.config.update(options)
        return model


def _classes(config: Config) -> list[tuple[type[PreTrainedModel], Config]]:
    """Return the class and the config of the encoder, then of the decoder."""
    from armature import auto

    found = []
    for word, opener in (("encoder", "AutoModel"), ("decoder", "AutoModelForCausalLM")):
        settings = getattr(config, word)
        if not isinstance(settings, Mapping) or not settings.get("model_type"):
            raise ConfigError(f"config.json: `{word}` should hold the settings of a checkpoint")
        part = config_class(str(settings["model_type"])).from_dict(settings)
        found.append((auto.AUTO_MODELS[opener]._class_for(part), part))
    return found


def _behind(word: str, copies: Mapping[str, str]) -> dict[str, str]:
    return {f"{word}.{one}": f"{word}.{two}" for one, two in copies.items()}


def _take(options: dict[str, Any], word: str) -> dict[str, Any]:
    """Take the options that begin with `word` out of a caller's."""
    kept = ("decoder_start_token_id",)  # a setting of the whole
    names = [name for name in options if name.startswith(word) and name not in kept]
    return {name.removeprefix(word): options.pop(name) for name in names}


def _named(name: str | Path | None) -> str | Path:
    if name is None:
        raise ArgumentError("give the names of two checkpoints: one that reads, one that writes")
    return name
