"""What must hold for every architecture, whatever its numbers."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from armature import arch, auto
from armature.checkpoint.load import places
from armature.checkpoint.views import same
from armature.config import COMMON
from armature.outputs import tasks

GOLDEN = Path(__file__).parent.parent / "golden" / "arch"
NAMES = sorted(folder.name for folder in GOLDEN.iterdir())
CLOSE = {"atol": 1e-9, "rtol": 1e-9}  # of models in float64, whose rounding no processor changes


def class_of(name: str):
    return auto.model_class(json.loads((GOLDEN / name / "golden.json").read_text())["class"])


def opened(name: str):
    return class_of(name).from_pretrained(GOLDEN / name)


@functools.cache
def sketched(name: str):
    """A model without its weights: what it is, not what it says."""
    with torch.device("meta"):
        return class_of(name)(auto.AutoConfig.from_pretrained(GOLDEN / name))


def exact(name: str):
    """A model in float64: two ways to one result differ by nothing but their last bits."""
    return opened(name).double()


def kind_of(name: str) -> type[tasks.Head]:
    return type(class_of(name).head_spec)


# These see the padding beside a text's last token, as the reference's do.
INTO_PADDING = ("convbert", "funnel", "mobilebert")
STACKS = [
    name
    for name in NAMES
    if not sketched(name).is_encoder_decoder
    and "choice" not in name
    and "question" not in name  # such a text needs its separators
    and not name.startswith(INTO_PADDING)
]
# These read a whole text otherwise than its words one by one, as the reference's do.
WHOLE = ("prophetnet",)
WORDS = [
    name
    for name in NAMES
    if issubclass(kind_of(name), tasks.CausalLM)
    and sketched(name).is_causal
    and not name.startswith(WHOLE)
]
JOINED = [
    name
    for name in NAMES
    if issubclass(kind_of(name), tasks.Seq2SeqLM) and not name.startswith(WHOLE)
]


def texts(model, lengths: tuple[int, ...], seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    vocab = model.config.vocab_size
    return [torch.randint(6, vocab, (length,), generator=generator) for length in lengths]


def padded(rows: list[Tensor], side: str, pad: int) -> tuple[Tensor, Tensor]:
    width = max(len(row) for row in rows)
    ids, mask = torch.full((len(rows), width), pad), torch.zeros(len(rows), width, dtype=torch.long)
    for i, row in enumerate(rows):
        span = slice(0, len(row)) if side == "right" else slice(width - len(row), width)
        ids[i, span], mask[i, span] = row, 1
    return ids, mask


def last_states(model, **batch: Tensor) -> Tensor:
    depth = model.stack.depth
    with torch.no_grad():
        return model(**batch, output_hidden_states=[depth]).hidden_states[0]


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("side", ["right", "left"])
def test_a_batch_is_its_sequences_one_by_one(name: str, side: str) -> None:
    model = exact(name)
    rows = texts(model, (7, 3, 7, 11, 1))
    table = getattr(model.stack.embed, "position", None)
    pad = getattr(table, "pad", None)  # a table may count any other token as text
    pad = model.config.pad_token_id or 0 if pad is None else pad
    ids, mask = padded(rows, side, pad)
    extra = {}
    if side == "left" and table is not None and table.pad is None:
        # Without position_ids a column is a place in a trained table, as in the reference.
        if not _places(model):
            pytest.skip("the class takes no position_ids")
        extra["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)
    batch = last_states(model, input_ids=ids, attention_mask=mask, **extra)
    for i, row in enumerate(rows):
        alone = last_states(model, input_ids=row[None])[0]
        torch.testing.assert_close(batch[i][mask[i].bool()], alone, **CLOSE)


@pytest.mark.parametrize("name", ["bart-causal", "gpt2-scales", "albert-inner"])
def test_embeddings_that_a_caller_gives_are_taken_as_they_are(name: str) -> None:
    model = exact(name)
    ids = torch.stack(texts(model, (9, 9)))
    embed = model.stack.embed
    given = embed.token(ids) * embed.scale  # only the table of tokens is scaled
    torch.testing.assert_close(
        last_states(model, inputs_embeds=given), last_states(model, input_ids=ids), **CLOSE
    )


@pytest.mark.parametrize("name", WORDS)
@pytest.mark.parametrize("cuts", [(1, 1, 1, 1, 1, 1, 1, 1), (5, 1, 2), (3, 5), (7, 1)])
def test_steps_with_a_cache_equal_the_whole(name: str, cuts: tuple[int, ...]) -> None:
    model = exact(name)
    ids = torch.stack(texts(model, (sum(cuts),) * 2))
    with torch.no_grad():
        places = {"position_ids": torch.arange(ids.shape[1])[None]} if _places(model) else {}
        whole = model(ids, **places)
        cache, at, pieces = None, 0, []
        for cut in cuts:
            extra = {"position_ids": torch.arange(at, at + cut)[None]} if _places(model) else {}
            out = model(ids[:, at : at + cut], past_key_values=cache, use_cache=True, **extra)
            cache, at = out.past_key_values, at + cut
            pieces.append(out.logits)
    torch.testing.assert_close(torch.cat(pieces, 1), whole.logits, **CLOSE)


def _places(model) -> bool:
    """Whether the class takes position_ids (halves of encoder-decoders do not)."""
    return hasattr(model.body, "blocks")


@pytest.mark.parametrize("name", JOINED)
def test_a_decoder_with_a_cache_equals_the_whole(name: str) -> None:
    model = exact(name)
    ids, mask = padded(texts(model, (9, 4)), "right", model.config.pad_token_id or 0)
    target = torch.stack(texts(model, (6, 6), seed=1))
    given = {"input_ids": ids, "attention_mask": mask}
    with torch.no_grad():
        whole = model(**given, decoder_input_ids=target).logits
        cache, pieces = None, []
        for step in range(6):
            out = model(
                **given,
                decoder_input_ids=target[:, step : step + 1],
                past_key_values=cache,
                use_cache=True,
            )
            cache = out.past_key_values
            pieces.append(out.logits)
    torch.testing.assert_close(torch.cat(pieces, 1), whole, **CLOSE)


@pytest.mark.parametrize("name", NAMES)
def test_every_element_belongs_to_one_stretch_of_the_disk(name: str) -> None:
    model = opened(name)
    for place in places(model, model.disk_names(model.config)):
        hits = torch.zeros(place.tensor.shape)
        for pair in place.pairs:
            part = pair.ours(hits)
            assert part.shape == pair.theirs(torch.empty(pair.shape)).shape
            part += 1
        assert bool((hits == 1).all()), place.path


@pytest.mark.parametrize("name", NAMES)
def test_saving_gives_the_file_back_to_the_byte(name: str, tmp_path: Path) -> None:
    opened(name).save_pretrained(tmp_path)
    before = load_file(GOLDEN / name / "model.safetensors")
    after = load_file(tmp_path / "model.safetensors")
    assert before.keys() == after.keys()
    for key, tensor in before.items():
        assert tensor.dtype == after[key].dtype
        assert torch.equal(tensor, after[key]), key
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux")
@pytest.mark.parametrize("name", NAMES)
def test_loading_copies_only_what_lies_otherwise(name: str) -> None:
    model = opened(name)
    spans = [
        tuple(int(end, 16) for end in line.split()[0].split("-"))
        for line in Path("/proc/self/maps").read_text().splitlines()
        if line.endswith(f"{name}/model.safetensors")
    ]
    for place in places(model, model.disk_names(model.config)):
        if len(place.pairs) == 1 and place.pairs[0].ours is same:
            at = place.tensor.data_ptr()
            assert any(start <= at < end for start, end in spans), place.path


def called(name: str):
    """Open a checkpoint and call it as it was called when it was recorded."""
    model, tensors = opened(name), load_file(GOLDEN / name / "golden.safetensors")
    for call in json.loads((GOLDEN / name / "golden.json").read_text())["calls"]:
        start = f"{call['name']}.in."
        given = {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}
        model(**given, **call["flags"])
    return model


TYPES = {
    name: json.loads((GOLDEN / name / "config.json").read_text())["model_type"] for name in NAMES
}


@pytest.mark.parametrize("model_type", sorted(set(TYPES.values())))
def test_every_key_of_the_config_is_read_or_known_to_mean_nothing(model_type: str) -> None:
    models = [called(name) for name in NAMES if TYPES[name] == model_type]
    never = set.intersection(*(set(model.config.unread()) for model in models))
    module, settings = arch.find(model_type), models[0].config.copy()
    for class_name in module.HEADS:  # heads that no recorded checkpoint has read keys too
        with torch.device("meta"):
            auto.model_class(class_name)(settings)
    never -= settings.read_keys
    assert not never - set(module.UNUSED) - set(COMMON)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_finite_and_reach_every_parameter(name: str) -> None:
    model = opened(name)
    tensors = load_file(GOLDEN / name / "golden.safetensors")
    given = {k[10:]: v for k, v in tensors.items() if k.startswith("states.in.")}
    out = model(**given)
    found = [value for value in out.to_tuple() if isinstance(value, torch.Tensor)]
    sum(value.float().sum() for value in found if value.is_floating_point()).backward()
    for path, parameter in model.named_parameters():
        unused = ".cross" in path and "encoder_last_hidden_state" not in out
        unused = unused or path.startswith("pooler.")  # of an encoder, which nothing reads
        unused = unused or ".far." in path  # of tokens that see all others: there are none
        unused = unused or path == "body.embed.mask"  # of hidden places: there are none
        routed = ".experts." in path
        assert unused or parameter.grad is not None, path
        if parameter.grad is not None and not routed:
            assert bool(parameter.grad.isfinite().all()), path
