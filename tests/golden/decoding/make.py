"""Record what transformers' generate() does with the tests' table model.

Run where transformers 5.23 is installed: python tests/golden/decoding/make.py
"""

from __future__ import annotations

import itertools
import json
import random
import sys
from pathlib import Path

import torch
import transformers
from transformers import GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput, CausalLMOutput, Seq2SeqLMOutput

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[2]), str(HERE.parents[1] / "outputs" / "decoding")]
from conftest import scores_after  # noqa: E402

VOCABULARY = 24


class Config(PretrainedConfig):
    model_type = "table"


class Decoder(PreTrainedModel, GenerationMixin):
    config_class = Config
    main_input_name = "input_ids"
    _supports_cache_class = False

    def __init__(self, config):
        super().__init__(config)
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.post_init()

    def prepare_inputs_for_generation(self, input_ids, attention_mask=None, **kwargs):
        return {"input_ids": input_ids, "attention_mask": attention_mask}

    def forward(self, input_ids, attention_mask=None, return_dict=True, start=0, **kwargs):
        lengths = input_ids.shape[1] if attention_mask is None else attention_mask.sum(1)
        before = input_ids[:, -2] if input_ids.shape[1] > 1 else torch.zeros_like(input_ids[:, 0])
        if attention_mask is not None:
            before = torch.where(lengths > 1, before, 0)
        start = torch.as_tensor(start)
        return CausalLMOutput(
            logits=scores_after(before, input_ids[:, -1], start, VOCABULARY)[:, None]
        )


class Encoder(torch.nn.Module):
    main_input_name = "input_ids"

    def forward(self, input_ids, attention_mask=None, **kwargs):
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        start = (input_ids * mask).sum(1) + mask.sum(1)
        return BaseModelOutput(last_hidden_state=start[:, None, None])


class EncoderDecoder(Decoder):
    def __init__(self, config):
        super().__init__(config)
        self.encoder = Encoder()

    def get_encoder(self):
        return self.encoder

    def prepare_inputs_for_generation(self, input_ids, encoder_outputs=None, **kwargs):
        return {"decoder_input_ids": input_ids, "encoder_outputs": encoder_outputs}

    def forward(self, input_ids=None, decoder_input_ids=None, encoder_outputs=None, **kwargs):
        start = encoder_outputs.last_hidden_state[:, 0, 0]
        logits = super().forward(decoder_input_ids, start=start).logits
        return Seq2SeqLMOutput(logits=logits)


def settings(draw: random.Random) -> dict:
    """Return the settings of one call, at random."""
    beams = draw.choice([1, 1, 2, 3, 4])
    found = {
        "max_new_tokens": draw.choice([2, 5, 9, 14]),
        "num_beams": beams,
        "do_sample": draw.random() < 0.45,
        "eos_token_id": draw.choice([None, 3, [3, 8], [1, 3, 8, 13, 20]]),
        "pad_token_id": draw.choice([0, 2]),
    }
    if draw.random() < 0.2:
        found["max_length"] = found.pop("max_new_tokens") + 6
    if beams > 1:
        found["num_return_sequences"] = draw.randint(1, beams)
        found["early_stopping"] = draw.choice([True, False, "never"])
        found["length_penalty"] = draw.choice([0.0, 0.6, 1.0, 2.0, -0.5])
    elif found["do_sample"]:
        found["num_return_sequences"] = draw.randint(1, 3)
    choices = {
        "repetition_penalty": [1.3, 0.8],
        "no_repeat_ngram_size": [1, 2, 3],
        "encoder_no_repeat_ngram_size": [2],
        "encoder_repetition_penalty": [1.4, 0.7],
        "min_new_tokens": [2],
        "min_length": [7],
        "suppress_tokens": [[4, 5, 6]],
        "begin_suppress_tokens": [[1, 7, 9, 11, 13, 15, 17]],
        "forced_bos_token_id": [7],
        "forced_eos_token_id": [3],
        "renormalize_logits": [True],
        "remove_invalid_values": [True],
        "bad_words_ids": [[[9], [10, 11], [12, 13, 14], [21, 2], [15, 16]]],
        "sequence_bias": [[[[19], -2.5], [[18, 17], 3.0], [[5, 6, 7], 4.0]]],
    }
    if found["eos_token_id"]:
        choices["exponential_decay_length_penalty"] = [[1, 1.2]]
    if found["do_sample"]:
        choices |= {
            "temperature": [0.7, 1.5],
            "top_k": [0, 3, 8],
            "top_p": [0.5, 0.9],
            "min_p": [0.1],
            "top_h": [0.6],
            "typical_p": [0.4, 0.9],
            "epsilon_cutoff": [0.02],
            "eta_cutoff": [0.05],
        }
    for name, values in choices.items():
        if draw.random() < 0.17:
            found[name] = draw.choice(values)
    return found


def main() -> None:
    transformers.logging.set_verbosity_error()
    draw = random.Random(7)
    models = {
        False: Decoder(Config()).eval(),
        True: EncoderDecoder(Config(is_encoder_decoder=True)),
    }
    models[True].generation_config.decoder_start_token_id = 0
    cases = []
    for _, encoder in itertools.product(range(120), (False, True)):
        rows, width = draw.choice([1, 1, 2, 3]), draw.choice([1, 2, 4])
        ids = [[draw.randrange(1, VOCABULARY) for _ in range(width)] for _ in range(rows)]
        asked = settings(draw)
        seed = draw.randrange(1000)
        torch.manual_seed(seed)
        out = models[encoder].generate(
            torch.tensor(ids),
            attention_mask=torch.ones(rows, width, dtype=torch.long),
            return_dict_in_generate=True,
            output_scores=True,
            use_cache=False,
            **asked,
        )
        case = {"encoder": encoder, "ids": ids, "settings": asked, "seed": seed}
        case["sequences"] = out.sequences.tolist()
        if asked["num_beams"] > 1:
            if out.sequences_scores.min() < -1e6:  # fewer texts exist than were asked for
                continue
            case["scores"] = [round(score, 5) for score in out.sequences_scores.tolist()]
            case["beam_indices"] = out.beam_indices.tolist()
        cases.append(case)
    lines = ",\n".join(json.dumps(case) for case in cases)
    (HERE / "generate.json").write_text(f"[\n{lines}\n]\n")
    print(len(cases), "cases")


if __name__ == "__main__":
    main()
