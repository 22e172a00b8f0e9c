"""Processors: a tokenizer and what reads pictures or sounds, as one; which class joins them how."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from armature.errors import ArgumentError, CheckpointError, nearest, refuse_unknown
from armature.inputs.encoding import BatchEncoding
from armature.inputs.preprocessor import AUDIO, FILE, IMAGES, WHOLE, model_type_of, write_settings
from armature.inputs.reading import read_json
from armature.inputs.text.call import Call

if TYPE_CHECKING:
    from armature.checkpoint.hub import Source

log = logging.getLogger("armature")

TOKENIZER = "tokenizer_config.json"
_TEXT = {option.name for option in fields(Call)} - {"target"} | {"text_pair"}
# HF: what the tokenizer's files say of a call has no effect on calls of the tokenizer alone.
_STORED = ("max_length", "stride", "padding", "truncation", "pad_to_multiple_of",
           "return_token_type_ids", "return_attention_mask")  # fmt: skip
_SOUND = {"padding", "max_length", "truncation", "pad_to_multiple_of", "return_attention_mask"}
_SOUND |= {"return_tensors", "sampling_rate", "device"}
_PARTS = ("text_kwargs", "images_kwargs", "audio_kwargs", "common_kwargs")


@dataclass(frozen=True)
class Join:
    """How a class of processors joins what reads its inputs."""

    senses: str = IMAGES
    """What it has besides a tokenizer."""
    way: str = "beside"
    """The method of `Processor` that makes one batch of texts and pictures or sounds."""
    text: Mapping[str, Any] = field(default_factory=dict)
    """Options of the tokenizer unless a call says otherwise."""
    pictures: str = "pixel_values"
    """What the model calls pictures of pages."""
    leaves_out: tuple[str, ...] = ()
    """What the tokenizer makes, but the model does not read."""


_SPOKEN = Join(AUDIO, "as_labels")
JOINS: dict[str, Join] = {
    **dict.fromkeys(
        (
            "CLIPProcessor",
            "ChineseCLIPProcessor",
            "SiglipProcessor",
            "GitProcessor",
            "ViltProcessor",
            "VisionTextDualEncoderProcessor",
        ),
        Join(),
    ),
    "BlipProcessor": Join(text={"return_token_type_ids": False}, leaves_out=("token_type_ids",)),
    "TrOCRProcessor": Join(way="as_labels"),
    "DonutProcessor": Join(way="beside_labels"),
    "OwlViTProcessor": Join(way="queries", text={"padding": "max_length", "return_tensors": "pt"}),
    **dict.fromkeys(("Wav2Vec2Processor", "Speech2TextProcessor", "WhisperProcessor"), _SPOKEN),
    "LayoutLMv2Processor": Join(way="on_pages", pictures="image"),
    "LayoutLMv3Processor": Join(way="on_pages"),
}
# Classes that need what is not here, and the class that does the rest.
_INSTEAD = {"Wav2Vec2ProcessorWithLM": "Wav2Vec2Processor"}

# model_type → the class of a checkpoint whose files name none.
OF_TYPES = {
    "clip": "CLIPProcessor",
    "chinese_clip": "ChineseCLIPProcessor",
    "siglip": "SiglipProcessor",
    "blip": "BlipProcessor",
    "git": "GitProcessor",
    "vilt": "ViltProcessor",
    "owlvit": "OwlViTProcessor",
    "vision-encoder-decoder": "TrOCRProcessor",
    "vision-text-dual-encoder": "VisionTextDualEncoderProcessor",
    **dict.fromkeys(
        (
            "wav2vec2",
            "wav2vec2-conformer",
            "hubert",
            "wavlm",
            "data2vec-audio",
            "unispeech",
            "unispeech-sat",
            "sew",
            "sew-d",
            "speech-encoder-decoder",
        ),
        "Wav2Vec2Processor",
    ),
    "speech_to_text": "Speech2TextProcessor",
    "whisper": "WhisperProcessor",
    "layoutlmv2": "LayoutLMv2Processor",
    "layoutlmv3": "LayoutLMv3Processor",
}


class Processor:
    """A tokenizer and what reads pictures or sounds, called as one."""

    join: ClassVar[Join]
    tokenizer: Any
    senses: Any
    """What reads pictures or sounds."""

    def __init__(self, senses: Any = None, tokenizer: Any = None, **named: Any) -> None:
        """Join two that read.

        Args:
            senses: The image processor or feature extractor.
            tokenizer: The tokenizer.
            named: `image_processor` or `feature_extractor`, instead of the first.

        Raises:
            ArgumentError: one of them is missing.
        """
        old = "feature_extractor"  # the older name of an image processor, too
        refuse_unknown(type(self).__name__, named, [self.join.senses, old, "chat_template"])
        self.senses = senses or named.get(self.join.senses) or named.get(old)
        self.tokenizer = tokenizer
        if self.senses is None or tokenizer is None:
            missing = self.join.senses if self.senses is None else "tokenizer"
            raise ArgumentError(f"{type(self).__name__}() needs a {missing}")

    def __getattr__(self, name: str) -> Any:
        senses = self.__dict__.get("senses")
        if senses is not None and name in (self.join.senses, "feature_extractor"):
            return senses
        parts = () if name.startswith("_") else (self.__dict__.get("tokenizer"), senses)
        for part in parts:
            if hasattr(part, name):
                return getattr(part, name)
        raise AttributeError(f"{type(self).__name__} has no `{name}`")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({type(self.senses).__name__}, {self.tokenizer!r})"

    @property
    def model_input_names(self) -> list[str]:
        """Return the names of what it makes."""
        if self.join.way == "on_pages":
            names = ["bbox", *self.tokenizer.model_input_names, self.join.pictures]
            return list(dict.fromkeys(names))
        text, senses = self.tokenizer.model_input_names, self.senses.model_input_names
        if self.join.way == "as_labels":
            return [*senses, "labels"]
        labels = ["labels"] if self.join.way == "beside_labels" else []
        return [name for name in [*senses, *text, *labels] if name not in self.join.leaves_out]

    # ------------------------------------------------------------------ use

    def __call__(self, *inputs: Any, text: Any = None, **options: Any) -> BatchEncoding:
        """Make of texts, and pictures or sounds, what a model reads.

        Args:
            inputs: Pictures or sounds, and then texts, where they are not named.
            text: A text, or a list of texts; for documents the words of each.
            options: `images` or `audio`; those of the tokenizer (`padding`, `return_tensors`…) and
                of what reads the rest (`sampling_rate`, `do_resize`…), each to whom they belong;
                or apart, as `text_kwargs`, `images_kwargs`, `audio_kwargs`.

        Raises:
            ArgumentError: there is nothing to read, or it cannot be read.
            UnknownArgumentError: nobody knows an option.
        """
        seen = options.pop("images" if self.join.senses == IMAGES else "audio", None)
        if self.join.senses == AUDIO:
            seen = options.pop("raw_speech", seen)
        given = [*inputs, None, None]
        seen, text = (given[0] if seen is None else seen), (given[1] if text is None else text)
        return getattr(self, f"_{self.join.way}")(seen, text, options)

    def _beside(self, seen: Any, text: Any, options: dict[str, Any]) -> BatchEncoding:
        """Give the model both side by side."""
        self._need(seen, text)
        texts, others = self._shared(options, seen=seen is not None, text=text is not None)
        found: dict[str, Any] = {}
        if text is not None:
            found |= self.tokenizer(text, **texts)
        if seen is not None:
            found |= self.senses(seen, **others)
        kept = {name: value for name, value in found.items() if name not in self.join.leaves_out}
        return BatchEncoding(kept)

    def _as_labels(self, seen: Any, text: Any, options: dict[str, Any]) -> BatchEncoding:
        """Give the model pictures or sounds; texts are what it shall write."""
        self._need(seen, text)
        texts, others = self._shared(options, seen=seen is not None, text=text is not None)
        if seen is None:
            return self.tokenizer(text, **texts)
        found = self.senses(seen, **others)
        if text is not None:
            found["labels"] = self.tokenizer(text, **texts)["input_ids"]
        return found

    def _beside_labels(self, seen: Any, text: Any, options: dict[str, Any]) -> BatchEncoding:
        """Give the model both; a text about pictures, without marks of its ends, is its labels."""
        both = seen is not None and text is not None
        found = self._beside(
            seen, text, {"add_special_tokens": False} | options if both else options
        )
        return BatchEncoding({**found, "labels": found["input_ids"]}) if both else found

    def _queries(self, seen: Any, text: Any, options: dict[str, Any]) -> BatchEncoding:
        """Give the model texts, or pictures, that it shall find in pictures."""
        shown = options.pop("query_images", None)
        further = options.get("images_kwargs") or {}  # where it once was
        if "query_images" in further:
            options["images_kwargs"] = {k: v for k, v in further.items() if k != "query_images"}
            shown = further["query_images"]
        self._need(seen if shown is None else shown, text)
        texts, others = self._shared(options, seen=True, text=True)
        others.setdefault("return_tensors", texts["return_tensors"])
        found: dict[str, Any] = {}
        if text is not None:
            nested = not isinstance(text, str) and text and not isinstance(text[0], str)
            if nested:  # each picture has as many queries
                most = max(len(one) for one in text)
                text = [query for one in text for query in [*one, *[" "] * (most - len(one))]]
            made = self.tokenizer([text] if isinstance(text, str) else list(text), **texts)
            found = {name: made[name] for name in ("input_ids", "attention_mask")}
        if shown is not None:
            found = {"query_pixel_values": self.senses(shown, **others)["pixel_values"]}
        if seen is not None:
            found["pixel_values"] = self.senses(seen, **others)["pixel_values"]
        return BatchEncoding(found)

    def _on_pages(self, seen: Any, text: Any, options: dict[str, Any]) -> BatchEncoding:
        """Give the model pages: pictures, their words, and where these stand."""
        from armature.inputs.pages import read_pages

        self._need(seen, seen)
        return read_pages(self, seen, text, options, name=self.join.pictures)

    def _need(self, seen: Any, text: Any) -> None:
        if seen is None and text is None:
            what = "images" if self.join.senses == IMAGES else "audio"
            raise ArgumentError(f"{type(self).__name__} needs {what}=…, text=…, or both")

    def _shared(
        self, options: dict[str, Any], *, seen: bool, text: bool
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Give each of the two its options.

        Raises:
            UnknownArgumentError: nobody knows one.
        """
        apart = {name: options.pop(name, None) or {} for name in _PARTS}
        own = "images_kwargs" if self.join.senses == IMAGES else "audio_kwargs"
        options = {**options, **apart["common_kwargs"]}
        hears = _SOUND if self.join.senses == AUDIO else {"return_tensors", "input_data_format"}
        hears = hears | set(self.senses.settings)
        refuse_unknown(f"{type(self).__name__}(…)", options, _TEXT | hears)
        stored = self.tokenizer.options
        named = _STORED if self.join.senses == IMAGES else ("return_attention_mask",)
        texts = {name: stored[name] for name in named if stored.get(name) is not None}
        texts |= {name: value for name, value in options.items() if name in _TEXT}
        others = {name: value for name, value in options.items() if name in hears}
        if seen and self.join.senses == AUDIO and self.join.way != "as_labels":
            texts = texts if text else {}
        return {**self.join.text, **texts, **apart["text_kwargs"]}, {**others, **apart[own]}

    def post_process_image_text_to_text(
        self, generated_outputs: Any, *, skip_special_tokens: bool = True, **options: Any
    ) -> list[str]:
        """Return what a model has written, as texts."""
        options["skip_special_tokens"] = skip_special_tokens
        return self.tokenizer.batch_decode(generated_outputs, **options)

    def pad(self, input_features: Any = None, labels: Any = None, **options: Any) -> BatchEncoding:
        """Bring what calls have made of single sounds, and labels, to one length.

        Raises:
            ArgumentError: there is neither.
        """
        self._need(input_features, labels)
        if input_features is None:
            return self.tokenizer.pad(labels, **options)
        found = self.senses.pad(input_features, **options)
        if labels is not None:
            found["labels"] = self.tokenizer.pad(labels, **options)["input_ids"]
        return found

    # ------------------------------------------------------------------ files

    @classmethod
    def from_pretrained(cls, name: str | Path, **options: Any) -> Processor:
        """Open the processor of a folder or a hub name; options override the settings."""
        from armature.checkpoint.hub import resolve_with

        return _open(cls, resolve_with(name, options), options)

    def save_pretrained(self, folder: str | Path) -> list[str]:
        """Write all files into a folder, and return their paths."""
        written = [*self.tokenizer.save_pretrained(folder)]
        table = {**self.senses.to_dict(), "processor_class": type(self).__name__}
        return [*written, write_settings(folder, table)]


