"""Auto classes and classes by name: from a checkpoint's config to the class that opens it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from itertools import accumulate
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from armature import arch
from armature.checkpoint.hub import resolve_with
from armature.config import Config
from armature.errors import ArgumentError, nearest
from armature.opening import config_class, named_config, open_model
from armature.outputs import tasks

if TYPE_CHECKING:
    from armature.inputs.audio.extractor import FeatureExtractor
    from armature.inputs.image.processor import ImageProcessor
    from armature.inputs.processor import Processor
    from armature.inputs.text.tokenizer import Tokenizer
    from armature.pretrained import PreTrainedModel

# Words after `AutoModelFor` → the heads that fit, the best first.
_FITS: dict[str, tuple[type[tasks.Head], ...]] = {
    "CausalLM": (tasks.CausalLM,),
    "MaskedLM": (tasks.MaskedLM,),
    "Seq2SeqLM": (tasks.Seq2SeqLM,),
    "PreTraining": (
        tasks.PreTraining,
        tasks.HiddenFrames,
        tasks.Detector,
        tasks.MaskedLM,
        tasks.Seq2SeqLM,
        tasks.CausalLM,
    ),
    "SequenceClassification": (tasks.SequenceClassifier,),
    "TokenClassification": (tasks.TokenClassifier,),
    "QuestionAnswering": (tasks.Spans,),
    "MultipleChoice": (tasks.MultipleChoice,),
    "NextSentencePrediction": (tasks.NextSentence,),
    "ImageClassification": (tasks.ImageClassifier,),
    "MaskedImageModeling": (tasks.MaskedImage,),
    "VideoClassification": (),
    "ZeroShotImageClassification": (tasks.Contrast,),
    "VisualQuestionAnswering": (tasks.VisualQuestions,),
    "DocumentQuestionAnswering": (),
    "ObjectDetection": (tasks.ObjectDetector,),
    "ZeroShotObjectDetection": (tasks.TextGuidedDetector,),
    "SemanticSegmentation": (tasks.Segmenter,),
    "TableQuestionAnswering": (tasks.Cells,),
    "DepthEstimation": (tasks.DepthEstimator,),
    "CTC": (tasks.CTC,),
    "AudioClassification": (tasks.SoundClassifier,),
    "AudioFrameClassification": (tasks.FrameClassifier,),
    "AudioXVector": (tasks.Speakers,),
    "SpeechSeq2Seq": (),
    "ImageTextToText": (),
    "Vision2Seq": (),
    "InstanceSegmentation": (tasks.InstanceSegmenter,),
    "UniversalSegmentation": (),
    "ImageSegmentation": (tasks.Segmenter, tasks.MaskClassifier),
}


# ------------------------------------------------------------------------ classes by name


def _architecture_of(class_name: str) -> tuple[str, ModuleType] | None:
    """Return the model_type and module whose HEADS hold a class, looking at likely files first."""
    plain = class_name.lower()

    def likely(model_type: str) -> int:  # a class may have its first words alone, or its initials
        words = model_type.replace("-", "_").split("_")
        starts = [*accumulate(words), "".join(word[0] for word in words)]
        fits = [len(start) for start in starts if plain.startswith(start) and len(start) > 1]
        return max(fits, default=0)

    for model_type in sorted(arch.names(), key=likely, reverse=True):
        module = arch.find(model_type)
        if class_name in module.HEADS:
            return model_type, module
        if not likely(model_type):
            return None
    return None


@cache
def model_class(class_name: str) -> type[PreTrainedModel] | None:
    """Return the model class of this name ("BertForMaskedLM"), or None."""
    found = _architecture_of(class_name)
    if found is None:
        return None
    from armature.abilities.backbone import BackboneModel
    from armature.abilities.captions import CaptionModel
    from armature.abilities.guided import GuidedModel
    from armature.abilities.joined import JoinedModel
    from armature.abilities.restoring import RestoringModel
    from armature.abilities.sounds import SoundModel
    from armature.abilities.towers import LookingTowersModel, TowersModel
    from armature.abilities.transcribing import TranscribingModel
    from armature.pretrained import PreTrainedModel

    model_type, module = found
    spec = module.HEADS[class_name]
    body = {
        "arch": module,
        "head_spec": spec,
        "config_class": config_class(model_type),
        "__doc__": f"{(module.__doc__ or '').splitlines()[0]} {(spec.__doc__ or '').strip()}",
        "__module__": "armature",
    }
    kinds = {
        tasks.Backbone: BackboneModel,
        tasks.Contrast: TowersModel,
        tasks.LookingContrast: LookingTowersModel,
        tasks.TextGuidedDetector: GuidedModel,
        tasks.Joined: JoinedModel,
        tasks.Captions: CaptionModel,
        tasks.RestoredImage: RestoringModel,
        tasks.Scribe: TranscribingModel,
    }
    usual = SoundModel if module.INPUTS == "sounds" else PreTrainedModel
    return type(class_name, (kinds.get(type(spec), usual),), body)


@cache
def config_class_named(name: str) -> type[Config] | None:
    """Return the config class of this name ("BertConfig"), with `from_pretrained`, or None."""
    stem = name.removesuffix("Config")
    words = ("Model", "Encoder", "", "ForCausalLM", "ForSemanticSegmentation", "ForDepthEstimation")
    likely = (f"{stem}{word}" for word in words)
    found = next((found for one in likely if (found := _architecture_of(one))), None)
    if not name.endswith("Config") or found is None:
        return None
    return config_class(found[0])


def reads_images(class_name: str) -> bool:
    """Say whether a class reads images, and not texts."""
    found = _architecture_of(class_name)
    return found is not None and found[1].INPUTS == "images"


def auto_names(class_name: str) -> list[str]:
    """Return the Auto classes that open a class, the most specific first."""
    found = _architecture_of(class_name)
    if found is None:
        return []
    spec, names = found[1].HEADS[class_name], []
    if isinstance(spec, tasks.Base):
        fits = [f"AutoModelFor{words}" for words in _FITS if _choose(found[1], words) == class_name]
        return [*fits, "AutoModel"]
    if isinstance(spec, tasks.Backbone):
        return ["AutoBackbone"]
    for words in _FITS:
        chosen = _choose(found[1], words)
        if chosen == class_name:
            names.append(f"AutoModelFor{words}")
    return names


def _choose(module: ModuleType, words: str) -> str | None:
    """Return the class of an architecture that fits these words, if it has one."""
    for kind in _FITS[words]:
        for name, spec in module.HEADS.items():
            if isinstance(spec, kind) and not spec.only:
                return name
    named = module.HEADS.items()
    return next((name for name, spec in named if words in (*spec.also, *spec.only)), None)


# ------------------------------------------------------------------------ auto classes


class _Auto:
    """Base: opened by `from_pretrained`, never built."""

    def __init__(self) -> None:
        name = type(self).__name__
        raise ArgumentError(f"{name} is not built directly: call {name}.from_pretrained(…)")


class AutoConfig(_Auto):
    """Opens the settings of any checkpoint."""

    @classmethod
    def from_pretrained(cls, name: str | Path, **options: Any) -> Config:
        """Read config.json of a folder or a hub name; other options set its keys."""
        return named_config(name, options)

    @classmethod
    def for_model(cls, model_type: str, **settings: Any) -> Config:
        """Return a fresh config of an architecture."""
        return config_class(model_type)(**settings)


class AutoTokenizer(_Auto):
    """Opens the tokenizer of any checkpoint."""

    @classmethod
    def from_pretrained(cls, name: str | Path, **options: Any) -> Tokenizer:
        """Open the tokenizer of a folder or a hub name; other options override its settings."""
        from armature.inputs.text.load import load_tokenizer

        return load_tokenizer(resolve_with(name, options), **options)


class AutoImageProcessor(_Auto):
    """Opens what turns pictures into the input of a checkpoint's model."""

    @classmethod
    def from_pretrained(cls, name: str | Path, **options: Any) -> ImageProcessor:
        """Open the image processor of a folder or a hub name; options override its settings."""
        load_image_processor = _part("image.processor", "load_image_processor")
        return load_image_processor(resolve_with(name, options), **options)


