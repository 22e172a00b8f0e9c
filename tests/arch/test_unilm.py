"""UniLM against arithmetic written out: dense masks, no cache, nothing but a file's tensors."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import armature
from armature import auto

SIZES = {
    "vocab_size": 23,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 37,
    "max_position_embeddings": 29,
    "mask_token_id": 3,
    "eos_token_id": 2,
    "bos_token_id": 1,
    "layer_norm_epsilon": 1e-5,
}
VARIANTS = {
    "first": {"type_vocab_size": 6},
    "pairs": {"type_vocab_size": 2, "hidden_act": "relu"},
    "named": {"type_vocab_size": 3, "src_type_id": 1, "tgt_type_id": 2},
    "distances": {"type_vocab_size": 2, "rel_pos_bins": 8, "max_rel_pos": 6},
    "bare": {"type_vocab_size": 0},
}
CLOSE = {"atol": 1e-9, "rtol": 1e-9}  # in float64
SEGMENTS = {"first": (4, 5), "named": (1, 2)}


def opened(tmp_path: Path, variant: str, kind: str = "UnilmForSeq2Seq"):
    """A model with weights of no special kind, in float64, and its file's tensors."""
    made = auto.model_class(kind)
    torch.manual_seed(len(variant))
    model = made(made.config_class(**SIZES, **VARIANTS[variant]))
    for name, tensor in model.named_parameters():
        small = name.endswith("bias") and tensor.dim() == 1
        tensor.data.normal_("norm.weight" in name, 0.1 if small else 0.7)  # so that words vary
    model.save_pretrained(tmp_path)
    return made.from_pretrained(tmp_path).double(), load_file(tmp_path / "model.safetensors")


class Plain:
    """One row of ids at a time, every score computed, what is hidden then taken away."""

    def __init__(self, tensors: dict[str, Tensor], variant: str) -> None:
        self.tensors = {name.removeprefix("bert."): x.double() for name, x in tensors.items()}
        self.settings = SIZES | VARIANTS[variant]

    def linear(self, x: Tensor, name: str) -> Tensor:
        return x @ self.tensors[f"{name}.weight"].T + self.tensors[f"{name}.bias"]

    def norm(self, x: Tensor, name: str) -> Tensor:
        x = x - x.mean(-1, keepdim=True)
        x = x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        return x * self.tensors[f"{name}.weight"] + self.tensors[f"{name}.bias"]

    def act(self, x: Tensor) -> Tensor:
        relu = self.settings.get("hidden_act") == "relu"
        return x.clamp(min=0) if relu else x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))

    def bucket(self, offset: int) -> int:
        half = self.settings["rel_pos_bins"] // 2
        first, distance, exact = half * (offset > 0), abs(offset), half // 2
        if distance < exact:
            return first + distance
        far = math.log(distance / exact) / math.log(self.settings["max_rel_pos"] / exact)
        return first + min(exact + int(far * (half - exact)), half - 1)

    def states(self, ids: list[int], types: list[int], seen: Tensor) -> list[Tensor]:
        length, heads = len(ids), self.settings["num_attention_heads"]
        x = self.tensors["embeddings.word_embeddings.weight"][ids]
        x = x + self.tensors["embeddings.position_embeddings.weight"][:length]
        if self.settings["type_vocab_size"]:
            x = x + self.tensors["embeddings.token_type_embeddings.weight"][types]
        x = self.norm(x, "embeddings.LayerNorm")
        bias = torch.zeros(heads, length, length, dtype=torch.float64)
        if self.settings.get("rel_pos_bins"):
            for i, j in itertools.product(range(length), repeat=2):
                bias[:, i, j] = self.tensors["rel_pos_bias.weight"][:, self.bucket(j - i)]
        states = [x]
        for index in range(self.settings["num_hidden_layers"]):
            layer = f"encoder.layer.{index}"

            def by_heads(name: str, layer: str = layer, x: Tensor = x) -> Tensor:
                one = self.linear(x, f"{layer}.attention.self.{name}")
                return one.view(length, heads, -1).transpose(0, 1)

            q, k, v = by_heads("query"), by_heads("key"), by_heads("value")
            scores = q @ k.transpose(1, 2) / math.sqrt(q.shape[-1]) + bias
            shares = scores.masked_fill(~seen, -math.inf).softmax(-1)
            mixed = (shares @ v).transpose(0, 1).reshape(length, -1)
            out = self.linear(mixed, f"{layer}.attention.output.dense")
            x = self.norm(x + out, f"{layer}.attention.output.LayerNorm")
            inner = self.act(self.linear(x, f"{layer}.intermediate.dense"))
            out = self.linear(inner, f"{layer}.output.dense")
            x = self.norm(x + out, f"{layer}.output.LayerNorm")
            states.append(x)
        return states

    def scores(self, x: Tensor) -> Tensor:
        x = self.act(self.linear(x, "cls.predictions.transform.dense"))
        x = self.norm(x, "cls.predictions.transform.LayerNorm")
        table = self.tensors["embeddings.word_embeddings.weight"]
        return x @ table.T + self.tensors["cls.predictions.bias"]

    def next(self, source: list[int], said: list[int], segments: tuple[int, int]) -> Tensor:
        """The logarithms of the shares of the word after `said`: asked by a mask behind it."""
        ids = [*source, *said, 3]
        types = [segments[0]] * len(source) + [segments[1]] * (len(said) + 1)
        return self.scores(self.states(ids, types, seen(len(ids), len(source)))[-1][-1])

    def written(self, source: list[int], words: int, segments: tuple[int, int]) -> list[int]:
        said: list[int] = []
        while len(said) < words and 2 not in said:
            said.append(int(self.next(source, said, segments).argmax()))
        return said