# -------------------------------------------------------------------- classes and files


@cache
def processor_class(name: str) -> type[Processor] | None:
    """Return the class of a name ("CLIPProcessor"); or None."""
    if name not in JOINS:
        return None
    body = {"join": JOINS[name], "__module__": "armature", "__doc__": Processor.__doc__}
    if JOINS[name].way != "beside_labels":
        return type(name, (Processor,), body)
    from armature.inputs.written import WrittenFields

    return type(name, (WrittenFields, Processor), body)


def load_processor(source: Source, **options: Any) -> Any:
    """Open what reads a checkpoint's inputs: a processor, or the one that reads them alone.

    Raises:
        CheckpointError: nothing is said of it, or its class is not known here.
    """
    said = _said(source)
    if said in _INSTEAD:
        log.warning("%s: %s has no language model here: it decodes greedily", source.name, said)
        said = _INSTEAD[said]
    name = said or OF_TYPES.get(model_type_of(source), "")
    if name in OF_TYPES.values() and not said and not _reads_texts(source):
        name = ""  # a model of sounds or pictures alone
    found = processor_class(name)
    if found is not None:
        return _open(found, source, options)
    if said:
        known = ", ".join(JOINS)
        raise CheckpointError(
            source.name, f"{said} is not known here.{nearest(said, JOINS)}", f"known: {known}"
        )
    if source.find(FILE) is not None or source.find(WHOLE) is not None:
        return load_senses(source, **options)
    from armature.inputs.text.load import load_tokenizer

    return load_tokenizer(source, **options)


