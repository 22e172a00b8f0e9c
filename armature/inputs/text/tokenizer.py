"""Tokenizer: texts to ids and back. It keeps no state between calls, so threads may share it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from armature.errors import ArgumentError, nearest, refuse_unknown
from armature.inputs.text.backend import adjust, ends_of, open_backend, vocabulary_of
from armature.inputs.text.call import side_of
from armature.inputs.text.families import GENERIC
from armature.inputs.text.family import COMMON, PIPELINE, Family
from armature.inputs.text.stored import read_added_tokens
from armature.inputs.text.template import write_template
from armature.inputs.text.texts import TextMethods

if TYPE_CHECKING:
    from tokenizers import AddedToken

    from armature.checkpoint.hub import Source


class Tokenizer(TextMethods):
    """Turns texts into what a model takes, and ids back into text.

    The classes by name (`BertTokenizer`, `GPT2Tokenizer`…) differ from this one only in `family`.
    """

    family: ClassVar[Family] = GENERIC  # type: ignore[misc]
    is_fast = True
    files: dict[str, Path]
    """The files that it was read from, by argument name."""

    def __init__(
        self,
        vocab_file: str | os.PathLike[str] | None = None,
        merges_file: str | os.PathLike[str] | None = None,
        *,
        tokenizer_file: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> None:
        """Build a tokenizer from files or from a vocabulary.

        Args:
            vocab_file: vocab.txt, vocab.json or a SentencePiece model.
            merges_file: merges.txt, beside a vocab.json.
            tokenizer_file: tokenizer.json, instead of the others.
            options: Special tokens (`pad_token="[PAD]"`), `model_max_length`, `padding_side`,
                `do_lower_case`…; also `tokenizer_object` (a tokenizer of the `tokenizers`
                library), or `vocab` and `merges` as tables.

        Raises:
            CheckpointError: a file is missing or damaged.
            ArgumentError: no vocabulary is given.
            UnknownArgumentError: an option does not exist.
        """
        given = {"vocab_file": vocab_file, "merges_file": merges_file}
        given |= {"tokenizer_file": tokenizer_file}
        given |= {name: options.pop(name, None) for name in self.family.more_files}
        files: dict[str, Any] = {key: Path(path) for key, path in given.items() if path is not None}
        vocab, merges = options.pop("vocab", None), options.pop("merges", None)
        if isinstance(vocab, str | os.PathLike):
            files |= {"vocab_file": Path(vocab)} | ({"merges_file": Path(merges)} if merges else {})
        elif vocab is not None:
            files["vocabulary"] = vocabulary_of(vocab, merges)
        if "tokenizer_object" in options:
            files["tokenizer_object"] = options.pop("tokenizer_object")
        if not files:
            name = type(self).__name__
            raise ArgumentError(
                f"{name}() needs a vocabulary: {name}.from_pretrained(…), or vocab_file=…, "
                "tokenizer_file=… or tokenizer_object=…"
            )
        self._fill(files, {}, {}, options)

    @classmethod
    def of_files(
        cls,
        files: Mapping[str, Any],
        stored: Mapping[str, Any],
        added: Mapping[int, AddedToken],
        given: Mapping[str, Any],
    ) -> Tokenizer:
        """Build a tokenizer from what a checkpoint holds.

        Args:
            files: By argument name: `vocab_file`, `tokenizer_file`…
            stored: The settings of its files.
            added: The tokens that were added to the vocabulary, by id.
            given: The caller's settings, which win over the others.

        Raises:
            CheckpointError: a file is missing or damaged.
            UnknownArgumentError: the caller gave an option that does not exist.
        """
        tokenizer = cls.__new__(cls)
        tokenizer._fill(files, stored, added, given)
        return tokenizer

    def _fill(
        self,
        files: Mapping[str, Any],
        stored: Mapping[str, Any],
        added: Mapping[int, AddedToken],
        given: Mapping[str, Any],
    ) -> None:
        refuse_unknown(type(self).__name__, given, {*self.family.known(), *stored})
        said = {
            k: v for k, v in {**stored, **given}.items() if v is not None or not self._counts(k)
        }
        if "additional_special_tokens" in given and "extra_special_tokens" not in given:
            said.pop("extra_special_tokens", None)
        if self.family.takes_vocabulary and "tokenizer_file" in files:
            files = {"vocab_file": files["tokenizer_file"]}
            added = {**read_added_tokens(files["vocab_file"]), **added}
        self._lexicon = open_backend(self.family, files, {**self.family.options, **said}, added)
        if "tokenizer_object" in files or "tokenizer_file" in files:
            self._adjust(said, stored, given)
        self.files = {key: path for key, path in files.items() if isinstance(path, Path)}
        defaults = {**COMMON, "padding_side": self.family.padding_side, **self._lexicon.implied}
        self.options = {**defaults, **self.family.options, **said}
        self._settle()

    def _counts(self, name: str) -> bool:
        """Return whether an option is a number or a switch, for which None means its default."""
        return isinstance(self.family.options.get(name), int) or name == "src_lang"

    def _settle(self) -> None:
        """Read the options that have an attribute of their own."""
        options = self.options
        self.name_or_path = str(options.pop("name_or_path", ""))
        limit = options["model_max_length"] or options.get("max_len")
        self.model_max_length = int(limit) if limit else int(1e30)
        self.padding_side = side_of(options["padding_side"])
        self.truncation_side = side_of(options["truncation_side"])
        self.model_input_names = list(options["model_input_names"] or self.family.inputs)
        self.clean_up_tokenization_spaces = bool(options["clean_up_tokenization_spaces"])
        self.split_special_tokens = bool(options["split_special_tokens"])
        self.chat_template: str | dict[str, str] | None = options["chat_template"]
        self._framed_for = options["src_lang"] if "src_lang" in self.family.options else None
        self._variants = {}
        self._warned = False

    def _adjust(
        self, said: Mapping[str, Any], stored: Mapping[str, Any], given: Mapping[str, Any]
    ) -> None:
        """Apply options to what a tokenizer.json says; the caller's must have an effect."""
        backend = self.backend_tokenizer
        # HF: what tokenizer_config.json says has no effect where no class is known.
        names = given.keys() if self.family is GENERIC else said.keys()
        used = adjust(backend, {name: said[name] for name in names & said.keys()})
        for name in PIPELINE & given.keys() - used:
            if given[name] is not None and given[name] != stored.get(name):
                raise ArgumentError(
                    f"{name}={given[name]!r} has no effect: this checkpoint's tokenizer.json fixes "
                    "how its tokenizer works. Leave it out, or pass from_slow=True to build the "
                    "tokenizer from the older files."
                )
        asked = {given.get("add_bos_token"), given.get("add_eos_token")} != {None}
        if asked or self.family.reframes:
            roles = {role.removesuffix("_token"): t for role, t in self.special_tokens_map.items()}
            own = (self.family.single, self.family.pair) if self.family.single else None
            ends = own if own and not asked else ends_of(given, roles)
            backend.post_processor = write_template(*ends, roles, backend)

    @classmethod
    def from_pretrained(cls, name: str | os.PathLike[str] | Source, **options: Any) -> Tokenizer:
        """Open the tokenizer of a checkpoint.

        Args:
            name: A folder, a vocabulary file, or a model on the hub.
            options: Those of the hub (`revision`, `local_files_only`…), and those of the tokenizer.

        Raises:
            CheckpointError: there is no such checkpoint, or its tokenizer's files are damaged.
        """
        from armature.checkpoint.hub import resolve_with
        from armature.inputs.text.load import load_tokenizer

        class_name = None if cls is Tokenizer else cls.__name__
        return load_tokenizer(resolve_with(name, options), class_name=class_name, **options)

    def apply_chat_template(self, conversation: Any, **options: Any) -> Any:
        """Return a conversation as the model was trained to read it: ids, or text.

        Args:
            conversation: Messages as `{"role": "user", "content": "…"}`, or a list of such lists.
            options: See `armature.inputs.text.chat.apply_chat_template`.
        """
        from armature.inputs.text.chat import apply_chat_template

        return apply_chat_template(self, conversation, **options)

    def save_pretrained(
        self, save_directory: str | os.PathLike[str], *, legacy_format: bool = False
    ) -> tuple[str, ...]:
        """Write the tokenizer into a folder.

        Args:
            save_directory: The folder, which is made when missing.
            legacy_format: Whether to write the older files (vocab.txt; vocab.json and merges.txt;
                the SentencePiece model) instead of tokenizer.json.

        Returns:
            The paths of the files.

        Raises:
            CheckpointError: the folder cannot be written, or the older files cannot express it.
        """
        from armature.inputs.text.save import save_tokenizer

        return save_tokenizer(self, Path(save_directory), legacy=legacy_format)

    @property
    def src_lang(self) -> str | None:
        """Return the language of texts, for models that translate."""
        return self.options.get("src_lang")

    @src_lang.setter
    def src_lang(self, language: str) -> None:
        self._check_language(language)
        self.options["src_lang"] = language

    @property
    def tgt_lang(self) -> str | None:
        """Return the language of target texts, for models that translate."""
        return self.options.get("tgt_lang")

    @tgt_lang.setter
    def tgt_lang(self, language: str) -> None:
        self._check_language(language)
        self.options["tgt_lang"] = language

    def get_lang_token(self, lang: str) -> str:
        """Return the token of a language."""
        self._check_language(lang)
        return self.family.language_mark.format(lang)

    def get_lang_id(self, lang: str) -> int:
        """Return the id of a language's token, which the model's output begins with."""
        return self.convert_tokens_to_ids(self.get_lang_token(lang))

    @property
    def lang_code_to_id(self) -> dict[str, int]:
        """Return language → the id of its token."""
        return {code: self.get_lang_id(code) for code in self.options.get("language_codes") or ()}

    def __getattr__(self, name: str) -> Any:
        """Return an option (`do_lower_case`), or a special token that this checkpoint names."""
        state = self.__dict__
        if name.startswith("__") or "options" not in state:
            raise AttributeError(name)
        if name in state["_lexicon"].named:
            return self.special_tokens_map[name]
        if name.endswith("_id") and name[:-3] in state["_lexicon"].named:
            return self.convert_tokens_to_ids(self.special_tokens_map[name[:-3]])
        if name in state["options"]:
            return state["options"][name]
        known = [n for n in (*dir(type(self)), *state["options"]) if not n.startswith("_")]
        raise AttributeError(f"{type(self).__name__} has no `{name}`.{nearest(name, known)}")

    def __repr__(self) -> str:
        added = "".join(f"\n\t{i}: {token!r}," for i, token in self.added_tokens_decoder.items())
        return (
            f"{type(self).__name__}(name_or_path='{self.name_or_path}', "
            f"vocab_size={self.vocab_size}, model_max_length={self.model_max_length}, "
            f"padding_side='{self.padding_side}', truncation_side='{self.truncation_side}', "
            f"special_tokens={self.special_tokens_map}, "
            f"added_tokens_decoder={{{added}\n}})"
        )