def seen(length: int, source: int) -> Tensor:
    """(T, T) whether a token sees another: a source all of itself, what follows only its past."""
    places = torch.arange(length)
    return (places[None] < source) | (places[None] <= places[:, None])


IDS = [[1, 9, 14, 6, 2, 17, 5, 20, 2], [1, 21, 7, 2, 12, 2], [1, 8, 4, 15, 22, 2, 9]]
SOURCES = [5, 4, 6]
WIDTH = max(map(len, IDS))


def batch(rows: list[list[int]], fill: int = 0) -> Tensor:
    return torch.tensor([row + [fill] * (WIDTH - len(row)) for row in rows])


MASK = batch([[1] * len(row) for row in IDS])


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("sources", [SOURCES, [0] * 3, [WIDTH] * 3, [0, 4, 99]])
def test_every_token_sees_what_its_row_lets_it(tmp_path, variant: str, sources: list[int]) -> None:
    model, tensors = opened(tmp_path, variant)
    plain, pair = Plain(tensors, variant), SEGMENTS.get(variant, (0, 1))
    types = [
        [pair[place >= source] for place in range(len(row))]
        for row, source in zip(IDS, sources, strict=True)
    ]
    with torch.no_grad():
        out = model(
            batch(IDS),
            attention_mask=MASK,
            token_type_ids=batch(types),
            source_lengths=torch.tensor(sources),
            output_hidden_states=True,
        )
        silent = model(batch(IDS), attention_mask=MASK, source_lengths=torch.tensor(sources))
    torch.testing.assert_close(silent.logits, out.logits, **CLOSE)
    for row, source in enumerate(sources):
        length = len(IDS[row])
        wanted = plain.states(IDS[row], types[row], seen(length, source))
        for layer, states in enumerate(wanted):
            torch.testing.assert_close(out.hidden_states[layer][row, :length], states, **CLOSE)
        torch.testing.assert_close(out.logits[row, :length], plain.scores(wanted[-1]), **CLOSE)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("variant", ["first", "distances"])
def test_a_mask_may_say_of_each_token_what_it_sees(tmp_path, variant: str, side: str) -> None:
    model, tensors = opened(tmp_path, variant, "UnilmModel")
    generator = torch.Generator().manual_seed(1)
    ids, mask = torch.zeros(3, WIDTH).long(), torch.zeros(3, WIDTH, WIDTH).long()
    free, places = [], torch.zeros(3, WIDTH).long()
    for row, said in enumerate(IDS):
        length = len(said)
        span = slice(0, length) if side == "right" else slice(WIDTH - length, WIDTH)
        seen = torch.rand(length, length, generator=generator) < 0.4
        free.append((seen | torch.eye(length, dtype=torch.bool), span))
        ids[row, span], mask[row, span, span] = torch.tensor(said), free[-1][0].long()
        places[row, span] = torch.arange(length)
    with torch.no_grad():
        out = model(ids, attention_mask=mask, position_ids=places)
    for row, (seen, span) in enumerate(free):
        wanted = Plain(tensors, variant).states(IDS[row], [0] * len(IDS[row]), seen)[-1]
        torch.testing.assert_close(out.last_hidden_state[row, span], wanted, **CLOSE)


