"""What decoding sees of a model: scores for the next tokens of every row, and little else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from armature.errors import ArgumentError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from armature.outputs.decoding.config import GenerationConfig


class Steps(Protocol):
    """One generation under way: B prompts, and the caches of all tokens after them.

    Padding is the steps' own business: a row scores as it would alone.
    """

    def start(self) -> Tensor:
        """Read the prompts; return the scores (B, V) of each row's next token."""
        ...

    def step(self, tokens: Tensor) -> Tensor:
        """Append one token to each row, (B,); return the scores (B, V) of the one after it."""
        ...

    def select(self, rows: Tensor) -> None:
        """Keep the rows named, (B′,), in that order: rows may be repeated, moved or dropped."""
        ...


class Rewinds(Steps, Protocol):
    """Steps that read several tokens at once and take them back: what drafts are checked with."""

    def extend(self, tokens: Tensor, counts: Tensor | None = None) -> Tensor:
        """Append tokens (B, T) to each row; return the scores (B, T, V) after each of them.

        Where `counts` (B,) is given, only so many of a row's tokens count; the scores after the
        others mean nothing.
        """
        ...

    def crop(self, counts: int | Tensor) -> None:
        """Forget the last tokens of each row: so many of all, or of each, (B,)."""
        ...


class Shows(Steps, Protocol):
    """Steps that show the last hidden states behind the scores."""

    @property
    def states(self) -> Tensor:
        """What was just read, (B, T, D): the prompts without padding, from the left; a token."""
        ...


def rest(steps: Steps, rows: Tensor) -> None:
    """Say which rows, (B,) truths, are done, but are read on, where steps need to know."""
    if hasattr(steps, "rest"):
        steps.rest(rows)  # type: ignore[attr-defined]


def able(steps: Steps, words: tuple[str, ...], strategy: str) -> Any:
    """Return steps that have all the methods named.

    Raises:
        ArgumentError: they do not.
    """
    if not all(hasattr(steps, word) for word in words):
        raise ArgumentError(
            f"{strategy} is not possible with this architecture: it reads its text anew for every "
            "token.\n  → use greedy search, sampling or beam search"
        )
    return steps


class Generates(Protocol):
    """A model that can generate.

    Four more attributes are read where a model has them: `max_positions` (the most tokens that a
    row may hold, None for no limit), `input_names` (the names that `inputs` may hold),
    `main_input_name` (what the encoder reads, `input_ids` when the model does not say) and
    `begins_as_given` (whether no start is put before a decoder's tokens).
    """

    config: Any

    @property
    def generation_config(self) -> GenerationConfig:
        """How to generate unless the call says otherwise."""
        ...

    @property
    def is_encoder_decoder(self) -> bool:
        """Whether an encoder reads the prompt and a decoder begins its own."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the model's parameters are."""
        ...

    def steps(
        self, prompt: Tensor, prompt_mask: Tensor | None, inputs: dict[str, Any], capacity: int
    ) -> Steps:
        """Begin a generation.

        Args:
            prompt: The decoder's first tokens, (B, T), padded on either side.
            prompt_mask: (B, T), False at padding; None where all tokens are real.
            inputs: Everything else that the model reads: the encoder's inputs, token types…; and,
                only where a call asks for it, how, by the names of a forward pass: `use_cache`,
                `past_key_values`, `output_attentions`, `output_hidden_states`.
            capacity: Columns to make room for at once, prompt included; more may follow.
        """
        ...
