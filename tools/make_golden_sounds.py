"""Make the small checkpoints of tests/golden/sounds with the reference library.

    python tools/make_golden_sounds.py [NAME …]

Needs the `reference` extra.
"""

from __future__ import annotations

from pathlib import Path

import torch
from golden_files import GOLDEN, Record, made, write_each

SMALL = {
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "vocab_size": 9,
    "intermediate_size": 20,
    "conv_dim": [6, 8, 7],
    "conv_kernel": [6, 4, 2],
    "conv_stride": [4, 3, 2],
    "num_conv_pos_embeddings": 5,
    "classifier_proj_size": 5,
    "num_conv_pos_embedding_groups": 2,
    "tdnn_dim": [6, 5],
    "tdnn_kernel": [3, 2],
    "tdnn_dilation": [1, 2],
    "xvector_output_dim": 4,
    "codevector_dim": 6,
    "num_labels": 3,
    "proj_codevector_dim": 4,
    "num_codevectors_per_group": 3,
    "mask_time_length": 2,
}
STABLE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}

# Name → class, settings, labels of the first call.
VARIANTS = {
    "wav2vec2-body": (
        "Wav2Vec2Model",
        {"add_adapter": True, "output_hidden_size": 10, "num_adapter_layers": 1}
        | {"num_conv_pos_embeddings": 4, "feat_extract_activation": "relu"},
        None,
    ),
    "wav2vec2-letters": (
        "Wav2Vec2ForCTC",
        STABLE | {"adapter_attn_dim": 4, "conv_bias": True, "ctc_loss_reduction": "mean"},
        [[3, 3, 1], [5, -100, -100]],
    ),
    "wav2vec2-frames": (
        "Wav2Vec2ForAudioFrameClassification",
        {"use_weighted_layer_sum": True, "mask_time_prob": 0.0, "hidden_act": "silu"},
        "frames",
    ),
    "wav2vec2-codes": ("Wav2Vec2ForPreTraining", {"diversity_loss_weight": 0.5}, "codes"),
    "hubert-labels": (
        "HubertForSequenceClassification",
        STABLE | {"use_weighted_layer_sum": True, "feat_proj_layer_norm": False},
        [2, 0],
    ),
    "hubert-letters": ("HubertForCTC", {"conv_pos_batch_norm": True}, [[3, 4], [5, 0]]),
    "wavlm-voices": ("WavLMForXVector", {"num_buckets": 8, "max_bucket_distance": 6}, [1, 2]),
    "wavlm-body": ("WavLMModel", STABLE | {"num_buckets": 6, "max_bucket_distance": 5}, None),
    "data2vec-audio-letters": (
        "Data2VecAudioForCTC",
        {"num_conv_pos_embeddings": 2, "conv_pos_kernel_size": 4, "ctc_zero_infinity": True},
        [[3, 4, 5], [5, 6, 6]],
    ),
    "wav2vec2-conformer-body": (
        "Wav2Vec2ConformerModel",
        {"conv_depthwise_kernel_size": 3, "max_source_positions": 4, "hidden_act": "silu"},
        None,
    ),
    "wav2vec2-conformer-letters": (
        "Wav2Vec2ConformerForCTC",
        {"position_embeddings_type": "rotary", "conv_depthwise_kernel_size": 5},
        [[3, 3, 1], [5, -100, -100]],
    ),
    "sew-labels": (
        "SEWForSequenceClassification",
        {"squeeze_factor": 3, "num_conv_pos_embeddings": 4, "use_weighted_layer_sum": True},
        [1, 0],
    ),
    "unispeech-codes": ("UniSpeechForPreTraining", STABLE, None),
    "unispeech-sat-codes": ("UniSpeechSatForPreTraining", {"num_clusters": 5}, None),
}


def labels_of(kind, frames: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """Return what a class takes as labels."""
    if kind == "codes":
        masked = torch.rand(2, frames, generator=generator) < 0.5
        others = torch.randint(0, 2 * frames, (2, frames, 3), generator=generator)
        return {"mask_time_indices": masked.long(), "sampled_negative_indices": others}
    if kind == "frames":
        places = torch.randint(0, 3, (2, frames), generator=generator)
        return {"labels": torch.nn.functional.one_hot(places, 3)}
    return {} if kind is None else {"labels": torch.tensor(kind)}


@torch.no_grad()
def make(name: str, folder: Path) -> None:
    """Build, call and write one variant: two sounds, the second padded, then one without a mask."""
    kind_name, settings, labels = VARIANTS[name]
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    model = made(kind_name, {**SMALL, **settings}, folder, generator)
    values = torch.randn(2, 260, generator=generator)
    mask = torch.ones(2, 260, dtype=torch.long)
    mask[1, 190:] = 0
    frames = int(model._get_feat_extract_output_lengths(torch.tensor(260)))
    first = {"input_values": values * mask, "attention_mask": mask}
    first |= labels_of(labels, frames, generator)
    record = Record(kind_name)
    for index, given in enumerate((first, {"input_values": values[:1]})):
        flags = {"output_hidden_states": True, "output_attentions": index == 0}
        outputs = model(**{key: x.clone() for key, x in given.items()}, **flags)
        record.call(str(index), given, flags, outputs)
    record.write(folder)


if __name__ == "__main__":
    write_each(VARIANTS, GOLDEN / "sounds", make)