@pytest.mark.parametrize("variant", VARIANTS)
def test_segments_say_where_the_target_begins(tmp_path, variant: str) -> None:
    model, _ = opened(tmp_path, variant)
    pair = SEGMENTS.get(variant, (0, 1))
    rows = zip(IDS, SOURCES, strict=True)
    types = batch([[pair[place >= source] for place in range(len(row))] for row, source in rows])
    with torch.no_grad():
        said = model(batch(IDS), attention_mask=MASK, source_lengths=torch.tensor(SOURCES)).logits
        told = model(batch(IDS), attention_mask=MASK, token_type_ids=types).logits
    torch.testing.assert_close(told, said, **CLOSE)


@pytest.mark.parametrize(
    ("kind", "source"),
    [("UnilmForMaskedLM", WIDTH), ("UnilmLMHeadModel", 0), ("UnilmForSeq2Seq", WIDTH)],
)
def test_a_class_reads_in_its_own_way(tmp_path, kind: str, source: int) -> None:
    model, tensors = opened(tmp_path, "pairs", kind)
    with torch.no_grad():
        out = model(batch(IDS), attention_mask=MASK)
    for row, ids in enumerate(IDS):
        states = Plain(tensors, "pairs").states(ids, [0] * len(ids), seen(len(ids), source))
        wanted = Plain(tensors, "pairs").scores(states[-1])
        torch.testing.assert_close(out.logits[row, : len(ids)], wanted, **CLOSE)


def test_segments_of_the_first_training_are_read_by_every_class(tmp_path) -> None:
    model, tensors = opened(tmp_path, "first", "UnilmForSequenceClassification")
    ids = IDS[0]
    for types, source in (([2] * 9, 0), ([4] * 5 + [5] * 4, 5), ([0] * 5 + [1] * 4, 9)):
        with torch.no_grad():
            out = model(
                torch.tensor([ids]),
                token_type_ids=torch.tensor([types]),
                output_hidden_states=[3],
            )
        wanted = Plain(tensors, "first").states(ids, types, seen(9, source))[-1]
        torch.testing.assert_close(out.hidden_states[0][0], wanted, **CLOSE)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("side", ["left", "right"])
def test_written_words_are_those_of_masks_asked_one_by_one(tmp_path, variant, side) -> None:
    model, tensors = opened(tmp_path, variant)
    plain, pair = Plain(tensors, variant), SEGMENTS.get(variant, (0, 1))
    sources = [row[:length] for row, length in zip(IDS, SOURCES, strict=True)]
    width = max(map(len, sources))
    gaps = [[0] * (width - len(row)) for row in sources]
    rows = [
        gap + row if side == "left" else row + gap for gap, row in zip(gaps, sources, strict=True)
    ]
    mask = torch.tensor(rows) != 0
    said = model.generate(torch.tensor(rows), attention_mask=mask, max_new_tokens=7)[:, width:]
    for row, source in zip(said.tolist(), sources, strict=True):
        wanted = plain.written(source, 7, pair)
        assert row == wanted + [0] * (len(row) - len(wanted))


