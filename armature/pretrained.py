"""PreTrainedModel: a body and a head under one class name; built, called, saved."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from armature import arguments, vocabulary
from armature import forward as passes
from armature.checkpoint.names import Names
from armature.checkpoint.report import LoadReport
from armature.config import Config
from armature.disk import disk_names
from armature.errors import ArgumentError
from armature.layers.linear import Linear
from armature.model.build import build
from armature.model.composite import Composite
from armature.model.encoder_decoder import EncoderDecoder
from armature.model.fresh import fill
from armature.model.pyramid import Pyramid
from armature.model.stack import Stack
from armature.outputs import tasks
from armature.outputs.heads import Tokens, build_head
from armature.outputs.images import build_image_head
from armature.outputs.results import ModelOutput
from armature.outputs.sounds import build_sound_head

if TYPE_CHECKING:
    from collections.abc import Generator

    from armature.outputs.decoding.config import GenerationConfig
    from armature.outputs.decoding.steps import Steps


class PreTrainedModel(nn.Module):
    """A model of one architecture for one task.

    `model(**batch)` takes padded batches as tokenizers make them and returns the result that
    users know; inside, tokens lie end to end and padding is never computed. Subclasses are made
    from the files of `armature.arch` (see `armature.auto.model_class`).
    """

    arch: ModuleType
    head_spec: tasks.Head
    config_class: type[Config]
    body: Any  # Stack, EncoderDecoder, Pyramid or Composite
    head: Any  # what the class puts on the body, or None
    counts_tokens = False  # in decoding, whether padding before a decoder's text moves it not

    def __init__(self, config: Config, **options: Any) -> None:
        """Build the model with fresh weights.

        Args:
            config: the settings of the architecture.
            **options: `add_pooling_layer=False` leaves a bare model's pooler out,
                `use_mask_token=True` lets it take images whose patches are partly hidden,
                `crf=True` joins the labels of tokens to paths (a conditional random field).
        """
        super().__init__()
        if not isinstance(config, self.config_class):
            raise ArgumentError(
                f"{type(self).__name__} is built from a {self.config_class.__name__}, "
                f"not from a {type(config).__name__}"
            )
        self.config = config
        self.name_or_path = config.name_or_path
        self.load_report = LoadReport()
        self._fresh: list[tuple[str, Tensor, int]] = []  # new weights, and how often each was set
        self._generation_config: GenerationConfig | None = None
        self.body = self._build_body()
        self.head = self._build_head()
        self._choose_parts(options)
        if "head.shift" in self.head_spec.rows(config) and self.head is not None:
            self.head.register_buffer("shift", torch.zeros(1, self._widths()[1][0]))
        self.tie_weights()
        if self.device.type != "meta":
            for module in self.modules():
                self._initialise_all(module)
        self.eval()

    def _choose_parts(self, options: dict[str, Any]) -> None:
        """Leave out or add what a caller decides, and nobody's config says."""
        if options.pop("add_pooling_layer", True) is False and self._is_base:
            self.head = None
        embed: Any = getattr(self.body, "embed", None)
        masks = bool(self.config.get("use_mask_token", False))
        if hasattr(embed, "learn_mask") and options.pop("use_mask_token", masks):
            embed.learn_mask()
        if isinstance(self.head, Tokens) and options.pop("crf", False):
            self.head.learn_chain()
        if options:
            raise ArgumentError(f"{type(self).__name__} has no option {next(iter(options))!r}")

    def _build_body(self) -> nn.Module:
        anatomy = self.head_spec.body or self.arch.spec
        return build(anatomy(self.config), self.head_spec.half)

    def _build_head(self) -> nn.Module | None:
        body, spec = self.body, self.head_spec
        if spec.make is not None:
            return spec.make(spec, self.config, body)
        if isinstance(body, Composite):
            return None
        if isinstance(spec, tasks.OF_IMAGES):
            return build_image_head(spec, self.config, body)
        if isinstance(spec, tasks.OF_SOUNDS):
            return build_sound_head(spec, self.config, self.stack)
        return build_head(spec, self.config, *self._widths())

    # ---------------------------------------------------------------- what it is made of

    @property
    def _is_base(self) -> bool:
        return isinstance(self.head_spec, tasks.Base)

    @property
    def stack(self) -> Stack:
        """The stack whose states the head reads."""
        body = self.body
        if isinstance(body, EncoderDecoder):
            half = body.encoder if body.decoder is None else body.decoder
            assert half is not None
            return half
        return body.stack if isinstance(body, Composite) else body

    def _widths(self) -> tuple[int, tuple[int, int]]:
        if isinstance(self.body, Pyramid):
            return self.body.width, (0, 0)
        embed = self.stack.embed
        if not hasattr(embed, "token"):
            return embed.width, (0, 0)
        vocab, word_width = embed.token.weight.shape
        return getattr(embed.project, "out_features", word_width), (vocab, word_width)

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights."""
        return next(p.dtype for p in self.parameters() if p.is_floating_point())

    @property
    def reader(self) -> Any:
        """What reads images or sounds of a call for itself; None: the input are tokens."""
        body = self.body
        if isinstance(body, Composite | Pyramid):
            return body
        first = getattr(body, "encoder", body) if isinstance(body, EncoderDecoder) else body
        if isinstance(first, Pyramid):
            return first
        embed = getattr(first, "embed", None)
        return embed if hasattr(embed, "open") else None

    @property
    def is_encoder_decoder(self) -> bool:
        """Whether an encoder reads the input and a decoder writes the output."""
        both = isinstance(self.body, EncoderDecoder)
        return both and self.body.encoder is not None and self.body.decoder is not None

    @property
    def is_causal(self) -> bool:
        """Whether tokens see only what comes before them."""
        blocks = getattr(self.stack, "blocks", ())
        return len(blocks) > 0 and bool(getattr(blocks[0].attn, "causal", False))

    @property
    def max_positions(self) -> int | None:
        """The most tokens that a sequence may have; None where no table of positions ends."""
        table = getattr(getattr(self.stack, "embed", None), "position", None)
        return None if table is None or not table.size else table.size - table.offset

    @property
    def input_names(self) -> list[str]:
        """The arguments of a call that carry a sequence."""
        flags = ("output_attentions", "output_hidden_states", "return_dict", "use_cache")
        return [name for name in arguments.accepted(self) if name not in flags]

    @property
    def base_model(self) -> nn.Module:
        """The body."""
        return self.body

    @property
    def untrained(self) -> tuple[str, ...]:
        """Names of the head's weights that no checkpoint filled and no training has changed."""
        return tuple(name for name, weight, age in self._fresh if weight._version == age)

    def __getstate__(self) -> dict[str, Any]:
        """Return what copies and pickles keep: which weights are still fresh, not their age."""
        fresh = [(name, weight, 0) for name, weight, age in self._fresh if weight._version == age]
        return {**self.__dict__, "_fresh": fresh}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over the state of a model that was copied."""
        super().__setstate__(state)
        self._fresh = [(name, weight, weight._version) for name, weight, _ in self._fresh]

    def num_parameters(self, *, only_trainable: bool = False) -> int:
        """Return how many numbers the model has learned, or those that training may change."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad or not only_trainable)

    def get_input_embeddings(self) -> nn.Module:
        """Return the table of tokens, or what embeds an image's patches."""
        embed = self.stack.embed
        return embed.token if hasattr(embed, "token") else embed.patch

    def get_output_embeddings(self) -> Linear | None:
        """Return the map from states to words, where the head has one."""
        if not isinstance(self.head_spec, tasks.WordHead) or self.head is None:
            return None
        return self.head.out

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        """Put another table of tokens in the place of this model's."""
        vocabulary.replace(self, value)

    def resize_token_embeddings(
        self,
        new_num_tokens: int | None = None,
        pad_to_multiple_of: int | None = None,
        mean_resizing: bool = True,  # noqa: FBT001, FBT002 - the known signature
    ) -> nn.Module:
        """Make the vocabulary longer or shorter: the table of tokens and the scores of words.

        Args:
            new_num_tokens: how many words there shall be, usually `len(tokenizer)`.
            pad_to_multiple_of: round that up to a multiple of this.
            mean_resizing: new words begin at the mean of the others, not at random.

        Returns:
            The table of tokens.
        """
        vocabulary.resize(self, new_num_tokens, pad_to_multiple_of, mean=mean_resizing)
        return self.get_input_embeddings()

    def gradient_checkpointing_enable(self, **_options: Any) -> None:
        """Train in less memory: blocks forget what they computed and compute it again."""
        for stack in self._forgetful():
            stack.forgets = True

    def gradient_checkpointing_disable(self) -> None:
        """Keep what blocks computed until the gradients are there, which is faster."""
        for stack in self._forgetful():
            stack.forgets = False

    @property
    def is_gradient_checkpointing(self) -> bool:
        """Whether blocks forget what they computed while training."""
        return any(stack.forgets for stack in self.modules() if isinstance(stack, Stack))

    def _forgetful(self) -> list[Stack]:
        stacks = [module for module in self.modules() if isinstance(module, Stack)]
        if not stacks:
            raise ArgumentError(f"{type(self).__name__} cannot compute its blocks a second time")
        return stacks

    def tie_weights(self) -> None:
        """Make the words' scores read the table of tokens, where the config says so."""
        out, spec = self.get_output_embeddings(), self.head_spec
        if out is not None and isinstance(spec, tasks.WordHead) and spec.ties(self.config):
            out.weight = self.stack.embed.token.weight

    def _initialise_all(self, module: nn.Module) -> None:
        for name, tensor in module._parameters.items():
            if tensor is not None:
                self.initialise(module, name, tensor.data)

    def initialise(self, module: nn.Module, name: str, tensor: Tensor) -> None:
        """Fill one fresh weight."""
        spread = self.config.get("init_std") or self.config.get("initializer_range") or 0.02
        fill(module, name, tensor, float(spread))

    def quantize(self, precision: str) -> None:
        """Round the weights to "int8" or "int4": see `armature.precision.quantize`."""
        from armature.precision import quantize

        quantize(self, precision)

    # ---------------------------------------------------------------- names on disk

    @classmethod
    def disk_names(cls, config: Config) -> Names:
        """Return how this class's tensors are called on disk."""
        return disk_names(cls.arch, cls.head_spec, config)

    # ---------------------------------------------------------------- use

    @property
    def main_input_name(self) -> str:
        """The argument that a call may give without its name."""
        return "input_ids" if self.reader is None else self.reader.takes[0]

    def forward(self, *inputs: Any, **given: Any) -> ModelOutput | tuple:
        """Run the model on a batch as a tokenizer or an image processor makes it.

        Args:
            *inputs: `input_ids` (B, T) and `attention_mask` (B, T); or `pixel_values`
                (B, C, height, width) of images.
            **given: the same by name, `labels`, `output_hidden_states` and `output_attentions`
                (True, or a list of layers), `return_dict`, and what else the architecture takes;
                a name that it does not have is refused.

        Returns:
            The result that users know for this task; a tuple with `return_dict=False`.
        """
        main = self.main_input_name
        masked = self.reader is None or "attention_mask" in self.reader.takes
        names = (main, "attention_mask") if masked else (main,)
        if len(inputs) > len(names):
            raise ArgumentError(
                f"{type(self).__name__} takes only {' and '.join(names)} without a name: "
                "give the other arguments by name"
            )
        for name, value in zip(names, inputs, strict=False):
            if name in given:
                raise ArgumentError(f"the call gives {name} twice")
            given[name] = value
        return passes.run(self, given)

    def generate(
        self, inputs: Tensor | None = None, generation_config: Any = None, **options: Any
    ) -> Any:
        """Write on from a prompt; see `armature.outputs.decoding.generate`."""
        from armature.outputs.decoding.generate import generate

        return generate(self, inputs, generation_config, **options)

    def stream(
        self, inputs: Tensor | None = None, generation_config: Any = None, **options: Any
    ) -> Generator[str, None, None]:
        """Yield what `generate` writes as text, piece by piece, given `tokenizer=`.

        See `armature.outputs.decoding.pieces.stream`.
        """
        from armature.outputs.decoding.pieces import stream

        return stream(self, inputs, generation_config, **options)

    @property
    def generation_config(self) -> GenerationConfig:
        """How `generate` writes unless told otherwise."""
        if self._generation_config is None:
            from armature.outputs.decoding.config import GenerationConfig

            self._generation_config = GenerationConfig.from_model_config(self.config)
        return self._generation_config

    @generation_config.setter
    def generation_config(self, value: GenerationConfig) -> None:
        self._generation_config = value

    def steps(
        self, prompt: Tensor, prompt_mask: Tensor | None, inputs: dict[str, Any], capacity: int
    ) -> Steps:
        """Return this model as decoding sees it; see `armature.outputs.decoding.steps.Steps`.

        Args:
            prompt: (B, T) ids to go on from, of the decoder where there are two stacks.
            prompt_mask: (B, T), zero at padding on either side.
            inputs: the encoder's inputs, what else goes with the prompt, and how to read it, by
                the names of a call: `use_cache`, `output_attentions`, `output_hidden_states`.
            capacity: tokens of a row, prompt included, to make room for.
        """
        from armature.stepping import steps

        return steps(self, prompt, prompt_mask, inputs, capacity)

    def save_pretrained(self, folder: str | Path, **options: Any) -> None:
        """Write config.json and the weights; see `armature.saving.save_model`."""
        from armature.saving import save_model

        save_model(self, folder, **options)

    @classmethod
    def from_pretrained(
        cls, name: str | Path, *, config: Config | None = None, **options: Any
    ) -> Any:
        """Open a checkpoint as this class; see `armature.opening.open_model`."""
        from armature.opening import open_model

        return open_model(name, lambda _config: cls, config=config, **options)

    @classmethod
    def from_config(cls, config: Config, **options: Any) -> Any:
        """Build this class with fresh weights, in `dtype` (float32 unless given)."""
        from armature.opening import read_dtype

        dtype = read_dtype(options)
        model = cls(config, **options)
        return model if dtype in (None, "auto") else model.to(dtype)
