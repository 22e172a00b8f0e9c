"""Further families: of models that translate, and those that never have a tokenizer.json."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

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
        name="BertJapaneseTokenizer",
        recipe="japanese_words",
        vocab_files=("vocab.txt", "spiece.model"),
        tokens={
            "unk_token": "[UNK]",
            "sep_token": "[SEP]",
            "pad_token": "[PAD]",
            "cls_token": "[CLS]",
            "mask_token": "[MASK]",
        },
        single="cls $A sep",
        pair="cls $A sep $B:1 sep:1",
        options={
            "do_lower_case": False,
            "do_word_tokenize": True,
            "do_subword_tokenize": True,
            "word_tokenizer_type": "basic",
            "subword_tokenizer_type": "wordpiece",
            "never_split": None,
            "mecab_kwargs": None,
            "sudachi_kwargs": None,
            "jumanpp_kwargs": None,
        },
        plain=True,
    ),
    Family(
        name="TransfoXLTokenizer",
        recipe="whole_words",
        vocab_files=("vocab.txt", "vocab.pkl", "vocab.bin"),
        tokens={"unk_token": "<unk>", "eos_token": "<eos>"},
        single="$A",
        pair="$A $B:1",
        options={
            "lower_case": False,
            "delimiter": None,
            "never_split": None,
            "language": "en",
            "special": None,
            "min_freq": 0,
            "max_size": None,
            "additional_special_tokens": ["<formula>"],
            "clean_up_tokenization_spaces": True,
        },
        inputs=("input_ids",),
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
        methods="transcribed.TaughtTokenizer",
        plain=True,
    ),
    Family(
        name="Wav2Vec2CTCTokenizer",
        recipe="heard_letters",
        vocab_files=("vocab.json",),
        tokens={**ENDS, "word_delimiter_token": "|"},
        options={
            "do_lower_case": False,
            "replace_word_delimiter_char": " ",
            "target_lang": None,
        },
        methods="heard.LabelTokenizer",
        unmerged=True,
        plain=True,
        aliases=("Wav2Vec2Tokenizer",),
    ),
    Family(
        name="WhisperTokenizer",
        recipe="byte_level",
        vocab_files=("vocab.json",),
        tokens=dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>"),
        options={
            "add_prefix_space": False,
            "errors": "replace",
            "language": None,
            "task": None,
            "predict_timestamps": False,
        },
        methods="transcribed.TranscriptTokenizer",
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
        eats_before_rules=True,
    ),
]


def of_pages(words: Family, letters: Family) -> list[Family]:
    """Return the families of words with boxes, made of those without."""

    def boxed(corner: int) -> dict[str, Any]:
        return {
            "cls_token_box": [0] * 4,
            "sep_token_box": [corner] * 4,
            "pad_token_box": [0] * 4,
            "pad_token_label": -100,
            "only_label_first_subword": True,
        }

    return [
        replace(
            words,
            name="LayoutLMv2Tokenizer",
            options={**words.options, **boxed(1000)},
            methods="paged.PageTokenizer",
            aliases=(),
        ),
        replace(
            letters,
            name="LayoutLMv3Tokenizer",
            options={**letters.options, "add_prefix_space": True, **boxed(0)},
            inputs=("input_ids", "attention_mask", "bbox"),
            methods="paged.PageTokenizer",
            aliases=(),
        ),
    ]
