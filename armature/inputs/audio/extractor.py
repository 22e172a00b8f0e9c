"""Feature extractors: preprocessor_config.json and sounds → what a model of sounds reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from armature.errors import ArgumentError, CheckpointError, ConfigError
from armature.inputs.audio import sounds
from armature.inputs.audio.kinds import KINDS, OF_TYPES, Kind, class_names
from armature.inputs.audio.rows import Fit, padded
from armature.inputs.audio.sounds import Sound
from armature.inputs.audio.ways import WAYS
from armature.inputs.encoding import BatchEncoding
from armature.inputs.preprocessor import AUDIO, Preprocessor, model_type_of, read_settings
from armature.inputs.tensors import stacked

if TYPE_CHECKING:
    from armature.checkpoint.hub import Source

_COUNTS = ("feature_size", "sampling_rate", "num_mel_bins", "hop_length", "chunk_length", "n_fft",
           "max_length")  # fmt: skip
_MOST = 1 << 20


class FeatureExtractor(Preprocessor):
    """Makes of sounds what a model reads: `input_values` (B, T) or spectra of them."""

    kind: ClassVar[Kind]
    part = AUDIO
    derived = ("n_samples", "nb_max_frames")

    def _checked(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        found = {key: value for key, value in settings.items() if key in self.kind.settings}
        for name in _COUNTS:
            value = found.get(name)
            whole = isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MOST
            if name in found and not whole:
                raise ConfigError(f"`{name}` is {value!r}: give a whole number from 1 to {_MOST}")
        return found

    @property
    def model_input_names(self) -> list[str]:
        """Return the names of what it makes."""
        return list(self.kind.makes)

    @property
    def n_samples(self) -> int:
        """Return how many samples a model takes that hears a fixed time."""
        return self.chunk_length * self.sampling_rate

    @property
    def nb_max_frames(self) -> int:
        """Return how many frames a model takes that hears a fixed time."""
        return self.n_samples // self.hop_length

    # ------------------------------------------------------------------ use

    def __call__(  # noqa: PLR0913 - the known signature
        self,
        raw_speech: Sound | list[Sound] = None,
        *,
        audio: Sound | list[Sound] = None,
        padding: bool | str | None = None,
        max_length: int | None = None,
        truncation: bool | None = None,
        pad_to_multiple_of: int | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: str | None = None,
        sampling_rate: int | None = None,
        device: str = "cpu",
        **overrides: Any,
    ) -> BatchEncoding:
        """Make of one or several sounds what a model reads.

        Args:
            raw_speech: paths, bytes, data URLs, files (mixed and resampled as needed); arrays,
                lists or tensors of one channel, taken as they are; or mappings of such an `array`
                and its `sampling_rate`.
            audio: the other name of it.
            padding: True for the length of the longest, "max_length", False for none.
            max_length: of samples or frames: where sounds are cut or to where they are padded.
            truncation: whether longer ones are cut.
            pad_to_multiple_of: what the common length is a multiple of.
            return_attention_mask: whether to say which parts are sound and which are padding.
            return_tensors: "pt", "np", or None for a list of arrays.
            sampling_rate: of the arrays given: what the model was trained with, or an error.
            device: taken for old scripts' sake: spectra are made on the CPU.
            overrides: settings of this call alone.

        Raises:
            ArgumentError: a sound cannot be read, has another sampling rate than the model's, or
                lengths differ, so that they make no tensor.
            UnknownArgumentError: there is no such setting.
        """
        s = self._with(overrides)
        given = raw_speech if raw_speech is not None else audio
        if given is None:
            raise ArgumentError(f"{type(self).__name__} needs a sound: pass it first.")
        self._check_rate(sampling_rate, s["sampling_rate"])
        rows = [sounds.read(one, s["sampling_rate"]) for one in sounds.many(given)]
        truncation = self.kind.truncation if truncation is None else truncation
        most = max_length or s.get("max_length")
        if most is None and self.kind.padding == "max_length":
            most = s["chunk_length"] * s["sampling_rate"]
        padding = self.kind.padding if padding is None else padding
        fit = Fit(padding, truncation, most, pad_to_multiple_of)
        masked = (
            s["return_attention_mask"] if return_attention_mask is None else return_attention_mask
        )
        made, masks = WAYS[self.kind.way](rows, s, fit, masked=masked)
        return self._batch(made, masks if masked else None, return_tensors)

    def pad(  # noqa: PLR0913 - the known signature
        self,
        processed_features: Any,
        padding: bool | str = True,  # noqa: FBT001, FBT002 - the known signature
        *,
        max_length: int | None = None,
        truncation: bool = False,
        pad_to_multiple_of: int | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: str | None = None,
    ) -> BatchEncoding:
        """Bring what calls have made of single sounds to one length.

        Args:
            processed_features: a mapping of lists, or a list of mappings, as calls return them.
            padding: True for the length of the longest, "max_length", False for none.
            max_length: where rows are cut or to where they are padded.
            truncation: whether longer ones are cut.
            pad_to_multiple_of: what the common length is a multiple of.
            return_attention_mask: whether to say which parts are padding.
            return_tensors: "pt", "np", or None for a list of arrays.

        Raises:
            ArgumentError: there are no rows of this class.
        """
        name = self.kind.makes[0]
        if isinstance(processed_features, Sequence):
            given = [one.get(name) for one in processed_features]
        else:
            given = processed_features.get(name)
        if given is None or not len(given) or any(one is None for one in given):
            raise ArgumentError(f"{type(self).__name__}.pad() needs lists of `{name}`")
        fit = Fit(padding, truncation, max_length, pad_to_multiple_of)
        rows = fit.cut([np.asarray(row, np.float32) for row in given])
        rows, masks = padded(rows, fit.length(rows), self.settings)
        asked = return_attention_mask
        masked = self.return_attention_mask if asked is None else asked
        return self._batch(rows, masks if masked else None, return_tensors)

    def _batch(
        self, rows: list[np.ndarray], masks: list[np.ndarray] | None, kind: str | None
    ) -> BatchEncoding:
        found = {self.kind.makes[0]: rows, **({} if masks is None else {"attention_mask": masks})}
        if kind is None:
            return BatchEncoding(found)
        return BatchEncoding(
            {name: stacked(name, arrays, kind, "padding=True") for name, arrays in found.items()}
        )

    def _check_rate(self, given: int | None, own: int) -> None:
        if given is not None and given != own:
            raise ArgumentError(
                f"The sounds have {given} samples per second, but the model was trained with {own}."
                '\n  → pass {"array": sound, "sampling_rate": '
                f"{given}" + "}, which is resampled; or give the file itself"
            )

    # ------------------------------------------------------------------ files

    @classmethod
    def of_file(cls, stored: Mapping[str, Any], options: Mapping[str, Any]) -> FeatureExtractor:
        """Build it of what a file says, and options over it."""
        length = stored.get("chunk_length")
        if isinstance(length, float) and length.is_integer():
            stored = {**stored, "chunk_length": int(length)}
        return super().of_file(stored, options)

    def to_dict(self) -> dict[str, Any]:
        """Return what its file holds."""
        kept = super().to_dict()
        if "chunk_length" in kept:
            kept |= {"n_samples": self.n_samples, "nb_max_frames": self.nb_max_frames}
        return kept


# -------------------------------------------------------------------- classes and files


@cache
def feature_extractor_class(name: str) -> type[FeatureExtractor] | None:
    """Return the class of a name ("WhisperFeatureExtractor"); or None."""
    stem = name.removesuffix("FeatureExtractor")
    if stem == name or stem not in KINDS:
        return None
    doc = FeatureExtractor.__doc__
    body = {"kind": KINDS[stem], "__module__": "armature", "__doc__": doc}
    return type(name, (FeatureExtractor,), body)


def load_feature_extractor(source: Source, **options: Any) -> FeatureExtractor:
    """Open the feature extractor of a checkpoint; options override its settings.

    Raises:
        CheckpointError: there is none, or its class is not known here.
    """
    stored, path = read_settings(source, AUDIO)
    said = stored.get("feature_extractor_type")
    found = feature_extractor_class(said) if isinstance(said, str) else None
    if found is None and not said:
        model_type = model_type_of(source)
        stem = OF_TYPES.get(model_type, "")
        found = feature_extractor_class(f"{stem}FeatureExtractor")
        said = f"a feature extractor for {model_type!r}"
    if found is None:
        known = ", ".join(class_names())
        raise CheckpointError(path, f"{said} is not known here", f"known: {known}")
    return found.of_file(stored, options)