class AutoFeatureExtractor(_Auto):
    """Opens what turns sounds, or pictures, into the input of a checkpoint's model."""

    @classmethod
    def from_pretrained(cls, name: str | Path, **options: Any) -> FeatureExtractor | ImageProcessor:
        """Open the feature extractor of a folder or a hub name; options override its settings."""
        load_senses = _part("processor", "load_senses")
        return load_senses(resolve_with(name, options), **options)


class AutoProcessor(_Auto):
    """Opens all that reads a checkpoint's inputs: texts with pictures, or with sounds."""

    @classmethod
    def from_pretrained(cls, name: str | Path, **options: Any) -> Processor:
        """Open the processor of a folder or a hub name; options override its settings."""
        load_processor = _part("processor", "load_processor")
        return load_processor(resolve_with(name, options), **options)


class _AutoModel(_Auto):
    """Base of the classes that open models."""

    words = ""

    @classmethod
    def _class_for(cls, config: Config) -> type[PreTrainedModel]:
        if not config.model_type:
            return None  # type: ignore[return-value]  # nothing is known yet
        module = arch.find(config.model_type)
        name = cls._pick(module, config)
        if name is None:
            raise ArgumentError(
                f"{cls.__name__} cannot open a {config.model_type!r} checkpoint.\n  → "
                + _advice(config, module)
            )
        found = model_class(name)
        assert found is not None
        return found

    @classmethod
    def _pick(cls, module: ModuleType, config: Config) -> str | None:
        own = (config.architectures or [""])[0]
        labels = isinstance(module.HEADS.get(own), tasks.ImageClassifier)
        if cls.words == "ImageClassification" and labels:
            return own  # an architecture may have several
        return _choose(module, cls.words)

    @classmethod
    def from_pretrained(cls, name: str | Path, **options: Any) -> Any:
        """Open a checkpoint; see `armature.opening.open_model` for the options.

        Raises:
            ArgumentError: the architecture has no such head; the message names those it has.
        """
        return open_model(name, cls._class_for, **options)

    @classmethod
    def from_config(cls, config: Config, **options: Any) -> Any:
        """Build a model with fresh weights, in `dtype` (float32 unless given)."""
        return cls._class_for(config).from_config(config, **options)


