"""Vocabularies trained on our texts, written as the tokenizer files of a checkpoint folder."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ASCII = [chr(code) for code in range(33, 127)]
LATIN = [chr(code) for code in range(0xC0, 0x100) if chr(code).isalpha()]
END = "<|endoftext|>"


def wordpiece(texts: Iterable[str], size: int, *, lowercase: bool) -> Tokenizer:
    """Train a WordPiece vocabulary in the manner of BERT; Chinese characters stand alone.

    The trainer numbers pieces in the order in which it happens to meet them, and by their numbers
    it decides between equally frequent pairs. Letters that are numbered beforehand make the
    vocabulary the same every time.
    """
    texts = list(texts)
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    letters = sorted({letter for text in texts for letter in text} - {" "})
    known = [*SPECIAL, *ASCII, *(f"##{letter}" for letter in letters if letter.isalnum())]
    useless = sum(map(is_inner_ideograph, known))
    trainer = trainers.WordPieceTrainer(
        vocab_size=size + useless, special_tokens=known, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    words = [word for word in in_order(tokenizer) if not is_inner_ideograph(word)]
    return bert_tokenizer(words, lowercase=lowercase)


def is_inner_ideograph(token: str) -> bool:
    """Whether a token continues a word with a character that always stands alone."""
    return len(token) == 3 and token.startswith("##") and "\u4e00" <= token[2] <= "\u9fff"


def bert_tokenizer(vocabulary: list[str], *, lowercase: bool) -> Tokenizer:
    """Return BERT's tokenizer over a vocabulary, with every letter also as a continuation."""
    letters = [letter for letter in ASCII + ([] if lowercase else LATIN) if letter.isalnum()]
    words = list(dict.fromkeys([*vocabulary, *letters, *(f"##{letter}" for letter in letters)]))
    tokenizer = Tokenizer(
        models.WordPiece(dict(zip(words, range(len(words)), strict=True)), unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in SPECIAL]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", words.index("[CLS]")), ("[SEP]", words.index("[SEP]"))],
    )
    return tokenizer


def bytelevel(texts: Iterable[str], size: int) -> Tokenizer:
    """Train byte-level BPE in the manner of GPT-2; the mark of the end is the last token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size - 1, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken(END, special=True, normalized=False)])
    return tokenizer


def in_order(tokenizer: Tokenizer) -> dict[str, int]:
    """Return the vocabulary by rising id, added tokens too."""
    return dict(sorted(tokenizer.get_vocab().items(), key=lambda pair: pair[1]))


def write_json(path: Path, value: object) -> None:
    """Write JSON for people: indented, Chinese as it is, a newline at the end."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def save_bert(tokenizer: Tokenizer, folder: Path, *, lowercase: bool, longest: int) -> None:
    """Write tokenizer.json, vocab.txt, tokenizer_config.json and special_tokens_map.json."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    words = "".join(f"{word}\n" for word in in_order(tokenizer))
    (folder / "vocab.txt").write_text(words, encoding="utf-8")
    special = {f"{name[1:-1].lower()}_token": name for name in SPECIAL}
    write_json(folder / "special_tokens_map.json", special)
    settings = {
        "clean_up_tokenization_spaces": True,
        "do_lower_case": lowercase,
        "model_max_length": longest,
        "strip_accents": None,
        "tokenize_chinese_chars": True,
        "tokenizer_class": "BertTokenizer",
    }
    write_json(folder / "tokenizer_config.json", special | settings)


def save_gpt2(tokenizer: Tokenizer, folder: Path, *, longest: int) -> None:
    """Write tokenizer.json, vocab.json, merges.txt and the two files of settings."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    tokenizer.model.save(str(folder))
    write_json(folder / "vocab.json", in_order(tokenizer))
    special = {"bos_token": END, "eos_token": END, "unk_token": END}
    write_json(folder / "special_tokens_map.json", special)
    settings = {
        "add_prefix_space": False,
        "model_max_length": longest,
        "tokenizer_class": "GPT2Tokenizer",
    }
    write_json(folder / "tokenizer_config.json", special | settings)
