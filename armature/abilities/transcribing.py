"""TranscribingModel: `generate` for models that listen to sounds of any length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from armature import forward as passes
from armature.errors import ArgumentError
from armature.outputs.decoding.config import DEFAULTS
from armature.outputs.decoding.rules import tokens_of
from armature.outputs.transcripts.transcribe import Sound, Transcription, padded
from armature.outputs.transcripts.wishes import Wishes
from armature.pretrained import PreTrainedModel

_WISHES = tuple(field.name for field in fields(Wishes))


class TranscribingModel(PreTrainedModel):
    """A model that writes what pieces of sound say, one after another."""

    counts_tokens = True  # padding before what was said does not move it
    begins_as_given = True  # what was said before comes first, and no start before that

    @property
    def stride(self) -> int:
        """How many frames become one token of the encoder."""
        return self.reader.strides

    @property
    def piece_frames(self) -> int:
        """How many frames one piece has."""
        return self.stride * self.config.max_source_positions

    @torch.inference_mode()
    def hear(self, features: Tensor) -> Tensor:
        """Spectra (B, bands, frames) of one piece → the encoder's states (B, S, D)."""
        features = features.to(self.device)
        x, inputs, _ = passes.encode(self, {"input_features": features})
        return inputs.layout.unpack(x)

    @torch.inference_mode()
    def detect_language(
        self,
        input_features: Tensor | None = None,
        encoder_outputs: Any = None,
        generation_config: Any = None,
    ) -> Tensor:
        """Return the token of the likeliest language of each sound, (B,), by its first piece."""
        stored = self._stored(generation_config)
        known = stored.get("lang_to_id")
        if not known or (input_features is None) == (encoder_outputs is None):
            raise ArgumentError(
                "detect_language() reads input_features or encoder_outputs, one of them, and "
                "needs `lang_to_id` in the checkpoint's generation_config.json"
            )
        if encoder_outputs is None:
            encoder_outputs = self.hear(_piece(input_features, self.piece_frames))
        states = encoder_outputs if isinstance(encoder_outputs, Tensor) else encoder_outputs[0]
        start = torch.full((len(states), 1), self._start(stored), device=states.device)
        scores = self.steps(start, None, {"encoder_outputs": states}, 1).start()
        languages = torch.tensor(sorted(known.values()), device=scores.device)
        return languages[scores[:, languages].argmax(-1)].clone()

    def generate(  # type: ignore[override]  # noqa: PLR0913
        self,
        input_features: Tensor | None = None,
        generation_config: Any = None,
        *,
        temperature: float | Sequence[float] | None = None,
        attention_mask: Tensor | None = None,
        time_precision: float = 0.02,
        time_precision_features: float = 0.01,
        return_segments: bool = False,
        monitor_progress: Any = None,
        **settings: Any,
    ) -> Any:
        """Write what sounds say.

        Args:
            input_features: spectra (B, bands, frames): of one piece, or longer.
            generation_config: settings for this call, in place of `model.generation_config`'s.
            temperature: what to draw tokens at, where it is not 0; of several, the next one where
                the text fails `compression_ratio_threshold` or `logprob_threshold`.
            attention_mask: (B, frames) 0 at padding, for several long sounds.
            time_precision: seconds between two times that the model writes.
            time_precision_features: seconds between two frames.
            return_segments: return a table with what was said between two times, too.
            monitor_progress: called before each piece with (B, 2) frames: done, and all.
            **settings: `language`, `task`, `return_timestamps`, `return_token_timestamps`,
                `prompt_ids`, `condition_on_prev_tokens`, `no_speech_threshold` and what else
                `Wishes` has; what `armature.outputs.decoding.generate` takes.

        Returns:
            Ids (B, T) of what is said, without the first tokens and the end; with
            `return_dict_in_generate=True` and no times, what `generate` of other models returns;
            with segments or times of tokens, a table.

        Raises:
            ArgumentError: the checkpoint does not know a language, or cannot write times.
        """
        stored = self._stored(generation_config)
        features = settings.pop("inputs", None) if input_features is None else input_features
        given = {name: settings.pop(name) for name in _WISHES if name in settings}
        wishes = Wishes.of(
            given, [stored, {"forced_decoder_ids": self.config.get("forced_decoder_ids")}]
        )
        rows, frames = self._size(features, settings)
        asked = wishes.return_timestamps
        if frames > self.piece_frames:
            self._check_long(wishes, rows, attention_mask)
            wishes.return_timestamps = True
        settings |= {"generation_config": generation_config}
        run = Transcription(self, wishes, settings, stored)
        run.time_precision, run.frame_precision = time_precision, time_precision_features
        run.told = monitor_progress
        several = isinstance(temperature, list | tuple)
        run.temperatures = temperature if several else (temperature,)  # type: ignore[assignment]
        counts = None if attention_mask is None else attention_mask.sum(-1).tolist()
        copies = int(run.stored.get("num_return_sequences") or 1)
        run.frames = None if counts is None else [n for n in counts for _ in range(copies)]
        sounds = self._sounds(features, frames, counts if rows > 1 else None, wishes, run)
        run.run(sounds)
        whole = bool(run.stored.get("return_dict_in_generate"))
        if whole and run.result is not None and (wishes.force_unique_generate_call or not asked):
            return _with_times(run, sounds)
        return _gathered(run, sounds, wishes, segments=return_segments or whole)

    def _size(self, features: Tensor | None, settings: dict[str, Any]) -> tuple[int, int]:
        """Return how many sounds there are, and how many frames each has."""
        if features is not None:
            if features.dim() != 3:
                raise ArgumentError(
                    f"input_features has the shape {tuple(features.shape)}: give "
                    "(B, bands, frames), as the checkpoint's feature extractor makes them"
                )
            return features.shape[0], features.shape[-1]
        told = settings.get("encoder_outputs")
        if told is None:
            raise ArgumentError("generate() has nothing to read.\n  → pass `input_features`")
        states = told if isinstance(told, Tensor) else told[0]
        return states.shape[0], states.shape[1] * self.stride

    def _check_long(self, wishes: Wishes, rows: int, mask: Tensor | None) -> None:
        """Refuse what long sounds cannot do without."""
        if wishes.return_timestamps is False or wishes.no_timestamps_token_id is None:
            raise ArgumentError(
                f"sounds of more than {self.piece_frames} frames are transcribed piece by piece, "
                "each up to the last time that was written: that needs return_timestamps=True and "
                "`no_timestamps_token_id` in the checkpoint's generation_config.json"
            )
        if rows > 1 and mask is None:
            raise ArgumentError(
                "several long sounds differ in length: pass the attention_mask that the feature "
                "extractor returns with return_attention_mask=True"
            )

    def _sounds(
        self,
        features: Tensor | None,
        frames: int,
        counts: list[int] | None,
        wishes: Wishes,
        run: Transcription,
    ) -> list[Sound]:
        """Return the rows of a call, each as often as it is to be transcribed."""
        heard, rows = None, self._size(features, run.settings)[0]
        if wishes.wants_detection():
            told, base = run.settings.get("encoder_outputs"), run.settings["generation_config"]
            told = told if features is None else None
            heard = self.detect_language(features, told, base).tolist()
        begins = wishes.beginnings(self._start(run.stored), rows, heard)
        own = run.settings.pop("decoder_input_ids", None)
        before = wishes.prompt_ids
        copies = int(run.settings.pop("num_return_sequences", None) or 1)
        found = []
        for row in range(rows):
            given = None if own is None else own[row].tolist()
            stop = frames if counts is None or frames <= self.piece_frames else int(counts[row])
            part = None if features is None else features[row : row + 1]
            for _ in range(copies):
                sound = Sound(part, stop, begins[row], given=given)
                sound.conditions = bool(wishes.condition_on_prev_tokens)
                if wishes.first_only and before is not None:
                    cut = 1 if int(before[0]) == wishes.prev_sot_token_id else 0
                    sound.segments.append({"tokens": before[cut:]})
                found.append(sound)
        return found

    def _start(self, stored: dict[str, Any]) -> int:
        start = tokens_of(stored.get("decoder_start_token_id"))
        return start[0] if start else int(self.config.decoder_start_token_id)

    def _stored(self, base: Any) -> dict[str, Any]:
        """Return the settings of the checkpoint and of a configuration, which comes first."""
        found = dict(DEFAULTS)
        for layer in (self.generation_config, base):
            if layer is not None:
                values = layer.to_diff_dict().items()
                found |= {name: value for name, value in values if value is not None}
        return found


