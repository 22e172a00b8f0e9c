"""Conversation: turns with a model, each answer streamed, all of them remembered."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from armature.errors import ArgumentError
from armature.pipelines.generation import TextGenerationPipeline
from armature.pipelines.kept import new_cache
from armature.pipelines.reading import note

NEW_TOKENS = 256  # of an answer, where nothing says how many
_ROLES = ("system", "user", "assistant", "tool")


class Conversation:
    """What was said so far, and the model that answers.

    A checkpoint without a chat template cannot tell who says what: it goes on with the text so far.
    """

    def __init__(self, pipe: TextGenerationPipeline, system: str | None = None) -> None:
        self.pipe = pipe
        self.system = system
        self.messages: list[dict[str, Any]] = []
        """What was said, without the system's words."""
        self.stopped = False
        """Whether the last answer was broken off."""
        self.cache = new_cache(pipe.model)
        """What was computed, so that each turn reads only what is new."""

    @property
    def plain(self) -> bool:
        """Whether the model only goes on with texts, because it has no chat template."""
        return not self.pipe.tokenizer.chat_template

    def answer(self, text: str, **options: Any) -> Generator[str, None, None]:
        """Say something, and yield the answer piece by piece.

        What was answered until the loop is left is kept; after an error, nothing of this turn is.

        Args:
            text: What is said.
            **options: Of the pipeline, for this answer.

        Raises:
            ArgumentError: the template refuses the conversation, or an option has no sense.
        """
        self.messages.append({"role": "user", "content": text})
        said: list[str] = []
        self.stopped = True
        try:
            for piece in self._pieces(options):
                said.append(piece)
                yield piece
            self.stopped = False
        except Exception:
            self.messages.pop()
            self.cache = new_cache(self.pipe.model)
            raise
        except BaseException:  # the loop was left, or the user stopped it
            self._keep(said)
            raise
        self._keep(said)

    def _pieces(self, options: Mapping[str, Any]) -> Generator[str, None, None]:
        prompt, settings = self._prompt(options), self._settings(options)
        return self.pipe.stream_text(prompt, past_key_values=self.cache, **settings)

    def _keep(self, said: list[str]) -> None:
        self.messages.append({"role": "assistant", "content": "".join(said)})

    def _settings(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options of an answer: it always has room, even if the start is not read."""
        settings = {"handle_long_generation": "hole", **options}
        return settings | {"max_new_tokens": self._most(options)}

    def _most(self, options: Mapping[str, Any]) -> int:
        """Return how many tokens an answer may have."""
        pipe, limit = self.pipe, self.pipe.reader.limit
        asked = options.get("max_new_tokens") or pipe.setting("max_new_tokens", pipe.options)
        return asked or (NEW_TOKENS if limit is None else min(NEW_TOKENS, limit // 2))

    def _prompt(self, options: Mapping[str, Any]) -> Any:
        """Return what the model reads: all that was said, if there is room for it.

        Else the earliest turns are left out; the system's words stay.
        """
        if self.plain:
            return self._text()
        limit, messages = self.pipe.reader.limit, list(self.messages)
        while limit is not None and len(messages) > 1:
            if self._length(messages) + self._most(options) <= limit:
                break
            note("the conversation is too long for this model: its earliest turns are not read")
            turns = [i for i, one in enumerate(messages) if i and one["role"] == "user"]
            messages = messages[turns[0] :] if turns else messages[-1:]
        return self._with_system(messages)

    def _length(self, messages: list[dict[str, Any]]) -> int:
        ids = self.pipe.tokenizer.apply_chat_template(
            self._with_system(messages), add_generation_prompt=True, return_dict=False
        )
        return len(ids)

    def _with_system(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [*([{"role": "system", "content": self.system}] if self.system else []), *messages]

    def _text(self) -> str:
        """Return all that was said as one text, with spaces where words would run together."""
        text = ""
        for message in self._with_system(self.messages):
            begins = message["role"] != "assistant"  # an answer goes on with what was said
            text += (" " if begins and _ends_in_a_word(text) else "") + message["content"]
        return text

    def reset(self) -> None:
        """Forget what was said; the system's words stay."""
        self.messages = []

    # ---------------------------------------------------------------- files

    def save(self, file: str | Path) -> None:
        """Write what was said into a JSON file."""
        path = Path(file).expanduser()
        messages = self._with_system(self.messages)
        text = json.dumps(
            {"model": self.pipe.model_note, "messages": messages}, ensure_ascii=False, indent=1
        )
        path.write_text(text + "\n", encoding="utf-8")

    def load(self, file: str | Path) -> None:
        """Go on with what a file holds: as `save` writes it, or a list of messages.

        Raises:
            ArgumentError: it holds something else.
            OSError: it cannot be read.
        """
        path = Path(file).expanduser()
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ArgumentError(f"{path}: this is no JSON text ({error})") from error
        messages = found.get("messages") if isinstance(found, dict) else found
        if not isinstance(messages, list) or not all(map(_is_message, messages)):
            raise ArgumentError(
                f"{path}: this is no conversation.\n"
                '  → a list of messages: [{"role": "user", "content": "…"}, …]'
            )
        system = [one["content"] for one in messages if one["role"] == "system"]
        self.messages = [one for one in messages if one["role"] != "system"]
        self.system = system[0] if system else self.system


def _is_message(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.get("role") in _ROLES
        and isinstance(value.get("content"), str)
    )


def _ends_in_a_word(text: str) -> bool:
    """Whether a space is due; Chinese goes on without."""
    last = text[-1:]
    return bool(last.strip()) and unicodedata.east_asian_width(last) not in "WF"
