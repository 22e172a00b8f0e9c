"""Tokenizers of transcripts: what begins them (language, task), and the times that they hold."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from armature.errors import ArgumentError, nearest
from armature.inputs.encoding import BatchEncoding
from armature.inputs.reading import read_json
from armature.inputs.text.call import as_lists
from armature.inputs.text.spoken_languages import CODES, NAMES, TAUGHT
from armature.inputs.text.template import write_template
from armature.inputs.text.tokenizer import Tokenizer

TASKS = ("translate", "transcribe")
_TIME = re.compile(r"<\|\d+\.\d+\|>")
START, PROMPT, UNTIMED = "<|startoftranscript|>", "<|startofprev|>", "<|notimestamps|>"
WINDOW = 1500  # times of a window, each of them 0.02 seconds


class TranscriptTokenizer(Tokenizer):
    """A tokenizer of transcripts: `<|startoftranscript|><|en|><|transcribe|> …`."""

    def _fill(self, files: Any, stored: Any, added: Any, given: Any) -> None:
        super()._fill(files, stored, added, given)
        self.set_prefix_tokens()

    @property
    def prefix_tokens(self) -> list[int]:
        """Return the ids that transcripts begin with."""
        return self.convert_tokens_to_ids(self._prefixes())

    def _prefixes(self) -> list[str]:
        language, task = self.options.get("language"), self.options.get("task")
        found = [START]
        if language is not None:
            found.append(f"<|{code_of(language)}|>")
        if task is not None:
            if task not in TASKS:
                raise ArgumentError(f"task={task!r} should be one of {', '.join(TASKS)}.")
            found.append(f"<|{task}|>")
        return [*found, *([] if self.options.get("predict_timestamps") else [UNTIMED])]

    def set_prefix_tokens(
        self,
        language: str | None = None,
        task: str | None = None,
        predict_timestamps: bool | None = None,  # noqa: FBT001
    ) -> None:
        """Say what transcripts begin with; what is None stays as it is.

        Args:
            language: "en" or "english".
            task: "transcribe", or "translate" into English.
            predict_timestamps: Whether transcripts hold times.

        Raises:
            ArgumentError: there is no such language or task.
        """
        given = {"language": language, "task": task, "predict_timestamps": predict_timestamps}
        self.options |= {name: value for name, value in given.items() if value is not None}
        prefixes = self._prefixes()
        if any(self.backend_tokenizer.token_to_id(token) is None for token in prefixes):
            return  # a vocabulary without special tokens: nothing stands around texts
        roles = {f"p{place}": token for place, token in enumerate(prefixes)}
        first = " ".join(roles)
        roles["eos"] = str(self.eos_token)
        ends = (f"{first} $A eos", f"{first} $A $B:1 eos:1")
        self.backend_tokenizer.post_processor = write_template(*ends, roles, self.backend_tokenizer)
        self._variants.clear()

    def get_decoder_prompt_ids(
        self,
        task: str | None = None,
        language: str | None = None,
        no_timestamps: bool = True,  # noqa: FBT001, FBT002 - the known signature
    ) -> list[tuple[int, int]]:
        """Return (place, id) of what a transcript begins with, behind its first token."""
        self.set_prefix_tokens(language, task, not no_timestamps)
        return [(place, index) for place, index in enumerate(self.prefix_tokens) if place]

    def get_prompt_ids(self, text: str, return_tensors: str | None = "np") -> Any:
        """Return the ids of a text that goes before, for names and style.

        Raises:
            ArgumentError: it holds a special token.
        """
        made = self(PROMPT, " " + text.strip(), add_special_tokens=False)["input_ids"]
        special = {*self.all_special_ids} & {*made[1:]}
        if special:
            token = self.convert_ids_to_tokens(min(special))
            raise ArgumentError(f"The prompt holds the special token {token}: leave it out.")
        return BatchEncoding({"input_ids": made}, tensor_type=return_tensors)["input_ids"]

    # ------------------------------------------------------------------ back to text

    def decode(  # type: ignore[override]  # noqa: PLR0913 - the known signature
        self,
        token_ids: Any,
        skip_special_tokens: bool = False,  # noqa: FBT001, FBT002
        clean_up_tokenization_spaces: bool | None = None,  # noqa: FBT001
        *,
        output_offsets: bool = False,
        time_precision: float = 0.02,
        decode_with_timestamps: bool = False,
        normalize: bool = False,
        basic_normalize: bool = False,
        remove_diacritics: bool = False,
        **options: Any,
    ) -> Any:
        """Return the text of ids, or the texts of several lists of ids.

        Args:
            token_ids: A list, an array, a tensor, or lists of ids.
            skip_special_tokens: Whether to leave special tokens and the prompt out.
            clean_up_tokenization_spaces: Whether to remove spaces before punctuation.
            output_offsets: Whether to return the times of parts of the text, too.
            time_precision: How many seconds one time token is.
            decode_with_timestamps: Whether times stay in the text: `<|1.08|>`.
            normalize: Whether to spell English words and numbers in one way, to compare texts.
            basic_normalize: Whether to do so with texts of any language: no case, no punctuation.
            remove_diacritics: Whether `basic_normalize` removes accents, too.
            options: See `Tokenizer.decode`.
        """
        ids = as_lists(token_ids["input_ids"] if isinstance(token_ids, Mapping) else token_ids)
        how = {"output_offsets": output_offsets, "time_precision": time_precision}
        how |= {"decode_with_timestamps": decode_with_timestamps, "normalize": normalize}
        how |= {"basic_normalize": basic_normalize, "remove_diacritics": remove_diacritics}
        if isinstance(ids, list) and ids and isinstance(ids[0], list):
            first = skip_special_tokens, clean_up_tokenization_spaces
            return [self.decode(row, *first, **how, **options) for row in ids]
        ids = [ids] if isinstance(ids, int) else ids
        kept = self._unprompted(ids) if skip_special_tokens else ids
        if decode_with_timestamps:
            text = self._timed(kept, time_precision, skip=skip_special_tokens)
        else:
            text = super().decode(
                kept, skip_special_tokens, clean_up_tokenization_spaces, **options
            )
            if normalize:
                text = self.normalize(text)
            elif basic_normalize:
                text = self.basic_normalize(text, remove_diacritics=remove_diacritics)
            text = _TIME.sub("", text)
        if not output_offsets:
            return text
        return {"text": text, "offsets": self._parts(ids, time_precision)}

    def batch_decode(  # type: ignore[override]
        self,
        sequences: Any,
        skip_special_tokens: bool = False,  # noqa: FBT001, FBT002
        **options: Any,
    ) -> list[Any]:
        """Return the texts of several lists of ids; see `decode`."""
        rows = as_lists(sequences["input_ids"] if isinstance(sequences, Mapping) else sequences)
        return [self.decode(row, skip_special_tokens, **options) for row in rows]

    def normalize(self, text: str) -> str:
        """Spell English words and numbers in one way, to compare texts."""
        from armature.inputs.text.english import normalize

        folder = next((path.parent for path in self.files.values()), None)
        file = None if folder is None else folder / "normalizer.json"
        return normalize(text, read_json(file) if file is not None and file.is_file() else {})

    @staticmethod
    def basic_normalize(text: str, *, remove_diacritics: bool = False) -> str:
        """Leave case, punctuation and what stands in brackets out, to compare texts."""
        from armature.inputs.text.compared import plainly

        return plainly(text, remove_diacritics=remove_diacritics)

    @property
    def first_time(self) -> int:
        """Return the id of `<|0.00|>`, behind which the other times follow."""
        return self.all_special_ids[-1] + 1

    def _unprompted(self, ids: Sequence[int]) -> Sequence[int]:
        if not ids or ids[0] != self.convert_tokens_to_ids(PROMPT):
            return ids
        start = self.convert_tokens_to_ids(START)
        return ids[ids.index(start) :] if start in ids else []

    def _timed(self, ids: Sequence[int], precision: float, *, skip: bool) -> str:
        """Return a text with its times, which go on where a new window begins at 0 again."""
        first = self.first_time
        parts: list[Any] = [[]]
        latest = before = passed = 0.0
        for place, index in enumerate(ids):
            if index < first:
                parts[-1].append(index)
                continue
            time = float((index - first) * precision)
            if time < latest:  # the next window
                if _ends_alone(ids, place, first):
                    passed += precision * WINDOW
                else:
                    latest, passed, parts = before, passed + before, parts[:-2]
            before, latest = latest, time
            parts += [f"<|{time + passed:.2f}|>", []]
        super_decode = super().decode
        return "".join(
            part if isinstance(part, str) else super_decode(part, skip) if part else ""
            for part in parts
        )

    def _parts(self, ids: Sequence[int], precision: float) -> list[dict[str, Any]]:
        """Return the parts of a text between two times, with these in seconds."""
        first = self.first_time
        times = [place for place, index in enumerate(ids) if index >= first]
        cuts = [place for place in times if place and ids[place - 1] >= first]
        if not times or (not cuts and len(times) <= 1):
            return []
        if times[-1] + 1 not in cuts:
            cuts.append(times[-1] + 1)
        found, begin, latest, passed = [], times[0], 0, 0
        for cut in cuts:
            part = ids[begin:cut]
            if len(part) > 1:
                start, end = part[0] - first, part[-1] - first
                if start < latest:  # the next window
                    passed += WINDOW if _ends_alone(ids, begin, first) else latest
                latest = end
                text = _TIME.sub("", super().decode(part))
                moments = tuple(t * precision + passed * precision for t in (start, end))
                found.append({"text": text, "timestamp": moments})
            begin = cut
        return found


class TaughtTokenizer(Tokenizer):
    """A tokenizer of transcripts that may begin with the language that they are written in."""

    def _fill(self, files: Any, stored: Any, added: Any, given: Any) -> None:
        said = {**stored, **given}
        if said.get("lang_codes"):
            extra = said.get("additional_special_tokens") or []
            marks = [f"<lang:{code}>" for code in _taught(said["lang_codes"])]
            extra = [*marks, *(token for token in extra if token not in marks)]
            stored = {**stored, "additional_special_tokens": extra}
        super()._fill(files, stored, added, given)
        if self.options.get("lang_codes"):
            codes = _taught(self.options["lang_codes"])
            self.tgt_lang = self.options.get("tgt_lang") or codes[0]

    @property
    def lang_code_to_id(self) -> dict[str, int]:
        """Return language → the id of its token."""
        codes = _taught(self.options["lang_codes"]) if self.options.get("lang_codes") else ()
        return {code: self.convert_tokens_to_ids(f"<lang:{code}>") for code in codes}

    @property
    def tgt_lang(self) -> str | None:
        """Return the language that transcripts are written in."""
        return self.options.get("tgt_lang")

    @tgt_lang.setter
    def tgt_lang(self, language: str) -> None:
        if language not in self.lang_code_to_id:
            known = [*self.lang_code_to_id]
            raise ArgumentError(
                f"There is no language {language!r}.{nearest(str(language), known)} "
                f"Known: {', '.join(known) or 'none'}"
            )
        self.options["tgt_lang"] = language
        roles = {"lang": f"<lang:{language}>", "eos": str(self.eos_token)}
        backend = self.backend_tokenizer
        ends = "lang $A eos", "lang $A $B eos"
        backend.post_processor = write_template(*ends, roles, backend)
        self._variants.clear()


def code_of(language: str) -> str:
    """Return the code of a language that is named by it or by its English name.

    Raises:
        ArgumentError: it is not known.
    """
    name = str(language).lower()
    if name not in NAMES and name not in CODES:
        known = [*NAMES, *CODES]
        raise ArgumentError(f"The language {language!r} is not known.{nearest(name, known)}")
    return CODES.get(name, name)


def _ends_alone(ids: Sequence[int], place: int, first: int) -> bool:
    """Say whether a window ended with one time, and not with one that the next begins with."""
    return place >= 2 and not (ids[place - 1] >= first and ids[place - 2] >= first)


def _taught(name: str) -> tuple[str, ...]:
    if name not in TAUGHT:
        raise ArgumentError(f"lang_codes={name!r} is none of {', '.join(TAUGHT)}.")
    return TAUGHT[name]