def _piece(features: Tensor | None, frames: int) -> Tensor:
    assert features is not None
    cut = features[:, :, :frames]
    return torch.nn.functional.pad(cut, (0, frames - cut.shape[-1]))


def _with_times(run: Transcription, sounds: list[Sound]) -> Any:
    """Return the result of the one pass there was, with the times of its tokens if it has them."""
    if not run.wishes.return_token_timestamps:
        return run.result
    times = [sound.segments[-1]["result"]["token_timestamps"] for sound in sounds]
    return {**dict(run.result.items()), "token_timestamps": torch.stack(times)}


def _gathered(run: Transcription, sounds: list[Sound], wishes: Wishes, *, segments: bool) -> Any:
    """Return what all pieces say, row by row, in one rectangle."""
    for sound in sounds:
        if wishes.first_only:
            sound.segments = sound.segments[1:]
    device = run.model.device
    none = torch.zeros(0, dtype=torch.long, device=device)
    said = [torch.cat([none, *(one["tokens"] for one in sound.segments)]) for sound in sounds]
    sequences = padded(said, run.pad)
    if wishes.force_unique_generate_call:  # HF: with the first tokens and the end, then
        sequences = getattr(run.result, "sequences", run.result)
    if not segments and not wishes.return_token_timestamps:
        return sequences
    found: dict[str, Any] = {"sequences": sequences}
    if wishes.return_token_timestamps:
        found["token_timestamps"] = _times(
            sounds, sequences.shape[1], whole=bool(wishes.force_unique_generate_call)
        )
    if segments:
        found["segments"] = [sound.segments for sound in sounds]
    return found


def _times(sounds: list[Sound], width: int, *, whole: bool) -> Tensor:
    """Return when each token was said, (B, T), the last time repeated to the end of a row."""
    rows = []
    for sound in sounds:
        pairs = [(one["result"]["token_timestamps"], one["idxs"]) for one in sound.segments]
        parts = [times if whole else times[slice(*places)] for times, places in pairs]
        parts = parts[:1] if whole else parts
        times = torch.cat(parts) if parts else torch.zeros(0)
        last = float(times[-1]) if len(times) else 0.0
        rows.append(torch.nn.functional.pad(times, (0, width - len(times)), value=last))
    return torch.stack(rows)
