"""Family: what is special about the tokenizer of one architecture, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# The special tokens that have a name, in the order in which they are listed.
ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")

# What every tokenizer can be told, in tokenizer_config.json or by the caller, with its default.
COMMON: dict[str, Any] = {
    "model_max_length": None,
    "padding_side": "right",
    "truncation_side": "right",
    "model_input_names": None,
    "clean_up_tokenization_spaces": False,
    "split_special_tokens": False,
    "chat_template": None,
    "add_bos_token": None,
    "add_eos_token": None,
    "extra_special_tokens": None,
    "additional_special_tokens": None,
}

# The options that change how texts are split.
PIPELINE = {
    "do_lower_case",
    "do_basic_tokenize",
    "never_split",
    "tokenize_chinese_chars",
    "strip_accents",
    "keep_accents",
    "split_by_punct",
    "add_prefix_space",
    "trim_offsets",
}


@dataclass(frozen=True)
class Family:
    """What the tokenizer of an architecture reads, and how its texts begin and end."""

    name: str
    recipe: str
    """The function of `recipes` that builds it from the older files."""
    vocab_files: tuple[str, ...]
    """The names that its vocabulary file may have."""
    tokens: Mapping[str, str]
    """Role → special token, unless the checkpoint says otherwise."""
    more_files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Argument → the names of files that it has besides; it never has a tokenizer.json then."""
    single: str = ""
    """What stands around a text ("cls $A sep"); empty for nothing."""
    pair: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of its own, with their defaults."""
    inputs: tuple[str, ...] = ("input_ids", "attention_mask")
    """What the model takes."""
    layout: str = "stored"
    """The function of `layouts` that gives the pieces of a SentencePiece file their ids."""
    extras: str = "none"
    """The function of `layouts` that lists further special tokens."""
    trims: bool = False
    """Whether the offsets of tokens leave out the spaces before them."""
    unk_id: int | None = None
    """HF: the id that unknown letters get, wherever the vocabulary has its unknown piece."""
    reframes: bool = False
    """HF: whether what a tokenizer.json puts around texts gives way to `single` and `pair`, or to
    what the options say."""
    takes_vocabulary: bool = False
    """HF: whether of a tokenizer.json only the vocabulary counts: the rest cannot be written."""
    pad_type_id: int = 0
    padding_side: str = "right"
    eats_space: tuple[str, ...] = ()
    """Roles whose token takes the white space before it."""
    eats_before_rules: bool = False
    """Whether that white space is what the text has, before rules replace characters."""
    plain: bool = False
    """HF: a class without a tokenizer.json, which truncates pairs in another way."""
    language_mark: str = "{}"
    """How the token of a language is spelt."""
    word_end: str = ""
    """What marks the end of a word and becomes a space in decoded text."""
    methods: str = ""
    """The module and class with methods of its own ("heard.LabelTokenizer")."""
    unmerged: bool = False
    """Whether its vocab.json comes without merges.txt."""
    aliases: tuple[str, ...] = ()
    """Further class names that mean the same."""

    @property
    def files(self) -> Mapping[str, tuple[str, ...]]:
        """Return argument → the names that its file may have."""
        merged = "vocab.json" in self.vocab_files and not self.unmerged
        merges = {"merges_file": ("merges.txt",)} if merged else {}
        return {"vocab_file": self.vocab_files, **(self.more_files or merges)}

    def known(self) -> set[str]:
        """Return the names of all options."""
        return {*ROLES, *COMMON, *self.options, "name_or_path"}
