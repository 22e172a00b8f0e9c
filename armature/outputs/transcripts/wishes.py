"""What a call and a checkpoint wish of a transcript: language, task, times, when to try again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor

from armature.errors import ArgumentError, nearest
from armature.inputs.text.spoken_languages import CODES

_TASKS = ("translate", "transcribe")
_OUTDATED = "the checkpoint's generation_config.json has no `{}`, so `{}` cannot be followed"


@dataclass
class Wishes:
    """The settings of a transcript; None where neither the call nor the checkpoint says."""

    language: str | Sequence[str] | None = None
    task: str | None = None
    is_multilingual: bool | None = None
    return_timestamps: bool | None = None
    return_token_timestamps: bool | None = None
    force_unique_generate_call: bool | None = None  # one pass alone, over one piece
    prompt_ids: Tensor | None = None
    prompt_condition_type: str | None = None
    condition_on_prev_tokens: bool | None = None
    compression_ratio_threshold: float | None = None
    logprob_threshold: float | None = None
    no_speech_threshold: float | None = None
    lang_to_id: Mapping[str, int] | None = None
    task_to_id: Mapping[str, int] | None = None
    no_timestamps_token_id: int | None = None
    max_initial_timestamp_index: int | None = None
    prev_sot_token_id: int | None = None
    alignment_heads: Sequence[Sequence[int]] | None = None
    forced_decoder_ids: Sequence[Sequence[int | None]] | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any], stored: Sequence[Mapping[str, Any]]) -> Wishes:
        """Return a call's wishes, completed by what is `stored`, the most important first.

        Raises:
            ArgumentError: wishes contradict each other, or the checkpoint cannot follow them.
        """
        found = {}
        for field in fields(cls):
            values = [source.get(field.name) for source in (given, *stored)]
            found[field.name] = next((value for value in values if value is not None), None)
        wishes = cls(**found)
        wishes._check(given)
        return wishes

    def _check(self, given: Mapping[str, Any]) -> None:
        if self.is_multilingual is False and (given.get("language") or given.get("task")):
            raise ArgumentError(
                "`language` and `task` are for models of several languages; this one knows "
                "English alone.\n  → leave them out"
            )
        for name, table in (("language", "lang_to_id"), ("task", "task_to_id")):
            if given.get(name) is not None and getattr(self, table) is None:
                raise ArgumentError(_OUTDATED.format(table, name))
        if self.return_timestamps and self.no_timestamps_token_id is None:
            raise ArgumentError(_OUTDATED.format("no_timestamps_token_id", "return_timestamps"))
        if self.return_token_timestamps and self.alignment_heads is None:
            raise ArgumentError(_OUTDATED.format("alignment_heads", "return_token_timestamps"))
        if self.task is not None and self.task not in _TASKS:
            raise ArgumentError(f"`task={self.task!r}` should be one of {', '.join(_TASKS)}")
        self._check_prompt()

    def _check_prompt(self) -> None:
        kind = self.prompt_condition_type or "first-segment"
        if kind not in ("first-segment", "all-segments"):
            raise ArgumentError(
                f'`prompt_condition_type={kind!r}` should be "first-segment" or "all-segments"'
            )
        if kind == "all-segments" and not self.condition_on_prev_tokens:
            raise ArgumentError(
                '`prompt_condition_type="all-segments"` needs condition_on_prev_tokens=True'
            )

    @property
    def first_only(self) -> bool:
        """Whether the prompt stands before the first piece alone, as if it had been said."""
        return self.prompt_ids is not None and self.prompt_condition_type != "all-segments"

    @property
    def first_time(self) -> int | None:
        """The token of the time 0.00; those after it are later by steps."""
        return None if self.no_timestamps_token_id is None else self.no_timestamps_token_id + 1

    def wants_detection(self) -> bool:
        """Return whether the language has to be heard."""
        begin = self._forced()
        return (
            self.language is None
            and self.lang_to_id is not None
            and (not begin or begin[0] is None)
        )

    def beginnings(self, start: int, rows: int, heard: Sequence[int] | None) -> list[list[int]]:
        """Return the first tokens of each row: start, language, task, and if without times.

        Args:
            start: the token that each begins with.
            rows: how many rows there are.
            heard: the token of each row's language, if it was detected.
        """
        languages = self.language
        if isinstance(languages, str):
            languages = [languages] * rows
        if languages is not None and len(languages) != rows:
            raise ArgumentError(f"`language` names {len(languages)} languages for {rows} rows")
        spoken = heard if languages is None else [self._language(one) for one in languages]
        return [self._beginning(start, None if spoken is None else spoken[i]) for i in range(rows)]

    def _beginning(self, start: int, language: int | None) -> list[int]:
        begin = [start, *self._forced()]
        if language is not None:
            begin[1:2] = [language]
        if self.task is not None and self.task_to_id is not None:
            begin.append(self.task_to_id[self.task])
        elif self.language is not None and self.task_to_id is not None:
            tasks = set(self.task_to_id.values())
            begin += [] if tasks & set(begin) else [self.task_to_id["transcribe"]]
        silent = self.no_timestamps_token_id
        if not self.return_timestamps and silent is not None and begin[-1] != silent:
            begin.append(silent)
        elif self.return_timestamps and begin[-1] == silent:
            begin.pop()
        return [token for token in begin if token is not None]

    def _forced(self) -> list[int | None]:
        """Return what older settings force after the first token; newer ones win."""
        pairs = [tuple(pair) for pair in self.forced_decoder_ids or ()]
        if self.task is not None or self.language is not None or not pairs or pairs[0][0] != 1:
            return []
        if [place for place, _ in pairs] != list(range(1, len(pairs) + 1)):
            raise ArgumentError(
                f"`forced_decoder_ids={pairs}` leaves places out: name a token for each from 1 on"
            )
        return [token for _, token in pairs]

    def _language(self, name: str) -> int:
        known: Mapping[str, int] = self.lang_to_id or {}
        spelled = str(name).lower()
        code = CODES.get(spelled, spelled)
        token = spelled if spelled in known else f"<|{code}|>"
        if token not in known:
            codes = [one.strip("<|>") for one in known]
            raise ArgumentError(
                f"this model does not know the language {name!r}."
                f"{nearest(spelled, [*CODES, *codes])}\n  → it knows {', '.join(codes)}"
            )
        return known[token]
