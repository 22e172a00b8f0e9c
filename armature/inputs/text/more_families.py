"""Further families: of models that translate, and those that never have a tokenizer.json."""

from __future__ import annotations

from dataclasses import replace

from armature.inputs.text.family import Family
from armature.inputs.text.languages import BART_50, HUNDRED, TWO_HUNDRED

ENDS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
FRAMED = {**ENDS, "sep_token": "</s>", "cls_token": "<s>", "mask_token": "<mask>"}

LETTERS = Family(
    name="CTRLTokenizer",
    recipe="joined_letters",
    vocab_files=("vocab.json",),
    tokens={"unk_token": "<unk>"},
    single="$A",
    pair="$A $B",
    plain=True,
)
MORE = [
    LETTERS,
    replace(
        LETTERS,
        name="BlenderbotSmallTokenizer",
        recipe="joined_letters_lower",
        pair="$A $B:1",
        tokens={
            "bos_token": "__start__",
            "eos_token": "__end__",
            "unk_token": "__unk__",
            "pad_token": "__null__",
        },
    ),
    Family(
        name="XLMTokenizer",
        recipe="moses_letters",
        vocab_files=("vocab.json",),
        tokens={
            "bos_token": "<s>",
            "unk_token": "<unk>",
            "sep_token": "</s>",
            "pad_token": "<pad>",
            "cls_token": "</s>",
            "mask_token": "<special1>",
        },
        single="bos $A sep",
        pair="bos $A sep $B:1 sep:1",
        options={"do_lowercase_and_remove_accent": True, "lang2id": None, "id2lang": None},
        extras="ten_specials",
        plain=True,
    ),
    Family(
        name="BioGptTokenizer",
        recipe="moses_text",
        vocab_files=("vocab.json",),
        tokens={**ENDS, "sep_token": "</s>"},
        single="sep $A",
        pair="sep $A sep:1 $B:1",
        plain=True,
    ),
    Family(
        name="ProphetNetTokenizer",
        recipe="composed_words",
        vocab_files=("prophetnet.tokenizer",),
        tokens={
            "unk_token": "[UNK]",
            "sep_token": "[SEP]",
            "pad_token": "[PAD]",
            "mask_token": "[MASK]",
            "x_sep_token": "[X_SEP]",
        },
        single="$A sep",
        pair="$A sep $B:1 sep:1",
        options={
            "do_lower_case": True,
            "do_basic_tokenize": True,
            "never_split": None,
            "tokenize_chinese_chars": True,
            "strip_accents": None,
            "clean_up_tokenization_spaces": True,
        },
        plain=True,
    ),
    Family(
        name="M2M100Tokenizer",
        recipe="listed_pieces",
        vocab_files=("vocab.json",),
        more_files={"spm_file": ("sentencepiece.bpe.model",)},
        tokens={**ENDS, "sep_token": "</s>"},
        single="lang $A eos",
        pair="lang $A $B eos",
        options={
            "src_lang": "en",
            "tgt_lang": None,
            "language_codes": HUNDRED,
            "sp_model_kwargs": None,
            "num_madeup_words": 8,
        },
        language_mark="__{}__",
        plain=True,
    ),
    Family(
        name="Speech2TextTokenizer",
        recipe="spoken_pieces",
        vocab_files=("vocab.json",),
        more_files={"spm_file": ("sentencepiece.bpe.model",)},
        tokens=ENDS,
        single="$A eos",
        pair="$A $B eos",
        options={
            "do_upper_case": False,
            "do_lower_case": False,
            "tgt_lang": None,
            "lang_codes": None,
            "sp_model_kwargs": None,
        },
        plain=True,
    ),
    Family(
        name="BertGenerationTokenizer",
        recipe="whole_pieces",
        vocab_files=("spiece.model",),
        tokens={**ENDS, "sep_token": "<::::>"},
        options={"sp_model_kwargs": None},
        plain=True,
    ),
    Family(
        name="SpeechT5Tokenizer",
        recipe="whole_pieces",
        vocab_files=("spm_char.model",),
        tokens=ENDS,
        single="$A eos",
        pair="$A $B eos",
        options={"sp_model_kwargs": None, "normalize": False},
        plain=True,
    ),
    Family(
        name="NllbTokenizer",
        recipe="merged_pieces",
        vocab_files=("sentencepiece.bpe.model",),
        tokens=FRAMED,
        single="lang $A eos",
        pair="lang $A $B eos",
        options={
            "src_lang": "eng_Latn",
            "tgt_lang": None,
            "language_codes": TWO_HUNDRED,
            "legacy_behaviour": False,
            "sp_model_kwargs": None,
        },
        layout="framed_first",
        extras="languages_and_marked",
        eats_space=("mask_token",),
    ),
    Family(
        name="MBart50Tokenizer",
        recipe="unigram_spaced",
        vocab_files=("sentencepiece.bpe.model",),
        tokens={role: token for role, token in FRAMED.items() if role != "bos_token"},
        single="lang $A eos",
        pair="lang $A $B eos",
        options={
            "src_lang": "en_XX",
            "tgt_lang": None,
            "language_codes": BART_50,
            "sp_model_kwargs": None,
        },
        layout="fairseq",
        extras="languages_and_marked",
        eats_space=("mask_token",),
    ),
]
