"""Transcribe: pieces of a sound one after another, each decoded again where it went wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from armature.errors import ArgumentError
from armature.outputs.decoding.generate import generate
from armature.outputs.decoding.rules import tokens_of
from armature.outputs.transcripts.alignment import token_times
from armature.outputs.transcripts.judging import Judged, judge
from armature.outputs.transcripts.timestamps import TimeRule, spans
from armature.outputs.transcripts.wishes import Wishes


@dataclass
class Sound:
    """One row: its spectrum, how far it is transcribed, and what was said so far."""

    features: Tensor | None
    """(1, bands, frames); None where the caller's encoder has read it already."""
    stop: int
    """Frames that are no padding."""
    begin: list[int]
    """The first tokens of each piece."""
    seek: int = 0
    segments: list[dict[str, Any]] = field(default_factory=list)
    conditions: bool = False
    """Whether the next piece is told what was said before."""
    given: list[int] | None = None
    """A caller's own tokens, which the first piece begins with instead."""

    @property
    def done(self) -> bool:
        """Whether all of it is transcribed."""
        return self.seek >= self.stop


class Transcription:
    """One call under way."""

    def __init__(
        self, model: Any, wishes: Wishes, settings: dict[str, Any], stored: dict[str, Any]
    ) -> None:
        """Keep what all pieces share.

        Args:
            model: what listens and writes: an `armature.abilities.transcribing.TranscribingModel`.
            wishes: what the transcript shall be.
            settings: further arguments of `generate`.
            stored: the settings of the call's configuration and the checkpoint's, in one table.
        """
        self.model, self.wishes, self.settings = model, wishes, settings
        self.stored = stored | {k: v for k, v in settings.items() if v is not None}
        self.temperatures: Sequence[float | None] = (None,)
        self.time_precision, self.frame_precision = 0.02, 0.01
        self.frames: list[int] | None = None  # of each row, without padding: where it is told
        self.told: Callable[[Tensor], None] | None = None
        self.longest: int = self.stored.get("max_length") or 20
        first = wishes.first_time
        self.first_time = first if first is not None else model.config.vocab_size + 1
        ends = tokens_of(self.stored.get("eos_token_id"))
        self.ends = ends or tokens_of(self.stored.get("bos_token_id"))
        pads = tokens_of(self.stored.get("pad_token_id"))
        self.pad = pads[0] if pads else self.ends[0]
        self.result: Any = None  # of the last pass, where one pass was enough

    def run(self, sounds: list[Sound]) -> None:
        """Transcribe all sounds to their ends."""
        while live := [sound for sound in sounds if not sound.done]:
            if self.told is not None:
                self.told(torch.tensor([[sound.seek, sound.stop] for sound in sounds]))
            self._piece(live, [i for i, sound in enumerate(sounds) if not sound.done])
            if self.wishes.force_unique_generate_call:
                return

    def _piece(self, sounds: list[Sound], rows: list[int]) -> None:
        """Transcribe the next piece of each sound."""
        width = self.model.piece_frames
        counts = [min(sound.stop - sound.seek, width) for sound in sounds]
        features = None
        if sounds[0].features is not None:
            pairs = zip(sounds, counts, strict=True)
            cut = [s.features[:, :, s.seek : s.seek + n] for s, n in pairs]  # type: ignore[index]
            features = torch.cat([F.pad(one, (0, width - one.shape[-1])) for one in cut])
        prompts = [self._prompt(sound) for sound in sounds]
        longest = max(map(len, prompts))
        room = self._room(longest, self.model.config.max_target_positions)
        ids = torch.tensor([[self.pad] * (longest - len(one)) + one for one in prompts])
        mask = torch.tensor([[0] * (longest - len(one)) + [1] * len(one) for one in prompts])
        for row, found in enumerate(self._heard(features, ids, mask, rows, sounds, room)):
            sound, count = sounds[row], counts[row]
            sound.conditions = bool(self.wishes.condition_on_prev_tokens and found.sure)
            if found.silent:
                sound.seek += count
            else:
                self._split(sound, found, count, longest)

    def _split(self, sound: Sound, found: Judged, count: int, prompt: int) -> None:
        """Append what one piece says to the segments of its sound, and go on behind it."""
        tokens, stride = found.tokens, self.model.stride
        offset = sound.seek * self.time_precision / stride
        # HF: reckoned in single precision, which makes some ends a step earlier.
        whole = float(torch.tensor(count) * self.frame_precision / self.time_precision)
        cut, last = spans(tokens.tolist(), self.first_time, whole)
        for span in cut:
            places = (prompt + span.first, prompt + span.end)
            segment = {
                "start": torch.tensor(offset + span.start * self.time_precision).double(),
                "end": torch.tensor(offset + span.stop * self.time_precision).double(),
                "tokens": tokens[span.first : span.end],
                "idxs": places,
                "result": found.result,
            }
            if found.times is not None:
                segment["token_timestamps"] = found.times[slice(*places)] + offset
            sound.segments.append(segment)
        sound.seek += count if last is None else last * stride

    def _prompt(self, sound: Sound) -> list[int]:
        """Return the tokens that a piece begins with: what was said, or the prompt; its begin."""
        wishes, config = self.wishes, self.model.config
        if sound.given is not None:
            own, sound.given = sound.given, None
            return own
        given = [] if wishes.prompt_ids is None else wishes.prompt_ids.tolist()
        if not sound.conditions or not sound.segments:
            return given + sound.begin
        said: list[int] = []
        for segment in sound.segments:
            tokens = segment["tokens"].tolist()
            doubled = len(tokens) > 2 and tokens[-2] >= self.first_time
            said += tokens[:-1] if doubled else tokens
        said = said[-(config.max_target_positions // 2 - 1) :]
        if given and not wishes.first_only:
            return given + said + sound.begin
        return [*self._before(), *said, *sound.begin]

    def _before(self) -> list[int]:
        """Return the token that stands before what was said earlier."""
        token, suppressed = self.wishes.prev_sot_token_id, self.stored.get("suppress_tokens") or ()
        if token is None and len(suppressed) >= 2:
            token = suppressed[-2]
        return [] if token is None else [token]

    # ---------------------------------------------------------------- one piece, several tries

    def _heard(
        self,
        features: Tensor | None,
        ids: Tensor,
        mask: Tensor,
        rows: list[int],
        sounds: list[Sound],
        room: dict[str, int | None],
    ) -> list[Judged]:
        """Return what is said in a piece of each row, decoded again where it seems wrong."""
        inputs = self._inputs(features, rows)
        silence = self._silence(inputs, ids, mask, [len(sound.begin) for sound in sounds])
        found: dict[int, Judged] = {}
        left = list(range(len(ids)))
        for temperature in self.temperatures:
            part = torch.tensor(left)
            kept = {name: _rows(value, part) for name, value in inputs.items()}
            result = self._generate(kept, ids[part], mask[part], temperature, room)
            times = self._times(result, ids.shape[1], [rows[i] for i in left], sounds, left)
            for place, row in enumerate(left):
                found[row] = judge(
                    self.wishes,
                    _result(result, place),
                    ids.shape[1],
                    temperature=temperature,
                    pad=self.pad,
                    ends=self.ends,
                    silence=None if silence is None else float(silence[row]),
                    vocabulary=self.model.config.vocab_size,
                )
                if times is not None:
                    found[row].result["token_timestamps"] = found[row].times = times[place]
            again = [row for row in left if found[row].wrong]
            self.result = result if len(left) == len(ids) else None
            if not again:
                break
            left = again
        return [found[row] for row in range(len(ids))]

    def _inputs(self, features: Tensor | None, rows: list[int]) -> dict[str, Any]:
        """Return what the decoder attends to: heard once, also where it is decoded again."""
        if features is None:
            told = self.settings["encoder_outputs"]
            told = told if isinstance(told, Tensor) else told[0]
            return {"encoder_outputs": told[torch.tensor(rows, device=told.device)]}
        watched = ("output_attentions", "output_hidden_states")
        if any(self.stored.get(name) for name in watched):
            return {"input_features": features}
        return {"encoder_outputs": self.model.hear(features)}

    @torch.no_grad()
    def _silence(
        self, inputs: dict[str, Any], ids: Tensor, mask: Tensor, begins: list[int]
    ) -> Tensor | None:
        """Return how likely nobody says anything in each row, (B,), where it is asked for."""
        if self.wishes.no_speech_threshold is None or self.wishes.no_timestamps_token_id is None:
            return None
        cut = ids.shape[1] - begins[0] + 1  # all rows begin with equally many tokens
        prompt, seen = ids[:, :cut].to(self.model.device), mask[:, :cut].bool()
        steps = self.model.steps(prompt, seen.to(prompt.device), dict(inputs), cut)
        return steps.start().float().softmax(-1)[:, self.wishes.no_timestamps_token_id - 1]

    def _generate(
        self,
        inputs: dict[str, Any],
        ids: Tensor,
        mask: Tensor,
        temperature: float | None,
        room: dict[str, int | None],
    ) -> Any:
        """Run one pass."""
        wishes, length = self.wishes, ids.shape[1]
        drawn = temperature is not None and temperature > 0
        settings = {k: v for k, v in self.settings.items() if k != "encoder_outputs"}
        settings |= {"do_sample": drawn, "temperature": temperature if drawn else 1.0}
        settings |= {"num_beams": 1} if drawn else {}
        settings |= {"forced_decoder_ids": None, "num_return_sequences": 1, **room}
        if wishes.return_token_timestamps:
            settings |= {"output_attentions": True}
        if wishes.return_token_timestamps or wishes.logprob_threshold is not None:
            settings |= {"output_scores": True, "return_dict_in_generate": True}
        rules = settings.pop("logits_processor", None) or []
        rules = list(rules) if hasattr(rules, "__iter__") else [rules]
        if wishes.return_timestamps:
            latest = wishes.max_initial_timestamp_index
            rules = [TimeRule(length, self.first_time, self.ends[0], latest), *rules]
        if not bool(mask.all()):
            settings["decoder_attention_mask"] = mask
        prompt = ids.to(self.model.device)
        return generate(
            self.model, logits_processor=rules, decoder_input_ids=prompt, **inputs, **settings
        )

    def _room(self, length: int, most: int) -> dict[str, int | None]:
        """Return how long the tokens of a piece may get, those before it included.

        Raises:
            ArgumentError: the model has fewer places.
        """
        new = self.stored.get("max_new_tokens")
        if new is None:
            before = min(most // 2 - 1, length)
            self.longest = min(self.longest + before, most)  # HF: so each piece may get longer
            # HF: padding counts, too: rows with short prompts get no longer than the others.
            return {"max_length": None, "max_new_tokens": max(self.longest - length, 1)}
        if new + length > most:
            raise ArgumentError(
                f"`max_new_tokens={new}` does not fit behind the {length} tokens that a piece "
                f"begins with: the model has {most} places.\n  → pass {most - length} or less"
            )
        return {}

    def _times(
        self, result: Any, prompt: int, rows: list[int], sounds: list[Sound], left: list[int]
    ) -> Tensor | None:
        """Return when each token was said, (R, T), where it is asked for."""
        heads = self.wishes.alignment_heads
        if not self.wishes.return_token_timestamps or heads is None:
            return None
        frames = None
        if self.frames is not None:
            frames = [self.frames[row] - sounds[i].seek for row, i in zip(rows, left, strict=True)]
        return token_times(
            result,
            heads,
            prompt=prompt,
            frames=frames,
            smooth=self.model.config.median_filter_width,
            step=self.time_precision,
        )


def _rows(value: Any, rows: Tensor) -> Any:
    return value[rows.to(value.device)] if isinstance(value, Tensor) else value


def _result(result: Any, row: int) -> Any:
    """Return one row of a result: ids (T,), or a table with them and their scores."""
    if isinstance(result, Tensor):
        return result[row]
    found = {"sequences": result.sequences[row]}
    if result.get("scores") is not None:
        beams = result.get("beam_indices")
        rows = [row] * len(result.scores) if beams is None else beams[row].tolist()
        found["scores"] = [one[place] for one, place in zip(result.scores, rows, strict=False)]
    return found


def padded(rows: list[Tensor], fill: float) -> Tensor:
    """Return rows as one rectangle, filled at the right."""
    return pad_sequence(rows, batch_first=True, padding_value=fill)
