"""SoundModel: a model that reads waveforms; parts of it may be frozen, or speak a language."""

from __future__ import annotations

from typing import Any

from armature.checkpoint.hub import resolve
from armature.errors import ArgumentError, CheckpointError, nearest
from armature.layers.linear import Linear
from armature.outputs import tasks
from armature.pretrained import PreTrainedModel

LANGUAGE = "language"  # what blocks and the map to letters have of a language
_LETTERS = "head.out"


class SoundModel(PreTrainedModel):
    """A model that reads waveforms."""

    target_lang: str | None = None  # whose adapter was loaded

    def freeze_feature_encoder(self) -> None:
        """Let training leave the convolutions as they are that make frames."""
        self.body.embed.frames.requires_grad_(requires_grad=False)

    def freeze_base_model(self) -> None:
        """Let training change the head alone."""
        self.body.requires_grad_(requires_grad=False)

    def set_gumbel_temperature(self, temperature: float) -> None:
        """Set how freely codes are drawn while training."""
        if not hasattr(self.head, "temperature"):
            raise ArgumentError(f"{type(self).__name__} draws no codes")
        self.head.temperature = temperature

    def load_adapter(
        self,
        target_lang: str,
        *,
        force_load: bool = True,
        use_safetensors: bool | None = None,
        **hub: Any,
    ) -> None:
        """Read what the checkpoint has for one language: adapters of blocks, scores of letters.

        Args:
            target_lang: the language, as the file's name spells it: `adapter.eng.safetensors`.
            force_load: read it even if it is the language that was read last.
            use_safetensors: True or False for one format only; None prefers safetensors.
            **hub: see `armature.checkpoint.hub.resolve`.

        Raises:
            ArgumentError: the model has no adapters.
            CheckpointError: the checkpoint has none for this language, or it does not fit.
        """
        if self.config.get("adapter_attn_dim") is None:
            raise ArgumentError(
                f"{type(self).__name__} has no adapters: config.adapter_attn_dim is not set, so "
                f"nothing can be loaded for {target_lang!r}"
            )
        if target_lang == self.target_lang and not force_load:
            return
        kinds = {None: ("safetensors", "bin"), True: ("safetensors",), False: ("bin",)}
        self._fill(_opened(self.name_or_path, target_lang, kinds[use_safetensors], hub))
        self.target_lang = target_lang

    def _fill(self, weights: Any) -> None:
        from armature.checkpoint.load import places

        names = self.disk_names(self.config)
        letters = isinstance(self.head_spec, tasks.CTC)
        if letters:
            self._resize(weights, f"{self.head_spec.out}.weight")
        own = {}
        for place in places(self, names):
            path = place.path.split(".")
            if LANGUAGE in path or (letters and place.path.startswith(f"{_LETTERS}.")):
                own[place.pairs[0].name] = place
        file, found = weights.files[0], set(weights)
        if found != set(own):
            other = sorted(found ^ set(own))
            raise CheckpointError(
                file,
                f"is no adapter of this model: {len(other)} names differ, {other[0]!r} among them",
            )
        for name, place in own.items():
            if weights[name].shape != tuple(place.tensor.shape):
                raise CheckpointError(
                    file,
                    f"{name} has the shape {weights[name].shape}, but the model "
                    f"{tuple(place.tensor.shape)}",
                )
        for name, place in own.items():
            place.fill(weights.read(name).to(place.tensor))

    def _resize(self, weights: Any, name: str) -> None:
        """Give the head as many letters as the file has."""
        if name in weights and weights[name].shape[0] != self.head.out.out_features:
            old, count = self.head.out, weights[name].shape[0]
            made = Linear(old.in_features, count, bias=old.bias is not None)
            self.head.out = made.to(old.weight)
            self.config.vocab_size = count


def _opened(name: str, language: str, kinds: tuple[str, ...], hub: dict[str, Any]) -> Any:
    """Open the file of a language.

    Raises:
        CheckpointError: there is none; the message names the nearest.
    """
    from armature.checkpoint.files import open_weight_files

    source = resolve(name, **hub)
    for kind in kinds:
        path = source.find(f"adapter.{language}.{kind}")
        if path is not None:
            return open_weight_files([path], kind)
    known = [one.split(".")[1] for one in source.names() if one.startswith("adapter.")]
    raise CheckpointError(
        source.place,
        f"has no adapter for the language {language!r}.{nearest(language, known)}",
        f"it has them for {', '.join(sorted(set(known))[:8])}" if known else "",
    )