def _advice(config: Config, module: ModuleType) -> str:
    """Return which Auto classes fit: that of the checkpoint's own head first."""
    own = [name for name in config.architectures or [] if isinstance(name, str)]
    best = next((auto_names(name) for name in own if name in module.HEADS), [])
    fits = [f"AutoModelFor{words}" for words in _FITS if _choose(module, words)]
    maps = [name for name, spec in module.HEADS.items() if isinstance(spec, tasks.Backbone)]
    fits += ["AutoBackbone"] if maps else []
    rest = [name for name in ["AutoModel", *fits] if name not in best]
    if best:
        return f"this one was saved as {own[0]}: use {best[0]} (others: {', '.join(rest)})"
    return f"use one of {', '.join(rest)}"


class AutoModel(_AutoModel):
    """Opens the body of any checkpoint, without a task's head."""

    @classmethod
    def _pick(cls, module: ModuleType, config: Config) -> str | None:
        own = (config.architectures or [None])[0]
        bases = [name for name, spec in module.HEADS.items() if isinstance(spec, tasks.Base)]
        return own if own in bases else next(iter(bases), None)


class AutoBackbone(_AutoModel):
    """Opens an image body whose stages give feature maps."""

    @classmethod
    def _pick(cls, module: ModuleType, config: Config) -> str | None:
        specs = module.HEADS.items()
        return next((name for name, spec in specs if isinstance(spec, tasks.Backbone)), None)


def _auto_model(words: str) -> type[_AutoModel]:
    doc = f"Opens any checkpoint for {words}."
    return type(f"AutoModelFor{words}", (_AutoModel,), {"words": words, "__doc__": doc})


AUTO_MODELS: dict[str, type[_AutoModel]] = {
    f"AutoModelFor{words}": _auto_model(words) for words in _FITS
} | {"AutoModel": AutoModel, "AutoBackbone": AutoBackbone}


_OPENERS = (AutoConfig, AutoTokenizer, AutoImageProcessor, AutoFeatureExtractor, AutoProcessor)


def find(name: str) -> Any:
    """Return a public class by its name: Auto classes, models, configs, tokenizers…; or None."""
    makers: tuple[Callable[[str], Any], ...] = (
        AUTO_MODELS.get,
        {one.__name__: one for one in _OPENERS}.get,
        config_class_named,
        _tokenizer_class,
        _image_processor_class,
        _feature_extractor_class,
        _processor_class,
        model_class,
    )
    return next((found for make in makers if (found := make(name)) is not None), None)


def _tokenizer_class(name: str) -> Any:
    if "Tokenizer" not in name:
        return None
    from armature.inputs.text.families import tokenizer_class

    return tokenizer_class(name)


def _image_processor_class(name: str) -> Any:
    if not name.endswith(("ImageProcessor", "ImageProcessorFast", "FeatureExtractor")):
        return None
    return _part("image.processor", "image_processor_class")(name)


def _feature_extractor_class(name: str) -> Any:
    if not name.endswith("FeatureExtractor"):
        return None
    return _part("audio.extractor", "feature_extractor_class")(name)


def _processor_class(name: str) -> Any:
    return _part("processor", "processor_class")(name) if name.endswith("Processor") else None


def _part(module: str, name: str) -> Any:
    """Return a function of what reads pictures or sounds, which needs packages of its own."""
    try:
        return getattr(import_module(f"armature.inputs.{module}"), name)
    except ImportError as error:
        what, extra = ("Sounds", "audio") if "audio" in module else ("Pictures", "vision")
        raise ArgumentError(
            f"{what} need {error.name}, which is not installed.\n"
            f'  → pip install "armature-models[{extra}]"'
        ) from error


def names() -> list[str]:
    """Return the names of all public classes: Auto classes, models, configs, what reads inputs."""
    from armature.inputs.audio.kinds import class_names as hearing
    from armature.inputs.image.kinds import class_names as seeing
    from armature.inputs.processor import JOINS
    from armature.inputs.text.families import BY_NAME

    models = [name for model_type in arch.names() for name in arch.find(model_type).HEADS]
    configs = [config_class(model_type).__name__ for model_type in arch.names()]
    openers = [one.__name__ for one in _OPENERS]
    return [*AUTO_MODELS, *openers, *models, *configs, *BY_NAME, *seeing(), *hearing(), *JOINS]


def suggestion(name: str) -> str:
    """Return " Did you mean …?" for a class name that does not exist."""
    return nearest(name, names())
