"""Make the small checkpoints of tests/golden/writers with the reference library.

    python tools/make_golden_writers.py [NAME …]

Models that write about sounds and images. Needs the `reference` extra. golden.json also
tells what was written of which inputs.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
import transformers
from golden_files import GOLDEN, Record, made, write_each

ENDS = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
HALVES = {"d_model": 12, "encoder_layers": 1, "decoder_layers": 2, "encoder_ffn_dim": 16}
HALVES |= {"decoder_ffn_dim": 14, "encoder_attention_heads": 3, "decoder_attention_heads": 2}
HEARS = HALVES | {"vocab_size": 80, "num_mel_bins": 5, "max_source_positions": 20}
HEARS |= {"max_target_positions": 40, "decoder_start_token_id": 51}
HEARS |= {"pad_token_id": 50, "bos_token_id": 50, "eos_token_id": 50}
HEARS |= {"begin_suppress_tokens": [7, 50]}
SPOKEN = {
    "bos_token_id": 50, "eos_token_id": 50, "pad_token_id": 50, "decoder_start_token_id": 51,
    "begin_suppress_tokens": [7, 50], "suppress_tokens": [5, 6], "is_multilingual": True,
    "lang_to_id": {"<|de|>": 54, "<|en|>": 52, "<|zh|>": 53}, "prev_sot_token_id": 57,
    "task_to_id": {"transcribe": 55, "translate": 56}, "no_timestamps_token_id": 59,
    "max_initial_timestamp_index": 9, "max_length": 40, "alignment_heads": [[0, 1], [1, 0]],
}  # fmt: skip
SEES = {"hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2}
SEES |= {"intermediate_size": 16, "image_size": 12, "patch_size": 4}
MAPS = {"embed_dim": 6, "depths": [2, 1], "num_heads": [1, 2], "window_size": 2}
MAPS |= {"image_size": 8, "patch_size": 2}
READS = {"vocab_size": 31, "max_position_embeddings": 24, **ENDS}
WRITES = READS | {"d_model": 10, "decoder_layers": 2, "decoder_ffn_dim": 14}
WRITES |= {"decoder_attention_heads": 2}
SPEAKS = READS | {"n_embd": 10, "n_layer": 2, "n_head": 2, "n_positions": 24}
SPEAKS |= {"add_cross_attention": True, "is_decoder": True}
WAVES = {"hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2}
WAVES |= {"intermediate_size": 16, "conv_dim": [4, 5], "conv_kernel": [4, 3]}
WAVES |= {"conv_stride": [3, 2], "num_conv_pos_embeddings": 3, "num_conv_pos_embedding_groups": 2}
BEGINS = {"decoder_start_token_id": 3, "pad_token_id": 1, "eos_token_id": 2}


def joined(encoder: dict, decoder: dict) -> dict:
    """Return the settings of two bodies joined."""
    return {"encoder": encoder, "decoder": decoder, **BEGINS}


# Name → class, settings, shape of what the encoder reads, ids of the decoder's inputs below which.
VARIANTS = {
    "s2t": (
        "Speech2TextForConditionalGeneration",
        HALVES | ENDS | {"vocab_size": 31, "conv_kernel_sizes": [3, 4], "conv_channels": 8}
        | {"input_feat_per_channel": 3, "input_channels": 2, "activation_function": "gelu"},
        ("input_features", (2, 21, 6)),
    ),
    "s2t-untied": (
        "Speech2TextModel",
        HALVES | ENDS | {"vocab_size": 31, "conv_kernel_sizes": [5], "num_conv_layers": 1}
        | {"input_feat_per_channel": 4, "scale_embedding": False, "tie_word_embeddings": False},
        ("input_features", (2, 9, 4)),
    ),
    "whisper": ("WhisperForConditionalGeneration", HEARS, ("input_features", (2, 5, 40))),
    "whisper-labels": (
        "WhisperForAudioClassification",
        HEARS | {"use_weighted_layer_sum": True, "classifier_proj_size": 7, "num_labels": 3},
        ("input_features", (2, 5, 40)),
    ),
    "vit-trocr": (
        "VisionEncoderDecoderModel",
        joined(
            {"model_type": "vit", **SEES},
            {"model_type": "trocr", **WRITES, "cross_attention_hidden_size": 12},
        ),
        ("pixel_values", (2, 3, 12, 12)),
    ),
    "swin-gpt2": (
        "VisionEncoderDecoderModel",
        joined({"model_type": "swin", **MAPS}, {"model_type": "gpt2", **SPEAKS}),
        ("pixel_values", (2, 3, 8, 8)),
    ),
    "donut": (
        "VisionEncoderDecoderModel",
        joined(
            {"model_type": "donut-swin", **MAPS},
            {"model_type": "mbart", **WRITES, "d_model": 12, "is_decoder": True}
            | {"add_cross_attention": True, "scale_embedding": True},
        ),
        ("pixel_values", (2, 3, 8, 8)),
    ),
    "wav2vec2-gpt2": (
        "SpeechEncoderDecoderModel",
        joined({"model_type": "wav2vec2", **WAVES}, {"model_type": "gpt2", **SPEAKS}),
        ("input_values", (2, 80)),
    ),
    "trocr": ("TrOCRForCausalLM", WRITES | {"scale_embedding": True}, None),
    "git": (
        "GitForCausalLM",
        {"vision_config": SEES | {"layer_norm_eps": 0.01}, "num_image_with_embedding": 2, **READS}
        | {"hidden_size": 10, "num_hidden_layers": 2, "num_attention_heads": 2}
        | {"intermediate_size": 14, "tie_word_embeddings": True},
        ("pixel_values", (2, 2, 3, 12, 12)),
    ),
    "git-image": (
        "GitModel",
        {"vision_config": SEES | {"hidden_act": "gelu"}, **READS, "hidden_act": "relu"}
        | {"hidden_size": 10, "num_hidden_layers": 2, "num_attention_heads": 2}
        | {"intermediate_size": 14},
        ("pixel_values", (2, 3, 12, 12)),
    ),
}  # fmt: skip

# What a transcript is asked for: frames of each sound, and the arguments.
TRANSCRIPTS = [
    ([40, 40], {}),
    ([40, 40], {"return_dict_in_generate": True}),
    ([40, 40], {"language": "german", "task": "translate", "num_beams": 2}),
    ([40, 40], {"language": ["<|en|>", "zh"], "return_timestamps": True}),
    ([40], {"prompt_ids": [57, 20, 21], "return_token_timestamps": True, "num_beams": 2}),
    ([130], {"return_segments": True, "return_token_timestamps": True}),
    ([130], {"condition_on_prev_tokens": True, "prompt_ids": [57, 20, 21]}),
    ([130], {"condition_on_prev_tokens": True, "prompt_ids": [57, 20, 21]}
     | {"prompt_condition_type": "all-segments"}),
    ([130], {"temperature": [0.0, 0.0], "logprob_threshold": -0.1, "no_speech_threshold": 0.0001}
     | {"compression_ratio_threshold": 1.1}),
    ([130, 70], {"return_segments": True, "task": "transcribe"}),
]  # fmt: skip


def inputs_of(name: str, reads, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """Return one batch of two rows."""
    words = torch.randint(6, 30, (2, 5), generator=generator)
    batch = {} if reads is None else {reads[0]: torch.randn(*reads[1], generator=generator)}
    if name.startswith("s2t"):
        mask = torch.ones(batch["input_features"].shape[:2], dtype=torch.long)
        mask[1, 7:] = 0
        batch = {
            "input_features": batch["input_features"] * mask[..., None],
            "attention_mask": mask,
        }
    if name == "wav2vec2-gpt2":
        batch["attention_mask"] = (torch.arange(80) < torch.tensor([[80], [50]])).long()
    if name == "trocr":
        states = torch.randn(2, 4, 10, generator=generator)
        return batch | {"input_ids": words, "encoder_hidden_states": states, "labels": words}
    if name == "whisper-labels":
        return batch | {"labels": torch.tensor([2, 0])}
    if name.startswith("git"):
        return batch | {"input_ids": words} | ({} if name == "git-image" else {"labels": words})
    return batch | {"decoder_input_ids": words}


@torch.no_grad()
def make(name: str, folder: Path) -> None:
    """Build, call and write one variant."""
    kind_name, settings, reads = VARIANTS[name]
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    model = made(kind_name, settings, folder, generator)
    if name == "whisper":
        told = folder / "generation_config.json"
        told.write_text(json.dumps(SPOKEN, indent=1) + "\n")
        model.generation_config = transformers.GenerationConfig.from_pretrained(folder)
    batch = inputs_of(name, reads, generator)
    record = Record(kind_name, generate=[], transcripts=[])
    flags = {"output_hidden_states": True, "output_attentions": True}
    if name == "whisper-labels":
        flags = {}
    record.call("0", batch, flags, model(**batch, **flags))
    if "decoder_input_ids" in batch and kind_name != "Speech2TextModel":
        labels = batch["decoder_input_ids"].flip(1)
        labels[1, 3:] = -100
        given = {k: v for k, v in batch.items() if k != "decoder_input_ids"} | {"labels": labels}
        found = model(**given)
        record.call("1", given, {}, {"loss": found.loss, "logits": found.logits})
    if reads is not None and hasattr(model, "generate") and name != "whisper-labels":
        written(name, model, batch, record)
    if name == "whisper":
        transcribed(model, record, generator)
    record.write(folder)


def written(name: str, model, batch: dict, record: Record) -> None:
    """Record what a model writes about the first call's inputs."""
    if name in ("s2t-untied", "git-image", "whisper"):
        return
    reads = ("input_features", "input_values", "pixel_values", "attention_mask")
    reads += ("input_ids",) if name == "git" else ()
    given = {key: value for key, value in batch.items() if key in reads}
    for options in ({}, {"num_beams": 3}):
        options |= {"max_new_tokens": 6, "do_sample": False}
        tokens = model.generate(**given, **options).tolist()
        record.told["generate"].append(
            {"inputs": list(given), "options": options, "tokens": tokens}
        )