@pytest.mark.parametrize("variant", ["first", "distances"])
def test_beams_find_the_likeliest_of_all_texts(tmp_path, variant: str) -> None:
    model, tensors = opened(tmp_path, variant)
    plain, pair = Plain(tensors, variant), SEGMENTS.get(variant, (0, 1))
    options = {"max_new_tokens": 2, "num_beams": 23, "eos_token_id": None}
    rows = torch.tensor([IDS[0][:5], [*IDS[1][:4], 0]])
    found = model.generate(rows, attention_mask=rows != 0, **options)[:, 5:].tolist()
    for source, said in ((IDS[0][:5], found[0]), (IDS[1][:4], found[1])):
        first = plain.next(source, [], pair).log_softmax(-1)
        second = [plain.next(source, [word], pair).log_softmax(-1) for word in range(23)]
        best = int((first[:, None] + torch.stack(second)).argmax())
        assert said == [best // 23, best % 23]


def test_a_text_begun_is_gone_on_with(tmp_path) -> None:
    model, tensors = opened(tmp_path, "first")
    plain, source = Plain(tensors, "first"), IDS[0][:5]
    words = plain.written(source, 4, (4, 5))
    types = torch.tensor([[4] * 5 + [5] * 2])
    prompt = torch.tensor([source + words[:2]])
    said = model.generate(prompt, token_type_ids=types, max_new_tokens=2)
    assert said[0, 5:].tolist() == words


def test_left_to_right_words_are_those_of_masks_asked_one_by_one(tmp_path) -> None:
    model, tensors = opened(tmp_path, "first", "UnilmLMHeadModel")
    said, plain = list(IDS[1]), Plain(tensors, "first")
    for _ in range(5):
        ids = [*said, 3]
        states = plain.states(ids, [2] * len(ids), seen(len(ids), 0))
        said.append(int(plain.scores(states[-1][-1]).argmax()))
    options = {"max_new_tokens": 5, "eos_token_id": None}
    assert model.generate(torch.tensor([IDS[1]]), **options)[0].tolist() == said


def test_a_cache_holds_a_source_once(tmp_path) -> None:
    model, _ = opened(tmp_path, "distances")
    ids, source = torch.tensor([IDS[0]]), torch.tensor([5])
    with torch.no_grad():
        whole = model(ids, source_lengths=source).logits
        first = model(ids[:, :5], use_cache=True)
        places = {
            "position_ids": torch.arange(5, 9)[None],
            "token_type_ids": torch.ones(1, 4).long(),
        }
        rest = model(ids[:, 5:], past_key_values=first.past_key_values, **places).logits
    torch.testing.assert_close(torch.cat((first.logits, rest), 1), whole, **CLOSE)


@pytest.mark.parametrize("side", ["left", "right"])
def test_one_forward_is_one_graph(tmp_path, side: str) -> None:
    model, _ = opened(tmp_path, "distances")
    ids, mask = batch(IDS), MASK
    if side == "left":
        ids, mask = ids.flip(1), mask.flip(1)
    given = {"attention_mask": mask, "source_lengths": torch.tensor(SOURCES)}
    given["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    with torch.no_grad():
        wanted, found = model(ids, **given), compiled(ids, **given)
    torch.testing.assert_close(found.logits, wanted.logits, **CLOSE)


@pytest.mark.parametrize("shape", [(24,), (1, 1, 24)])
def test_fused_projections_and_older_names_are_read(tmp_path, shape: tuple[int, ...]) -> None:
    model, tensors = opened(tmp_path, "distances")
    names = set(tensors)
    for index in range(3):
        path = f"bert.encoder.layer.{index}.attention.self"
        parts = [tensors.pop(f"{path}.{part}.weight") for part in ("query", "key", "value")]
        tensors[f"{path}.qkv_linear.weight"] = torch.cat(parts)
        tensors[f"{path}.q_bias"] = tensors.pop(f"{path}.query.bias").view(shape)
        tensors[f"{path}.v_bias"] = tensors.pop(f"{path}.value.bias").view(shape)
        del tensors[f"{path}.key.bias"]  # which no share depends on
    tensors["bert.encoder.rel_pos_bias.weight"] = tensors.pop("bert.rel_pos_bias.weight")
    tensors["crit_mask_lm_smoothed.one_hot"] = torch.zeros(1, 23)
    tensors["cls.predictions.decoder_weight"] = tensors[
        "bert.embeddings.word_embeddings.weight"
    ].clone()
    save_file(tensors, tmp_path / "model.safetensors")
    again = type(model).from_pretrained(tmp_path)
    assert not again.load_report.new
    assert not again.load_report.unexpected
    again.save_pretrained(tmp_path / "today")
    assert set(load_file(tmp_path / "today" / "model.safetensors")) == names
    with torch.no_grad():
        given = {"attention_mask": MASK, "source_lengths": torch.tensor(SOURCES)}
        wanted, found = model(batch(IDS), **given), again.double()(batch(IDS), **given)
    torch.testing.assert_close(found.logits, wanted.logits, **CLOSE)


def test_a_published_config_without_a_type_is_taken_for_what_it_is_called(tmp_path) -> None:
    folder = tmp_path / "unilm-base-cased"
    _, tensors = opened(folder, "first")
    config = json.loads((folder / "config.json").read_text())
    del config["model_type"], config["architectures"]
    config |= {"label_smoothing": 0.0, "directionality": "bidi"}
    (folder / "config.json").write_text(json.dumps(config))
    model = armature.AutoModelForSeq2SeqLM.from_pretrained(folder)
    assert type(model).__name__ == "UnilmForSeq2Seq"
    assert set(model.config.unread()) <= {"label_smoothing", "directionality", "classifier_dropout"}
    assert model.stack.embed.norm.eps == 1e-5
    said = model.generate(torch.tensor([IDS[0][:5]]), max_new_tokens=4)[0, 5:].tolist()
    assert said == Plain(tensors, "first").written(IDS[0][:5], 4, (4, 5))
