"""The families of tokenizers, the class of each by name, and which architecture has which."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from armature.inputs.text.family import Family
from armature.inputs.text.languages import BART_25
from armature.inputs.text.more_families import MORE, of_pages

if TYPE_CHECKING:
    from armature.inputs.text.tokenizer import Tokenizer

BERT_TOKENS = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
ROBERTA_TOKENS = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "sep_token": "</s>",
    "pad_token": "<pad>",
    "cls_token": "<s>",
    "mask_token": "<mask>",
}
END: dict[str, str] = dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>")
BERT_OPTIONS = {
    "do_lower_case": True,
    "do_basic_tokenize": True,
    "never_split": None,
    "tokenize_chinese_chars": True,
    "strip_accents": None,
}
TYPED = ("input_ids", "token_type_ids", "attention_mask")

BERT = Family(
    name="BertTokenizer",
    recipe="wordpiece",
    vocab_files=("vocab.txt",),
    tokens=BERT_TOKENS,
    single="cls $A sep",
    pair="cls $A sep $B:1 sep:1",
    options=BERT_OPTIONS,
    inputs=TYPED,
    aliases=(
        "MobileBertTokenizer",
        "SqueezeBertTokenizer",
        "ElectraTokenizer",
        "ConvBertTokenizer",
        "LayoutLMTokenizer",
        "LxmertTokenizer",
        "UnilmTokenizer",
        "UniLMTokenizer",
    ),
)
ROBERTA = Family(
    name="RobertaTokenizer",
    recipe="byte_level",
    vocab_files=("vocab.json",),
    tokens=ROBERTA_TOKENS,
    single="cls $A sep",
    pair="cls $A sep sep $B sep",
    options={"add_prefix_space": False, "trim_offsets": True, "errors": "replace"},
    trims=True,
    aliases=("BartTokenizer", "LongformerTokenizer", "LEDTokenizer", "MvpTokenizer"),
)
GPT2 = Family(
    name="GPT2Tokenizer",
    recipe="byte_level",
    vocab_files=("vocab.json",),
    tokens=END,
    options={"add_prefix_space": False, "errors": "replace"},
    aliases=("CodeGenTokenizer",),
)
LLAMA = Family(
    name="LlamaTokenizer",
    recipe="pieces_of_line",
    vocab_files=("tokenizer.model", "spiece.model"),
    tokens={"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
    options={
        "add_prefix_space": None,
        "legacy": False,
        "sp_model_kwargs": None,
        "use_default_system_prompt": False,
        "spaces_between_special_tokens": False,
    },
    extras="marked",
    padding_side="left",
    aliases=("CodeLlamaTokenizer",),
)
T5 = Family(
    name="T5Tokenizer",
    recipe="unigram",
    vocab_files=("spiece.model",),
    tokens={"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"},
    single="$A eos",
    pair="$A eos $B eos",
    options={
        "extra_ids": 100,
        "legacy": None,
        "sp_model_kwargs": None,
        "add_prefix_space": True,
    },
    layout="sentinels",
    extras="marked_and_sentinels",
    unk_id=2,
    aliases=("MT5Tokenizer",),
)
ALBERT = Family(
    name="AlbertTokenizer",
    recipe="unigram_plain_letters",
    vocab_files=("spiece.model",),
    tokens={
        "bos_token": "[CLS]",
        "eos_token": "[SEP]",
        "unk_token": "<unk>",
        "sep_token": "[SEP]",
        "pad_token": "<pad>",
        "cls_token": "[CLS]",
        "mask_token": "[MASK]",
    },
    single="cls $A sep",
    pair="cls $A sep $B:1 sep:1",
    options={
        "do_lower_case": True,
        "keep_accents": False,
        "add_prefix_space": True,
        "remove_space": True,
        "trim_offsets": True,
        "sp_model_kwargs": None,
    },
    extras="marked",
    unk_id=1,
)
XLM_ROBERTA = Family(
    name="XLMRobertaTokenizer",
    recipe="unigram",
    vocab_files=("sentencepiece.bpe.model",),
    tokens=ROBERTA_TOKENS,
    single="bos $A eos",
    pair="bos $A eos eos $B eos",
    options={"add_prefix_space": True, "sp_model_kwargs": None},
    layout="fairseq",
    extras="marked",
)

# What a checkpoint with a tokenizer.json needs where no class is known for it.
GENERIC = Family(
    name="PreTrainedTokenizerFast",
    recipe="pieces_as_stored",
    vocab_files=("tokenizer.model",),
    tokens={},
    options={"add_prefix_space": None, "legacy": None, "sp_model_kwargs": None},
    extras="marked",
    aliases=("TokenizersBackend", "BloomTokenizer", "CohereTokenizer", "PreTrainedTokenizer"),
)

FAMILIES = [
    GENERIC,
    BERT,
    ROBERTA,
    GPT2,
    LLAMA,
    T5,
    ALBERT,
    XLM_ROBERTA,
    replace(BERT, name="DistilBertTokenizer", inputs=("input_ids", "attention_mask"), aliases=()),
    Family(
        name="DebertaV2Tokenizer",
        recipe="unigram_trimmed",
        vocab_files=("spm.model",),
        tokens={**BERT_TOKENS, "bos_token": "[CLS]", "eos_token": "[SEP]"},
        single="cls $A sep",
        pair="cls $A sep $B:1 sep:1",
        options={
            "do_lower_case": False,
            "split_by_punct": False,
            "add_prefix_space": True,
            "sp_model_kwargs": None,
            "vocab_type": "spm",
        },
        inputs=TYPED,
        extras="marked",
    ),
    Family(
        name="MPNetTokenizer",
        recipe="wordpiece",
        vocab_files=("vocab.txt",),
        tokens={**ROBERTA_TOKENS, "unk_token": "[UNK]"},
        single="cls $A sep",
        pair="cls $A sep sep $B sep",
        options=BERT_OPTIONS,
        trims=True,
        eats_space=("mask_token",),
    ),
    Family(
        name="RoFormerTokenizer",
        recipe="chinese_wordpiece",
        vocab_files=("vocab.txt",),
        tokens=BERT_TOKENS,
        single="cls $A sep",
        pair="cls $A sep $B:1 sep:1",
        options={"do_lower_case": True, "tokenize_chinese_chars": True, "strip_accents": None},
        takes_vocabulary=True,
    ),
    Family(
        name="FunnelTokenizer",
        recipe="wordpiece",
        vocab_files=("vocab.txt",),
        tokens={**ROBERTA_TOKENS, "sep_token": "<sep>", "cls_token": "<cls>"},
        single="cls:2 $A sep",
        pair="cls:2 $A sep $B:1 sep:1",
        options=BERT_OPTIONS,
        reframes=True,
    ),
    Family(
        name="DebertaTokenizer",
        recipe="byte_level",
        vocab_files=("vocab.json",),
        tokens={**BERT_TOKENS, "bos_token": "[CLS]", "eos_token": "[SEP]"},
        single="cls $A sep",
        pair="cls $A sep sep $B sep",
        options={"add_prefix_space": False, "errors": "replace"},
        inputs=TYPED,
    ),
    replace(
        ROBERTA,
        name="BlenderbotTokenizer",
        single="",
        pair="",
        trims=False,
        options={"add_prefix_space": True, "errors": "replace"},
        eats_space=("mask_token",),
        aliases=(),
    ),
    Family(
        name="GPTNeoXTokenizer",
        recipe="byte_level_composed",
        vocab_files=("vocab.json",),
        tokens={**END, "pad_token": "<|padding|>"},
        options={"add_prefix_space": False, "trim_offsets": True, "errors": "replace"},
        reframes=True,
    ),
    Family(
        name="Qwen2Tokenizer",
        recipe="byte_level_digits",
        vocab_files=("vocab.json",),
        tokens=dict.fromkeys(("unk_token", "eos_token", "pad_token"), "<|endoftext|>"),
        options={"add_prefix_space": None, "errors": "replace"},
    ),
    Family(
        name="CLIPTokenizer",
        recipe="byte_level_words",
        vocab_files=("vocab.json",),
        tokens={**END, "bos_token": "<|startoftext|>", "pad_token": "<|endoftext|>"},
        single="bos $A eos",
        pair="bos $A eos eos $B eos",
        options={"errors": "replace"},
        word_end="</w>",
    ),
    Family(
        name="OpenAIGPTTokenizer",
        recipe="letter_words",
        vocab_files=("vocab.json",),
        tokens={"unk_token": "<unk>"},
    ),
    Family(
        name="GemmaTokenizer",
        recipe="pieces_of_text",
        vocab_files=("tokenizer.model",),
        tokens={
            "bos_token": "<bos>",
            "eos_token": "<eos>",
            "unk_token": "<unk>",
            "pad_token": "<pad>",
            "mask_token": "<mask>",
        },
        options={"sp_model_kwargs": None, "spaces_between_special_tokens": False},
        extras="marked",
        padding_side="left",
    ),
    Family(
        name="XLNetTokenizer",
        recipe="unigram_plain_letters",
        vocab_files=("spiece.model",),
        tokens={**ROBERTA_TOKENS, "sep_token": "<sep>", "cls_token": "<cls>"},
        single="$A sep cls:2",
        pair="$A sep $B:1 sep:1 cls:2",
        options={
            "do_lower_case": False,
            "keep_accents": False,
            "remove_space": True,
            "sp_model_kwargs": None,
        },
        extras="marked_or_ends",
        pad_type_id=3,
        padding_side="left",
        eats_space=("mask_token",),
    ),
    Family(
        name="PegasusTokenizer",
        recipe="unigram_single_spaces",
        vocab_files=("spiece.model",),
        tokens={
            "eos_token": "</s>",
            "unk_token": "<unk>",
            "pad_token": "<pad>",
            "mask_token": "<mask_2>",
        },
        single="$A eos",
        pair="$A $B eos",
        options={"offset": 103, "mask_token_sent": "<mask_1>", "sp_model_kwargs": None},
        layout="gap_sentences",
        extras="gap_sentence_tokens",
    ),
    Family(
        name="MBartTokenizer",
        recipe="unigram_raw",
        vocab_files=("sentencepiece.bpe.model",),
        tokens=ROBERTA_TOKENS,
        single="$A eos lang",
        pair="$A $B eos lang",
        options={
            "src_lang": "en_XX",
            "tgt_lang": None,
            "language_codes": BART_25,
            "sp_model_kwargs": None,
        },
        layout="fairseq",
        extras="languages_and_marked",
        eats_space=("mask_token",),
    ),
    Family(
        name="MarianTokenizer",
        recipe="coded_pieces",
        vocab_files=("vocab.json",),
        more_files={"source_spm": ("source.spm",), "target_spm": ("target.spm",)},
        tokens={"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"},
        single="$A eos",
        pair="$A $B eos",
        options={"source_lang": None, "target_lang": None, "sp_model_kwargs": None},
        plain=True,
    ),
    *MORE,
    replace(
        XLM_ROBERTA,
        name="CamembertTokenizer",
        layout="unused_first",
        eats_space=("mask_token",),
    ),
]
FAMILIES += of_pages(BERT, ROBERTA)
BY_NAME = {name: family for family in FAMILIES for name in (family.name, *family.aliases)}


def family_of(name: str) -> Family | None:
    """Return the family of a tokenizer class, with or without "Fast"; None if unknown."""
    return BY_NAME.get(name) or BY_NAME.get(name.removesuffix("Fast"))


@cache
def _class(name: str) -> type[Tokenizer]:
    family = BY_NAME[name]
    module, _, base = (family.methods or "tokenizer.Tokenizer").partition(".")
    body: dict[str, Any] = {"family": family, "__module__": __name__}
    body["__doc__"] = f"{name}: see `{base}`."
    return type(name, (getattr(import_module(f"armature.inputs.text.{module}"), base),), body)


def tokenizer_class(name: str) -> type[Tokenizer] | None:
    """Return the class of that name ("BertTokenizer", "BertTokenizerFast"…); None if unknown."""
    if family_of(name) is None:
        return None
    return _class(name if name in BY_NAME else name.removesuffix("Fast"))


def __getattr__(name: str) -> Any:
    found = tokenizer_class(name) if name[:1].isupper() else None
    if found is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return found
