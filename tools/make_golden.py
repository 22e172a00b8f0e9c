"""Make the small checkpoints of tests/golden/arch with the reference library.

    python tools/make_golden.py [NAME …]

Needs the `reference` extra. Every parameter is random, norms and biases too.
"""

from __future__ import annotations

from pathlib import Path

import golden_crossed
import golden_encoders
import golden_options
import golden_states
import torch
from golden_files import GOLDEN, Record, made, write_each
from golden_variants import VARIANTS, Variant

ALL = [*VARIANTS, *golden_encoders.VARIANTS, *golden_crossed.VARIANTS]
ALL += [*golden_options.VARIANTS, *golden_states.VARIANTS]


def settle(model: torch.nn.Module) -> None:
    """Make what an untied model keeps unused, a bias or a table, equal to what it uses."""
    tensors = model.state_dict()
    for name, tensor in tensors.items():
        shared = name.replace("encoder.embed_tokens", "shared")
        if name.endswith("encoder.embed_tokens.weight") and shared in tensors:
            tensors[shared].copy_(tensor)
        if name.endswith("decoder.word_embeddings.weight"):
            tensors[name.replace("decoder.word", "word")].copy_(tensor)
        if name.endswith("decoder.bias"):
            tensors[name.replace("decoder.bias", "bias")].copy_(tensor)


def padding_of(variant: Variant, shape: tuple[int, ...]) -> torch.Tensor:
    """Return a mask whose second and third rows are padded on the side asked for."""
    mask = torch.ones(shape, dtype=torch.long)
    for row, cut in ((1, 3), (2, variant.length // 2)):
        if variant.padding == "right":
            mask[row, ..., variant.length - cut :] = 0
        elif variant.padding == "left":
            mask[row, ..., :cut] = 0
    return mask


def inputs_of(variant: Variant, model, generator: torch.Generator) -> dict:
    """Return one batch of three rows, the second and third padded on the side asked for."""
    config, length = model.config, variant.length
    several = any(word in variant.model for word in ("MultipleChoice", "DoubleHeads"))
    rows = (3, 4) if several else (3,)
    shape = (*rows, length)
    ids = torch.randint(6, config.vocab_size, shape, generator=generator)
    if "T5ForSeq" in variant.model or "BartForSeq" in variant.model:
        ids[..., -1] = config.eos_token_id
    if variant.model in ("LongformerForQuestionAnswering", "LongformerForMultipleChoice"):
        ids[..., [2, 4, 5]] = config.sep_token_id
    mask = padding_of(variant, shape)
    if config.pad_token_id is not None:
        ids = torch.where(mask == 0, config.pad_token_id, ids)
    batch = {"input_ids": ids}
    if variant.padding:
        batch["attention_mask"] = mask
    if variant.types:
        high = getattr(config, "type_vocab_size", 0) or 50
        batch["token_type_ids"] = torch.randint(0, high, shape, generator=generator)
    if variant.chosen:
        chosen = torch.rand(shape, generator=generator) < 0.2
        batch["global_attention_mask"] = chosen.long()
    batch |= further_of(variant, config, shape, generator)
    decodes = config.is_encoder_decoder and "EncoderModel" not in variant.model
    if decodes and not any(word in variant.model for word in ("Sequence", "Question")):
        batch["decoder_input_ids"] = torch.randint(
            6, config.vocab_size, (3, length - 2), generator=generator
        )
    return batch


def further_of(variant: Variant, config, shape: tuple[int, ...], generator) -> dict:
    """Return what only some classes are given."""
    found = {}
    if getattr(config, "n_langs", 1) > 1:
        found["langs"] = torch.randint(0, config.n_langs, shape, generator=generator)
    if hasattr(config, "max_2d_position_embeddings"):
        side = (config.max_2d_position_embeddings + 1) // 2
        corner, size = torch.randint(0, side, (2, *shape, 2), generator=generator)
        found["bbox"] = torch.cat((corner, corner + size), -1)
    if "DoubleHeads" in variant.model:
        found["mc_token_ids"] = torch.randint(0, shape[-1], shape[:-1], generator=generator)
    if getattr(config, "add_cross_attention", False):
        found["encoder_hidden_states"] = torch.randn(3, 5, config.hidden_size, generator=generator)
        found["encoder_attention_mask"] = torch.tensor([[1] * 5, [1, 1, 1, 0, 0], [0, 1, 1, 1, 1]])
    return found


def labels_of(variant: Variant, model, batch: dict, generator) -> dict:  # noqa: C901, PLR0912
    """Return labels for the task, -100 at padding."""
    name, config = variant.model, model.config
    mask = batch.get("attention_mask", torch.ones_like(batch["input_ids"]))

    def draw(high: int, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.randint(0, high, shape, generator=generator)

    if name.endswith("DoubleHeadsModel"):
        return {"labels": draw(config.vocab_size, mask.shape), "mc_labels": draw(4, (3,))}
    if name.endswith(("Model", "GenerationEncoder")) and "LMHead" not in name:
        return {}
    if name in ("ElectraForPreTraining", "FunnelForPreTraining"):
        return {"labels": draw(2, mask.shape)}
    if "SequenceClassification" in name and config.num_labels == 1:
        return {"labels": torch.randn(3, generator=generator)}
    if "SequenceClassification" in name:
        return {"labels": draw(config.num_labels, (3,))}
    if "MultipleChoice" in name or "NextSentence" in name:
        return {"labels": torch.tensor([1, 0, 1])}
    if "QuestionAnswering" in name:
        return {}
    if "decoder_input_ids" in batch:
        return {"labels": batch["decoder_input_ids"].flip(1)}
    if variant.padding == "left":  # padding predicts nothing, so the first token is no label
        mask = mask * mask.roll(1, dims=-1)
    high = config.num_labels if "TokenClassification" in name else config.vocab_size
    found = {"labels": torch.where(mask == 0, -100, draw(high, mask.shape))}
    if "PreTraining" in name:
        order = "sentence_order_label" if name.startswith("Albert") else "next_sentence_label"
        found[order] = torch.tensor([0, 1, 1])
    return found


@torch.no_grad()
def make(variant: Variant, folder: Path) -> None:
    """Build, call and write one variant."""
    generator = torch.Generator().manual_seed(sum(map(ord, variant.name)))
    model = made(variant.model, variant.settings, folder, generator, settle)
    if variant.fused:
        model.set_attn_implementation("sdpa")
    batch = inputs_of(variant, model, generator)
    flags = {"output_hidden_states": True, **variant.extra}
    flags |= {} if variant.fused else {"output_attentions": True}
    calls = [("states", batch, flags)]
    labels = labels_of(variant, model, batch, generator) if variant.labels else {}
    if labels:
        calls.append(("labels", {**batch, **labels}, dict(variant.extra)))
    record = Record(variant.model, generate=[])
    for name, given, options in calls:
        record.call(name, given, options, model(**given, **options))
    if variant.generate:
        also = ("encoder_hidden_states", "encoder_attention_mask")
        kept = ("input_ids", "attention_mask", *also)
        prompt = {key: batch[key] for key in kept if key in batch}
        for options in ({"do_sample": False}, {"do_sample": False, "num_beams": 3}):
            options |= {"max_new_tokens": 7, "pad_token_id": 0, "eos_token_id": None}
            found = model.generate(**prompt, **options)
            record.told["generate"].append({"options": options, "tokens": found.tolist()})
    record.write(folder)


if __name__ == "__main__":
    known = {variant.name: variant for variant in ALL}
    write_each(known, GOLDEN / "arch", lambda name, folder: make(known[name], folder))
