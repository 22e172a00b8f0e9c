"""The vocabulary of a built model: its table of tokens made longer or shorter, or replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from armature.errors import ArgumentError
from armature.model.composite import Composite
from armature.model.encoder_decoder import EncoderDecoder
from armature.outputs import tasks

if TYPE_CHECKING:
    from armature.pretrained import PreTrainedModel


def resize(model: PreTrainedModel, size: int | None, multiple: int | None, *, mean: bool) -> None:
    """Give the vocabulary another size; words that stay keep their vectors and biases.

    Args:
        model: its table of tokens, its scores of words and its config change.
        size: words; None: as many as there are.
        multiple: round the size up to a multiple of this.
        mean: new words begin at the mean of the others; else at random.

    Raises:
        ArgumentError: a size below 1, or the model has no table of tokens, or several of which
            each knows a part.
    """
    tables = _tables(model)
    size = _size(tables[0].num_embeddings if size is None else size, multiple)
    if size != tables[0].num_embeddings:
        _resize_all(model, tables, size, mean=mean)


def _resize_all(
    model: PreTrainedModel, tables: list[nn.Embedding], size: int, *, mean: bool
) -> None:
    changed: dict[int, nn.Parameter] = {}

    def resized(weight: Any, fill: str = "weight") -> nn.Parameter:
        if id(weight) not in changed:
            fresh = _resized(model, weight, size, mean=mean and fill == "weight", fill=fill)
            changed[id(weight)] = nn.Parameter(fresh, requires_grad=weight.requires_grad)
        return changed[id(weight)]

    out, rest = model.get_output_embeddings(), getattr(model.head, "rest", None)
    if out is not None:
        out.weight, out.out_features = resized(out.weight), size
        if out.bias is not None:
            out.bias = resized(out.bias, "bias")
    if rest is not None:  # its columns are words
        wide = _resized(model, rest.weight.t(), size, mean=mean, fill="weight").t().contiguous()
        changed[id(rest.weight)] = nn.Parameter(wide, requires_grad=rest.weight.requires_grad)
        rest.weight, rest.in_features = changed[id(rest.weight)], size
    for table in tables:
        table.weight, table.num_embeddings = resized(table.weight), size
    shift = getattr(model.head, "shift", None)
    if shift is not None:
        model.head.shift = _resized(model, shift.t(), size, mean=False, fill="bias").t()
    _tell(model, changed, size)


def _tell(model: PreTrainedModel, changed: dict[int, nn.Parameter], size: int) -> None:
    """Let the config know the size, and the model which of its fresh weights were replaced."""
    model._fresh = [
        (name, new, new._version)
        if (new := changed.get(id(weight))) is not None
        else (name, weight, age)
        for name, weight, age in model._fresh
    ]
    _words_of(model).vocab_size = size
    if model.config.get("decoder_vocab_size") is not None:
        model.config.decoder_vocab_size = size


def _words_of(model: PreTrainedModel) -> Any:
    """Return the settings that say how many words there are: perhaps those of a part."""
    return model.config.text_config if "text_config" in model.config.defaults else model.config


def _size(size: int, multiple: int | None) -> int:
    for name, value in (("new_num_tokens", size), ("pad_to_multiple_of", multiple or 1)):
        if type(value) is not int or value < 1:
            raise ArgumentError(f"`{name}` should be a whole number above 0, but is {value!r}")
    return size + -size % (multiple or 1)


def replace(model: PreTrainedModel, table: nn.Embedding) -> None:
    """Put another table in the place of the model's, and let tied scores of words read it.

    Raises:
        ArgumentError: its vectors have another width, or the scores of words another size.
    """
    old = _tables(model)[0]
    if table.weight.shape[1] != old.weight.shape[1]:
        raise ArgumentError(
            f"the table holds vectors of {table.weight.shape[1]} numbers, but the model's "
            f"have {old.weight.shape[1]}"
        )
    out = model.get_output_embeddings()
    tied = out is not None and out.weight is old.weight
    if out is not None and tied and out.bias is not None and len(out.bias) != len(table.weight):
        raise ArgumentError(
            f"the table has {len(table.weight)} rows, but words are scored with {len(out.bias)} "
            "biases: call resize_token_embeddings first"
        )
    for half in _halves(model):
        if half.embed.token is old:
            half.embed.token = table
    if out is not None and tied:
        out.weight, out.out_features = table.weight, len(table.weight)
    _words_of(model).vocab_size = len(table.weight)


def _halves(model: PreTrainedModel) -> list[Any]:
    body = model.body
    if isinstance(body, EncoderDecoder):
        return [half for half in (body.encoder, body.decoder) if half is not None]
    return body.writings if isinstance(body, Composite) else [body]


def _tables(model: PreTrainedModel) -> list[nn.Embedding]:
    embeds = [getattr(half, "embed", None) for half in _halves(model)]
    if any(hasattr(embed, "clusters") for embed in embeds):
        raise ArgumentError(
            f"the vocabulary of {type(model).__name__} is cut into clusters, each with a table of "
            "its own: it can neither grow nor shrink, nor can one table take its place"
        )
    found = [getattr(embed, "token", None) for embed in embeds]
    tables = list({id(table): table for table in found if isinstance(table, nn.Embedding)}.values())
    if not tables:
        raise ArgumentError(f"{type(model).__name__} has no table of tokens that could be resized")
    if isinstance(model.head_spec, tasks.Joined) or len({t.num_embeddings for t in tables}) > 1:
        raise ArgumentError(
            f"{type(model).__name__} has two vocabularies, one to read and one to write: change "
            "that of its encoder or decoder where it is opened by itself, before both are joined"
        )
    return tables


def _resized(model: PreTrainedModel, old: Tensor, size: int, *, mean: bool, fill: str) -> Tensor:
    """Return (size, …) numbers: the first of `old`, and fresh ones behind them."""
    old = old.detach()
    new = old.new_empty((size, *old.shape[1:]))
    kept = min(len(old), size)
    new[:kept] = old[:kept]
    if size > kept:
        if mean:
            new[kept:] = old.float().mean(0).to(old.dtype)
        else:
            model.initialise(nn.Module(), fill, new[kept:])
    return new
