"""automatic-speech-recognition: what is said in a sound, and when.

Three kinds of models write it down: those that score letters for each moment (CTC), those that
listen to a whole sound and write a text, and among these those that write times into the text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any, Self

from armature.errors import ArgumentError, refuse_unknown
from armature.inputs.text.call import as_lists
from armature.pipelines.audio import SoundPipeline
from armature.pipelines.batching import Row
from armature.pipelines.options import Options
from armature.pipelines.transcripts import Transcript, Written, appended

LETTERS, TEXT, TIMED = "letters", "text", "timed text"
BEAMS, NEW_TOKENS = 5, 256  # where nothing says how a text is written

Stride = tuple[int, int, int]
"""Samples: a window's length, and what it shares with its neighbours left and right."""


@dataclass(frozen=True)
class SpeechOptions(Options):
    """What automatic-speech-recognition can be told: these, and every setting of `generate()`."""

    chunk_length_s: float | None = None
    """Seconds of the windows that a long sound is cut into; None or 0: none."""
    stride_length_s: float | Sequence[float] | None = None
    """Seconds that windows share with their neighbours, or (left, right); None: a sixth."""
    return_timestamps: bool | str | None = None
    """Also return when it is said: "char" or "word" of letters; "word" or True of timed text."""
    return_language: bool | None = None
    """Also return the language that was heard."""
    ignore_warning: bool = False
    """Taken for old scripts' sake."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of `generate()`, `language` and `task` among them."""

    @classmethod
    def accepted(cls) -> list[str]:
        """Return the names that can be given."""
        from armature.outputs.decoding.config import FIELDS

        own = [name for name in super().accepted() if name != "settings"]
        return [*own, "generate_kwargs", "generation_config", *FIELDS, *_wishes()]

    def merged(self, given: Mapping[str, Any], where: str) -> Self:
        """Return these options and settings with some of them changed."""
        refuse_unknown(where, given, self.accepted())
        own = super().accepted()
        options = {name: value for name, value in given.items() if name in own}
        added = {name: value for name, value in given.items() if name not in own}
        added |= added.pop("generate_kwargs", None) or {}
        changed = replace(self, **options, settings={**self.settings, **added})
        changed.check()
        return changed

    def check(self) -> None:
        """Raise ArgumentError for a value that makes no sense."""
        lengths = [self.chunk_length_s or 0, *self.strides]
        if not all(isinstance(s, int | float) and 0 <= s < 1e6 for s in lengths):
            raise ArgumentError(
                f"chunk_length_s={self.chunk_length_s!r} and stride_length_s="
                f"{self.stride_length_s!r} should be seconds"
            )
        if self.chunk_length_s and self.chunk_length_s < sum(self.strides):
            raise ArgumentError(
                f"windows of {self.chunk_length_s} seconds (chunk_length_s) share "
                f"{sum(self.strides)} seconds with their neighbours (stride_length_s), so nothing "
                "is left.\n  → make the windows longer"
            )
        if self.return_timestamps not in (None, True, False, "char", "word"):
            raise ArgumentError(
                f"return_timestamps={self.return_timestamps!r} should be True, 'word' or 'char'"
            )

    @property
    def strides(self) -> tuple[float, float]:
        """Return the seconds that windows share with their neighbours, left and right."""
        given = self.stride_length_s
        if given is None:
            given = (self.chunk_length_s or 0) / 6
        pair: list[Any] = list(given) if isinstance(given, list | tuple) else [given, given]
        if len(pair) != 2:
            raise ArgumentError(f"stride_length_s={given!r} should be one number, or two")
        return pair[0], pair[1]


def _wishes() -> list[str]:
    """Return the names of the settings of models that write timed text."""
    from dataclasses import fields

    from armature.outputs.transcripts.wishes import Wishes

    return [wish.name for wish in fields(Wishes)] + ["time_precision", "return_segments"]