def transcribed(model, record: Record, generator: torch.Generator) -> None:
    """Record what a model says that sounds say."""
    sounds = torch.randn(2, 5, 130, generator=generator)
    record.tensors["sounds"] = sounds
    for lengths, options in TRANSCRIPTS:
        longest = max(lengths)
        shown = torch.arange(longest) < torch.tensor(lengths)[:, None]
        features = sounds[: len(lengths), :, :longest] * shown[:, None]
        given = {k: torch.tensor(v) if k == "prompt_ids" else v for k, v in options.items()}
        given |= {"attention_mask": shown.long()} if len(set(lengths)) > 1 else {}
        found = model.generate(features.clone(), max_new_tokens=10, **given)
        record.told["transcripts"].append(
            {"lengths": lengths, "options": options, "found": plain(found)}
        )


def plain(found) -> dict:
    """Return a transcript as lists and numbers."""
    if isinstance(found, torch.Tensor):
        return {"sequences": found.tolist()}
    table = {"sequences": found["sequences"].tolist()}
    if "token_timestamps" in found:
        table["token_timestamps"] = found["token_timestamps"].tolist()
    if "segments" in found:
        keys = ("start", "end", "tokens")
        table["segments"] = [
            [{key: one[key].tolist() for key in keys} for one in row] for row in found["segments"]
        ]
    return table


if __name__ == "__main__":
    write_each(VARIANTS, GOLDEN / "writers", make)
