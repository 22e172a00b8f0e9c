"""Which checkpoint does a task when nobody names one, and why.

Three tiers, each said to be what it is, in the order in which they are tried:

    hub        well known, trained for the task: where the cache has it, or the network is there
    package    published weights that an installed package carries
    starter    ships with Armature: small, trained on text of our own, always there
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import Any

from armature.checkpoint.shipped import STARTERS, packaged
from armature.errors import ArgumentError, CheckpointError

log = logging.getLogger("armature")

LANGUAGES = {"english": "en", "chinese": "zh", "中文": "zh", "英文": "en"}


@dataclass(frozen=True)
class Choice:
    """A checkpoint chosen for a task."""

    name: str
    """What to open: a name on the hub, or a folder."""
    revision: str | None
    note: str
    """Which checkpoint it is and of which tier."""


@dataclass(frozen=True)
class Known:
    """The checkpoints known for one task in one language."""

    hub: str = ""
    revision: str | None = None
    """The commit that is taken; None: the newest."""
    starter: str = ""
    encoder: bool = False
    """Whether a packaged sentence encoder does the task, too, and at once."""


_T5 = Known("google-t5/t5-base", "a9723ea")
_VIT = Known("google/vit-base-patch16-224", "3f49326")

KNOWN: dict[tuple[str, str], Known] = {
    ("feature-extraction", "en"): Known(
        "distilbert/distilbert-base-cased", "6ea8117", encoder=True
    ),
    ("feature-extraction", "zh"): Known("google-bert/bert-base-chinese"),
    ("fill-mask", "en"): Known("distilbert/distilroberta-base", "fb53ab8", "fill-mask"),
    ("fill-mask", "zh"): Known("google-bert/bert-base-chinese", None, "fill-mask-zh"),
    ("token-classification", "en"): Known(
        "dbmdz/bert-large-cased-finetuned-conll03-english", "4c53496", "ner"
    ),
    ("token-classification", "zh"): Known(
        "uer/roberta-base-finetuned-cluener2020-chinese", None, "ner-zh"
    ),
    ("question-answering", "en"): Known(
        "distilbert/distilbert-base-cased-distilled-squad", "564e9b5", "question-answering"
    ),
    ("question-answering", "zh"): Known(
        "uer/roberta-base-chinese-extractive-qa", None, "question-answering-zh"
    ),
    ("text-classification", "en"): Known(
        "distilbert/distilbert-base-uncased-finetuned-sst-2-english", "714eb0f", "sentiment"
    ),
    ("text-classification", "zh"): Known(
        "uer/roberta-base-finetuned-dianping-chinese", None, "sentiment-zh"
    ),
    ("zero-shot-classification", "en"): Known("facebook/bart-large-mnli", "d7645e1", encoder=True),
    ("text-generation", "en"): Known("openai-community/gpt2", "607a30d", "stories"),
    ("text-generation", "zh"): Known("uer/gpt2-chinese-cluecorpussmall", None, "stories-zh"),
    ("text2text-generation", "en"): _T5,
    ("automatic-speech-recognition", "en"): Known("facebook/wav2vec2-base-960h", "22aad52"),
    ("audio-classification", "en"): Known("superb/wav2vec2-base-superb-ks", "372e048"),
    ("summarization", "en"): Known("sshleifer/distilbart-cnn-12-6", "a4f8f3e"),
    ("image-classification", "en"): _VIT,
    ("image-feature-extraction", "en"): _VIT,
    ("image-segmentation", "en"): Known("facebook/detr-resnet-50-panoptic", "d53b52a"),
    ("object-detection", "en"): Known("facebook/detr-resnet-50", "1d5f47b"),
    ("depth-estimation", "en"): Known("Intel/dpt-large", "bc15f29"),
    ("zero-shot-image-classification", "en"): Known("openai/clip-vit-base-patch32", "3d74acf"),
    ("zero-shot-object-detection", "en"): Known("google/owlvit-base-patch32", "cbc355f"),
    ("image-to-text", "en"): Known("ydshieh/vit-gpt2-coco-en", "5bebf1e"),
    ("visual-question-answering", "en"): Known("dandelin/vilt-b32-finetuned-vqa", "d0a1f6a"),
    ("document-question-answering", "en"): Known("impira/layoutlm-document-qa", "beed3c4"),
    ("audio-classification", "en"): Known("superb/wav2vec2-base-superb-ks", "372e048"),
    ("automatic-speech-recognition", "en"): Known("facebook/wav2vec2-base-960h", "22aad52"),
    ("translation_en_to_fr", "en"): _T5,
    ("translation_en_to_de", "en"): _T5,
    ("translation_en_to_ro", "en"): _T5,
}


def choose(task: str, usual: str, language: str | None, hub: dict[str, Any]) -> Choice:
    """Choose a checkpoint, and say on one line which and why.

    Args:
        task: As the caller calls it.
        usual: Its name in `KNOWN`.
        language: Of the texts: "en", "zh"; None for English.
        hub: Options of the look-up: `cache_dir`, `local_files_only`…

    Raises:
        ArgumentError: nothing at hand does this task.
    """
    known = KNOWN.get((usual, _code(language))) or _translator(usual)
    if known is None:
        raise ArgumentError(
            f"no checkpoint is known for {task!r} in {language or 'English'}.\n"
            f"  → name one: pipeline({task!r}, model=…){_other_ways(usual)}"
        )
    found, reason = _first_at_hand(known, hub)
    if found is None:
        raise ArgumentError(
            f"no checkpoint for {task!r} is at hand: {reason}.\n"
            f"  → name one: pipeline({task!r}, model=…); `armature models` lists those at hand"
        )
    because = f" ({reason})" if reason else ""
    log.warning("pipeline(%r): no model is named, so it takes %s%s", task, found.note, because)
    return found


def _first_at_hand(known: Known, hub: dict[str, Any]) -> tuple[Choice | None, str]:
    """Return the first tier that can be had now, and why those before it cannot."""
    from armature.embed import DEFAULT_MODEL

    encoder = packaged(DEFAULT_MODEL) if known.encoder else None
    reason = _lacks(known, {**hub, "local_files_only": True})
    if reason and encoder is None and not hub.get("local_files_only"):
        reason = _lacks(known, hub)
    if reason is None:
        at = f" at {known.revision}" if known.revision else ""
        return Choice(known.hub, known.revision, f"{known.hub}{at}, the usual choice"), ""
    if encoder is not None:
        note = f"{DEFAULT_MODEL}, published weights from an installed package"
        return Choice(str(encoder), None, note), reason
    folder = STARTERS / known.starter
    if known.starter and (folder / "config.json").is_file():
        note = f"starter/{known.starter}: ships with Armature, small, trained on text of our own"
        return Choice(str(folder), None, note), reason
    return None, reason


def _lacks(known: Known, options: dict[str, Any]) -> str | None:
    """Return why the hub's checkpoint cannot be had, or None where it can."""
    from armature.checkpoint.cache import offline_reason
    from armature.checkpoint.hub import resolve

    try:
        source = resolve(known.hub, revision=known.revision, **options)
        source.get("config.json")
        found = any(name.endswith((".safetensors", ".bin")) for name in source.names())
    except CheckpointError as error:
        found, cause = False, error.cause
    else:
        cause = ""
    if found:
        return None
    barrier = offline_reason()
    if barrier or options.get("local_files_only"):
        return f"{known.hub} is not in the cache" + (f" and {barrier}" if barrier else "")
    return f"{known.hub} cannot be had: {cause or 'it has no weights'}"


def _translator(task: str) -> Known | None:
    """Return the checkpoint for a pair of languages by the name that such checkpoints have."""
    pair = re.fullmatch(r"translation_([a-z]{2,3})_to_([a-z]{2,3})", task)
    return Known(f"Helsinki-NLP/opus-mt-{pair[1]}-{pair[2]}") if pair else None


def _code(language: str | None) -> str:
    """Return the two letters of a language: "zh" of "zh-CN" or "Chinese"."""
    plain = (language or "en").lower()
    return LANGUAGES.get(plain) or re.split(r"[-_]", plain)[0]


def _other_ways(task: str) -> str:
    if task == "translation":
        return ", or the languages: pipeline('translation_en_to_fr')"
    spoken = sorted(code for known, code in KNOWN if known == task)
    return f", or a language of {', '.join(spoken)}" if spoken else ""