class AutomaticSpeechRecognitionPipeline(SoundPipeline):
    """Writes down what is said: `{"text": "…"}`, with `chunks` where times are asked for."""

    default_task = "automatic-speech-recognition"
    options_type = SpeechOptions

    def __init__(self, model: Any, processor: Any, **how: Any) -> None:
        """Join a model and its processor; see `Pipeline` for the rest."""
        self.processor, self.extractor = processor, processor.feature_extractor
        self.kind = kind_of(model)
        super().__init__(model, processor.tokenizer, **how)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write model and processor into a folder that `pipeline(model=folder)` opens."""
        self.model.save_pretrained(folder)
        self.processor.save_pretrained(folder)

    # ---------------------------------------------------------------- sounds → rows

    @property
    def step(self) -> int:
        """How many samples of a sound become one moment of letters."""
        return prod(getattr(self.model.config, "conv_stride", None) or (1,))

    def prepare(self, items: Sequence[Any], options: SpeechOptions) -> list[Row]:
        """Make one row of each sound, or of each of its windows."""
        self._check(options)
        rows = []
        for index, item in enumerate(items):
            sound = self.listen(item)
            asked = item.get("stride") if isinstance(item, Mapping) else None
            if options.chunk_length_s:
                for part, stride in self._windows(sound, options):
                    rows.append(self._row(index, part, stride))
            else:
                stride = None if asked is None else self._stride(item, len(sound))
                rows.append(self._row(index, sound, stride))
        return rows

    def _row(self, index: int, sound: Any, stride: Stride | None) -> Row:
        how: dict[str, Any] = {"return_attention_mask": True}
        if self.kind == TIMED and len(sound) > self.extractor.n_samples:
            how |= {"truncation": False, "padding": "longest"}
        return self.row_of(index, sound, stride, **how)

    def _windows(self, sound: Any, options: SpeechOptions) -> Iterator[tuple[Any, Stride]]:
        """Yield overlapping windows, whole numbers of moments long."""
        rate = self.extractor.sampling_rate
        seconds = (options.chunk_length_s or 0, *options.strides)
        length, left, right = (round(s * rate / self.step) * self.step for s in seconds)
        if length <= left + right:
            raise ArgumentError(
                f"chunk_length_s={options.chunk_length_s} is shorter than one moment of the model"
            )
        for start in range(0, len(sound), length - left - right):
            part, before = sound[start : start + length], left if start else 0
            last = start + length >= len(sound)
            if len(part) > before:
                yield part, (len(part), before, 0 if last else right)
            if last:
                return

    def _stride(self, item: Mapping[str, Any], length: int) -> Stride:
        """Return what of a sound the caller wants to be heard, but not written down."""
        if self.kind == TEXT:
            raise ArgumentError("only models that score letters, or write times, know a `stride`")
        ratio = self.extractor.sampling_rate / item.get("sampling_rate", 1)
        left, right = (round(samples * ratio) for samples in item["stride"])
        if left + right > length:
            raise ArgumentError(f"`stride` {item['stride']} is longer than the sound")
        return length, left, right

    def _check(self, options: SpeechOptions) -> None:
        """Refuse what this kind of model cannot tell."""
        asked = options.return_timestamps
        wrong = {
            LETTERS: asked is True,
            TEXT: bool(asked),
            TIMED: asked == "char",
        }[self.kind]
        if wrong:
            ways = {LETTERS: "'char' or 'word'", TEXT: "nothing", TIMED: "True or 'word'"}
            raise ArgumentError(
                f"return_timestamps={asked!r}: this model can tell {ways[self.kind]}"
            )
        if options.return_language and self.kind != TIMED:
            raise ArgumentError("return_language: this model does not say which language it heard")

    # ---------------------------------------------------------------- rows → tokens

    def cost(self, row: Row, options: SpeechOptions) -> int:
        """Return how many tokens a row takes, all its beams counted."""
        heard = super().cost(row, options)
        return heard if self.kind == LETTERS else heard + NEW_TOKENS

    def compute(self, rows: Sequence[Row], options: SpeechOptions) -> list[Written]:
        """Return what the model says of each row."""
        found: list[Written] = []
        for inputs in self.tensors(rows):
            if self.kind == LETTERS:
                labels = self.model(**inputs).logits.argmax(-1).tolist()
                found += map(Written, labels)
            else:
                found += self._write(inputs, options)
        return found

    def _write(self, inputs: dict[str, Any], options: SpeechOptions) -> list[Written]:
        settings = self._settings(options)
        words = options.return_timestamps == "word"
        made = self.model.generate(**inputs, **settings)
        table = (
            made if isinstance(made, Mapping) else {"sequences": getattr(made, "sequences", made)}
        )
        tokens = table["sequences"].tolist()
        times: list[Any] = [None] * len(tokens)
        if words:
            times = _times_of(table)
        if options.return_language:
            known = {*(getattr(self.model.generation_config, "lang_to_id", None) or {}).values()}
            for row, segments in enumerate(table.get("segments") or ()):
                spoken = _language(segments, known)
                tokens[row] = [*spoken, *tokens[row]]
                if words:
                    times[row] = [*([0.0] * len(spoken)), *times[row]]
        return [Written(*one) for one in zip(tokens, times, strict=True)]

    def _settings(self, options: SpeechOptions) -> dict[str, Any]:
        """Return the arguments of generate()."""
        settings = dict(options.settings)
        said = self.model.generation_config.to_diff_dict() | settings
        own = settings.get("generation_config")
        said |= own.to_diff_dict() if own is not None else {}
        if said.get("num_beams") is None:
            settings["num_beams"] = BEAMS
        if said.get("max_new_tokens") is None and said.get("max_length") is None:
            places = getattr(self.model.config, "max_target_positions", None) or 2 * NEW_TOKENS
            settings["max_new_tokens"] = min(NEW_TOKENS, places - places // 8)
        if self.kind == TIMED:
            asked = options.return_timestamps or said.get("return_timestamps")
            settings |= {"return_timestamps": True} if asked else {}
            words = options.return_timestamps == "word"
            settings |= {"return_token_timestamps": True} if words else {}
            settings |= {"return_segments": True} if words or options.return_language else {}
        return settings

    # ---------------------------------------------------------------- tokens → texts

    def finish(
        self, item: Any, parts: Sequence[tuple[Row, Any]], options: SpeechOptions
    ) -> dict[str, Any]:
        """Join what was said in the windows of a sound."""
        pairs = [(row.facts, written) for row, written in parts]
        ways = {LETTERS: self._spell, TEXT: self._join, TIMED: self._join_timed}
        found = ways[self.kind](pairs, options)
        if isinstance(item, Mapping):
            known = ("raw", "array", "path", "bytes", "sampling_rate", "stride")
            found |= {
                name: [value] * len(pairs) for name, value in item.items() if name not in known
            }
        return found

    def _spell(
        self, parts: Sequence[tuple[Stride | None, Written]], options: SpeechOptions
    ) -> dict[str, Any]:
        """Join labels of moments, each window without what it shares."""
        labels: list[int] = []
        for stride, written in parts:
            labels += written.tokens if stride is None else _own(written.tokens, stride, self.step)
        asked = options.return_timestamps
        if not asked:
            return {"text": self.tokenizer.decode(labels)}
        made = self.tokenizer.decode(labels, output_char_offsets=True, output_word_offsets=True)
        step, rate = self.step, self.extractor.sampling_rate
        ends = ("start_offset", "end_offset")
        chunks = [
            {"text": one[asked], "timestamp": tuple(one[end] * step / rate for end in ends)}
            for one in made[f"{asked}_offsets"]
        ]
        return {"text": made["text"], "chunks": chunks}

    def _join(
        self, parts: Sequence[tuple[Stride | None, Written]], options: SpeechOptions
    ) -> dict[str, Any]:
        """Join texts of windows where the end of one is the beginning of the next."""
        rows = [written.tokens for _, written in parts]
        several = parts[0][0] is not None
        tokens = appended(rows, {*self.tokenizer.all_special_ids}) if several else rows[0]
        return {"text": self.tokenizer.decode(tokens, skip_special_tokens=True)}

    def _join_timed(
        self, parts: Sequence[tuple[Stride | None, Written]], options: SpeechOptions
    ) -> dict[str, Any]:
        """Join texts of windows by the times in them."""
        asked = options.return_timestamps
        asked = asked or bool(getattr(self.model.generation_config, "return_timestamps", None))
        precision = self.extractor.chunk_length / self.model.config.max_source_positions
        transcript = Transcript(self.tokenizer, asked, precision)
        rate = self.extractor.sampling_rate
        for stride, written in parts:
            seconds = None if stride is None else tuple(samples / rate for samples in stride)
            transcript.add(replace(written, stride=seconds))  # type: ignore[arg-type]
        return transcript.result(languages=bool(options.return_language))


def kind_of(model: Any) -> str:
    """Return how a model writes down what it hears."""
    from armature.auto import auto_names

    if "AutoModelForCTC" in auto_names(type(model).__name__):
        return LETTERS
    return TIMED if hasattr(model, "detect_language") else TEXT


def _own(labels: list[int], stride: Stride, step: int) -> list[int]:
    """Return the labels of a window that no neighbour has."""
    length, left, right = stride
    moments = round(length / step)
    first, last = (round(shared / length * moments) for shared in (left, right))
    return labels[first : moments - last]


def _times_of(table: Mapping[str, Any]) -> list[list[float]]:
    """Return when each token of each row ends."""
    if table.get("segments") is None:
        return table["token_timestamps"].tolist()
    return [
        [time for segment in row for time in segment["token_timestamps"].tolist()]
        for row in table["segments"]
    ]


def _language(segments: Sequence[Mapping[str, Any]], known: set[int]) -> list[int]:
    """Return the token of the language that a row begins with, if it says one."""
    result = segments[0]["result"] if segments else []
    whole = result["sequences"] if isinstance(result, Mapping) else result
    return [token for token in as_lists(whole) if token in known][:1]