def _open(found: type[Processor], source: Source, options: Mapping[str, Any]) -> Processor:
    """Open both; each option goes to the one who knows it."""
    from armature.inputs.text.load import load_tokenizer

    senses = load_senses(source)
    texts = {name: value for name, value in options.items() if name not in senses.settings}
    for name in options.keys() - texts.keys():
        setattr(senses, name, options[name])
    return found(senses, load_tokenizer(source, **texts))


def load_senses(source: Source, **options: Any) -> Any:
    """Open what reads a checkpoint's sounds or pictures.

    Raises:
        CheckpointError: there is none, or its class is not known here.
    """
    from armature.inputs.audio.kinds import OF_TYPES as HEARING
    from armature.inputs.audio.kinds import class_names

    path = source.find(FILE)
    stored = read_json(path) if path is not None else {}
    path = source.find(WHOLE)
    whole = read_json(path) if path is not None else {}
    said = stored.get("feature_extractor_type") or stored.get("image_processor_type")
    hears = "feature_extractor" in whole or said in class_names()
    if hears or (not said and not whole and model_type_of(source) in HEARING):
        from armature.inputs.audio.extractor import load_feature_extractor

        return load_feature_extractor(source, **options)
    from armature.inputs.image.processor import load_image_processor

    return load_image_processor(source, **options)


def _said(source: Source) -> str:
    """Return the class that a checkpoint's files name, or nothing."""
    for name in (WHOLE, FILE, TOKENIZER):
        path = source.find(name)
        said = read_json(path).get("processor_class") if path is not None else None
        if isinstance(said, str):
            return said
    return ""


def _reads_texts(source: Source) -> bool:
    endings = ("vocab.json", "vocab.txt", "tokenizer.json", ".model", TOKENIZER)
    return any(name.endswith(endings) for name in source.names())
