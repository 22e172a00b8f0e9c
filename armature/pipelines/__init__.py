"""Pipelines: one call from raw input to a task's result.

>>> from armature import pipeline
>>> pipeline("sentiment-analysis")("We are very happy.")            # doctest: +SKIP
[{'label': 'POSITIVE', 'score': 0.99}]
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib import import_module
from os import PathLike
from typing import TYPE_CHECKING, Any, NamedTuple

from armature.errors import ArgumentError, nearest, refuse_unknown

if TYPE_CHECKING:
    from armature.pipelines.base import Pipeline
    from armature.pipelines.defaults import Choice
    from armature.pipelines.opening import Opening


class Task(NamedTuple):
    """What does a task: Auto classes open the model and what reads for it, a pipeline uses them."""

    auto: str
    module: str
    pipeline: str
    reads: str = "AutoTokenizer"


BOTH = "AutoTokenizer and AutoImageProcessor"  # of tasks that read texts and pictures

# A checkpoint is taken for the first of the tasks that its class can do.
TASKS = {
    "zero-shot-image-classification": Task(
        "AutoModelForZeroShotImageClassification",
        "zero_shot_images",
        "ZeroShotImageClassificationPipeline",
        BOTH,
    ),
    "image-to-text": Task("AutoModelForVision2Seq", "captions", "ImageToTextPipeline", BOTH),
    "zero-shot-object-detection": Task(
        "AutoModelForZeroShotObjectDetection",
        "zero_shot_objects",
        "ZeroShotObjectDetectionPipeline",
        BOTH,
    ),
    "visual-question-answering": Task(
        "AutoModelForVisualQuestionAnswering",
        "visual_questions",
        "VisualQuestionAnsweringPipeline",
        BOTH,
    ),
    "document-question-answering": Task(
        "AutoModelForDocumentQuestionAnswering",
        "document_questions",
        "DocumentQuestionAnsweringPipeline",
        BOTH,
    ),
    "feature-extraction": Task("AutoModel", "features", "FeatureExtractionPipeline"),
    "text-classification": Task(
        "AutoModelForSequenceClassification", "classification", "TextClassificationPipeline"
    ),
    "zero-shot-classification": Task(
        "AutoModelForSequenceClassification", "zero_shot", "ZeroShotClassificationPipeline"
    ),
    "token-classification": Task(
        "AutoModelForTokenClassification", "tokens", "TokenClassificationPipeline"
    ),
    "question-answering": Task(
        "AutoModelForQuestionAnswering", "answers", "QuestionAnsweringPipeline"
    ),
    "text-generation": Task("AutoModelForCausalLM", "generation", "TextGenerationPipeline"),
    "text2text-generation": Task("AutoModelForSeq2SeqLM", "seq2seq", "Text2TextGenerationPipeline"),
    "summarization": Task("AutoModelForSeq2SeqLM", "seq2seq", "SummarizationPipeline"),
    "translation": Task("AutoModelForSeq2SeqLM", "seq2seq", "TranslationPipeline"),
    "fill-mask": Task("AutoModelForMaskedLM", "masks", "FillMaskPipeline"),
    "image-classification": Task(
        "AutoModelForImageClassification",
        "images",
        "ImageClassificationPipeline",
        "AutoImageProcessor",
    ),
    "image-segmentation": Task(
        "AutoModelForImageSegmentation",
        "segmentation",
        "ImageSegmentationPipeline",
        "AutoImageProcessor",
    ),
    "object-detection": Task(
        "AutoModelForObjectDetection",
        "detection",
        "ObjectDetectionPipeline",
        "AutoImageProcessor",
    ),
    "depth-estimation": Task(
        "AutoModelForDepthEstimation", "depth", "DepthEstimationPipeline", "AutoImageProcessor"
    ),
    "image-feature-extraction": Task(
        "AutoModel", "images", "ImageFeatureExtractionPipeline", "AutoImageProcessor"
    ),
    "audio-classification": Task(
        "AutoModelForAudioClassification",
        "audio",
        "AudioClassificationPipeline",
        "AutoFeatureExtractor",
    ),
    "automatic-speech-recognition": Task(
        "AutoModelForSpeechSeq2Seq",
        "speech",
        "AutomaticSpeechRecognitionPipeline",
        "AutoProcessor",
    ),
}

# zero-shot-classification with a sentence encoder
LIKENESS = Task("AutoModel", "zero_shot", "SimilarityPipeline")

ALIASES = {
    "sentiment-analysis": "text-classification",
    "ner": "token-classification",
    "vqa": "visual-question-answering",
}

# Auto classes of models that do a task, beside its own.
ALSO = {
    "AutoModelForCTC": "automatic-speech-recognition",
    "AutoModelForPreTraining": "fill-mask",
}


def find(task: str) -> Task:
    """Return what does a task.

    Raises:
        ArgumentError: no such task; the message names the nearest.
    """
    usual = usual_name(task)
    if usual in TASKS:
        return TASKS[usual]
    names = [*TASKS, *ALIASES, "translation_en_to_fr"]
    raise ArgumentError(
        f"there is no task {task!r}.{nearest(str(task), names)}\n  → there are: {', '.join(TASKS)}"
    )


def usual_name(task: str) -> str:
    """Return the name of a task in `TASKS`, also for an alias and for a pair of languages."""
    if re.fullmatch(r"translation_[\w-]+_to_[\w-]+", str(task)):
        return "translation"
    return ALIASES.get(task, task)


def task_of(class_names: Iterable[Any]) -> str:
    """Return the task that a model of one of these classes does.

    Raises:
        ArgumentError: no pipeline uses such a model.
    """
    from armature.auto import auto_names, reads_images

    named = [str(name) for name in class_names]
    known = [auto for name in named for auto in auto_names(name)]
    pictures = any(map(reads_images, named))
    for task, entry in TASKS.items():
        if entry.auto in known and (
            entry.reads == BOTH or (entry.reads == "AutoImageProcessor") is pictures
        ):
            return task
    for auto, task in ALSO.items():
        if auto in known:
            return task
    remedy = f"open it with {known[0]}" if known else "name the task: pipeline('…', model=…)"
    raise ArgumentError(
        f"no pipeline is known for the model's class ({', '.join(named) or 'it names none'}).\n"
        f"  → {remedy}"
    )


def pipeline(  # noqa: PLR0913 - the known signature
    task: str | None = None,
    model: Any = None,
    config: Any = None,
    tokenizer: Any = None,
    *,
    image_processor: Any = None,
    feature_extractor: Any = None,
    language: str | None = None,
    device: Any = None,
    batch_size: int | None = None,
    allow_untrained_head: bool = False,
    **options: Any,
) -> Pipeline:
    """Return a function that does a task.

    Args:
        task: What to do, "sentiment-analysis" for one: see `TASKS` and `ALIASES`, and
            "translation_xx_to_yy". None: what the checkpoint was made for.
        model: A folder, a name on the hub, or an open model. None: a checkpoint is chosen, and
            said, for the task and the language.
        config: Settings to open the model with: a config, a folder or a name.
        tokenizer: An open tokenizer, a folder or a name; None: the model's own.
        image_processor: An open image processor, a folder or a name; None: the model's own.
        feature_extractor: The older name of it.
        language: Of the texts, "en" or "zh", where a checkpoint is to be chosen.
        device: "cpu", "cuda", "cuda:1", "mps", the number of a GPU, or -1 for the CPU.
        batch_size: How many texts go through the model at once; None: as many as are good.
            It never changes a result.
        allow_untrained_head: Predict even if the checkpoint holds no trained head for the task.
        **options: How to open the model (`dtype`, also spelled `torch_dtype`, `revision`, `token`,
            `cache_dir`, `local_files_only`, `model_kwargs`…), and options of the task.

    Raises:
        ArgumentError: there is no such task, or the model cannot do it.
        CheckpointError: the checkpoint cannot be opened.
        UnknownArgumentError: an option that neither the task nor the opening knows.
    """
    from armature.pipelines.opening import Opening, refuse_untrained

    how, options = Opening.of(options)
    note = ""
    if model is None:
        if tokenizer is not None or config is not None:
            raise ArgumentError("a tokenizer or a config needs its `model`: name that, too")
        chosen = _choice(task, language, how)
        model, how, note = chosen.name, how.at(chosen.revision), chosen.note
    elif language is not None:
        raise ArgumentError("`language` helps to choose a model, but `model` names one already")
    task = task or task_of(how.class_names(model))
    entry = how.suited(find(task), model)
    if entry.module == "zero_shot" and how.is_encoder(model):
        entry = LIKENESS
    made = _class_of(entry)
    _check_names(task, made, options)  # before any weight is read
    readers = {
        "tokenizer": tokenizer,
        "image_processor": image_processor,
        "feature_extractor": feature_extractor,
    }
    readers = {k: v for k, v in readers.items() if v is not None}
    if entry.reads == BOTH:
        opened, reader = how.open(entry.auto, model, config, tokenizer)
        origin = model if isinstance(model, str | PathLike) else opened.name_or_path
        sees = image_processor or feature_extractor
        reader = (reader, how.pictures(origin, sees))
    else:
        joined = entry.reads == "AutoProcessor"
        reader = how.joined(model, readers) if joined else _reader(task, entry, readers)
        opened, reader = how.open(entry.auto, model, config, reader, entry.reads)
    if not allow_untrained_head:
        refuse_untrained(opened, task)
    if isinstance(device, int):
        device = "cpu" if device < 0 else f"cuda:{device}"
    return made(
        opened,
        reader,
        task=task,
        device=device,
        batch_size=batch_size,
        model_note=note,
        **options,
    )


def _reader(task: str, entry: Task, given: dict[str, Any]) -> Any:
    """Return what a caller gave to read inputs with, or None.

    Raises:
        ArgumentError: the task reads other inputs.
    """
    texts = entry.reads == "AutoTokenizer"
    wrong = [name for name in given if (name == "tokenizer") is not texts]
    if wrong:
        raise ArgumentError(
            f"the task {task!r} reads {'texts' if texts else 'no texts'}, but `{wrong[0]}` reads "
            f"{'others' if texts else 'texts'}.\n  → leave it out"
        )
    return next(iter(given.values()), None)


def _class_of(entry: Task) -> type[Pipeline]:
    return getattr(import_module(f"armature.pipelines.{entry.module}"), entry.pipeline)


def __getattr__(name: str) -> Any:
    """Import a pipeline's class when it is first used (PEP 562)."""
    for entry in TASKS.values():
        if entry.pipeline == name:
            return _class_of(entry)
    raise AttributeError(f"armature.pipelines has no {name!r}")


def _check_names(task: str, made: type[Pipeline], options: Mapping[str, Any]) -> None:
    """Raise UnknownArgumentError for what is neither an option of the task nor of opening."""
    from armature.pipelines.opening import OPTIONS

    own = ("language", "device", "batch_size", "allow_untrained_head")
    known = [*made.options_type.accepted(), *OPTIONS, *own]
    refuse_unknown(f"pipeline({task!r})", made.named(options), known)


def _choice(task: str | None, language: str | None, how: Opening) -> Choice:
    """Choose a checkpoint for a task and a language."""
    if task is None:
        raise ArgumentError("pipeline() needs a task, a model, or both")
    find(task)
    from armature.pipelines.defaults import choose

    usual = task if "_to_" in task else usual_name(task)
    return choose(task, usual, language, how.hub)
