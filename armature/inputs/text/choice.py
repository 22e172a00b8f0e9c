"""Which tokenizer class a checkpoint has, by what its files say, its architecture, or its files."""

from __future__ import annotations

from armature.inputs.text.families import GENERIC, family_of

# Class → the architectures that have it, for checkpoints that name no class.
_ARCHITECTURES = {
    "AlbertTokenizer": "albert",
    "BartTokenizer": "bart",
    "BertGenerationTokenizer": "bert-generation",
    "BertTokenizer": "bert blip chinese_clip git vilt",
    "BioGptTokenizer": "biogpt",
    "BlenderbotSmallTokenizer": "blenderbot-small",
    "BlenderbotTokenizer": "blenderbot",
    "CTRLTokenizer": "ctrl",
    "CLIPTokenizer": "clip owlvit",
    "CamembertTokenizer": "camembert",
    "ConvBertTokenizer": "convbert",
    "DebertaTokenizer": "deberta",
    "DebertaV2Tokenizer": "deberta-v2",
    "DistilBertTokenizer": "distilbert",
    "ElectraTokenizer": "electra",
    "FunnelTokenizer": "funnel",
    "GPT2Tokenizer": "gpt2 gpt_neo gptj codegen opt phi starcoder2",
    "GPTNeoXTokenizer": "gpt_neox mpt mamba",
    "GemmaTokenizer": "gemma gemma2 gemma3 gemma3_text",
    "LEDTokenizer": "led",
    "LayoutLMTokenizer": "layoutlm",
    "LayoutLMv2Tokenizer": "layoutlmv2",
    "LayoutLMv3Tokenizer": "layoutlmv3",
    "LlamaTokenizer": "llama",
    "LongformerTokenizer": "longformer",
    "M2M100Tokenizer": "m2m_100",
    "MBart50Tokenizer": "mbart50",
    "MBartTokenizer": "mbart",
    "MPNetTokenizer": "mpnet",
    "MarianTokenizer": "marian",
    "MobileBertTokenizer": "mobilebert",
    "NllbTokenizer": "nllb nllb-moe",
    "OpenAIGPTTokenizer": "openai-gpt",
    "PegasusTokenizer": "pegasus",
    "ProphetNetTokenizer": "prophetnet",
    "Qwen2Tokenizer": "qwen2 qwen2_moe qwen3 qwen3_moe",
    "RoFormerTokenizer": "roformer",
    "RobertaTokenizer": "roberta",
    "Speech2TextTokenizer": "speech_to_text",
    "SpeechT5Tokenizer": "speecht5",
    "SqueezeBertTokenizer": "squeezebert",
    "T5Tokenizer": "t5 mt5 longt5",
    "TransfoXLTokenizer": "transfo-xl",
    "UnilmTokenizer": "unilm",
    "Wav2Vec2CTCTokenizer": "wav2vec2 wavlm hubert data2vec-audio unispeech unispeech-sat",
    "WhisperTokenizer": "whisper",
    "XLMRobertaTokenizer": "xlm-roberta",
    "XLMTokenizer": "xlm",
    "XLNetTokenizer": "xlnet",
}
OF_ARCHITECTURE = {
    architecture: name for name, words in _ARCHITECTURES.items() for architecture in words.split()
}

# HF: the files of these architectures are taken as they are, whatever class tokenizer_config.json
# names. With a tokenizer.json that changes nothing; from tokenizer.model alone it means that no
# space is added to the beginning of a text.
_AS_STORED = """
    bigbird_pegasus bloom falcon gpt_bigcode granite ministral mistral mixtral olmo2 phi3 stablelm
"""
AS_STORED = frozenset(_AS_STORED.split())

# HF: these have the class listed above even where tokenizer_config.json names another.
MISNAMED = {"qwen2"}


def choose_class(
    stated: str | None, architecture: str | None, names: list[str], *, has_json: bool
) -> str | None:
    """Return the name of a checkpoint's class; None if what its files name is not known.

    Args:
        stated: The class that tokenizer_config.json or config.json names.
        architecture: `model_type` of config.json.
        names: The checkpoint's files.
        has_json: Whether there is a tokenizer.json, so that any class will do.
    """
    if architecture in AS_STORED and (has_json or "tokenizer.model" in names):
        return GENERIC.name
    if stated and architecture not in MISNAMED:
        found = family_of(stated)
        if found is None:
            return GENERIC.name if has_json else None
        if has_json or found is not GENERIC:
            return stated
    if architecture in OF_ARCHITECTURE:
        return OF_ARCHITECTURE[architecture]
    if has_json:
        return GENERIC.name
    return None if architecture else _by_files(names)


def _by_files(names: list[str]) -> str:
    """Guess from the vocabulary files, where nothing is said."""
    signs = {
        "source.spm": "MarianTokenizer",
        "vocab.pkl": "TransfoXLTokenizer",
        "vocab.txt": "BertTokenizer",
        "merges.txt": "GPT2Tokenizer",
        "spm.model": "DebertaV2Tokenizer",
        "sentencepiece.bpe.model": "XLMRobertaTokenizer",
        "spiece.model": "T5Tokenizer",
        "tokenizer.model": "LlamaTokenizer",
    }
    return next((signs[name] for name in signs if name in names), GENERIC.name)
