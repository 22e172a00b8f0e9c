"""The vocabulary of a tokenizer and its special tokens: look-ups both ways, names, additions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tokenizers import AddedToken
from tokenizers import Tokenizer as Backend

from armature.errors import ArgumentError, nearest
from armature.inputs.text.backend import Lexicon, Token
from armature.inputs.text.call import refuse_halves
from armature.inputs.text.family import ROLES
from armature.inputs.text.stored import as_token, content_of


def _token(role: str) -> Any:
    """Return a property for the special token of a role, read as text."""

    def read(self: SpecialTokens) -> str | None:
        return content_of(self._lexicon.named.get(role))

    def write(self: SpecialTokens, value: Token | None) -> None:
        self._name(role, value)

    return property(read, write, doc=f"The {role.replace('_', ' ')}, or None.")


def _token_id(role: str) -> Any:
    """Return a property for the id of the special token of a role."""

    def read(self: SpecialTokens) -> int | None:
        token = content_of(self._lexicon.named.get(role))
        return None if token is None else self.convert_tokens_to_ids(token)

    def write(self: SpecialTokens, value: int | None) -> None:
        self._name(role, None if value is None else self.convert_ids_to_tokens(value))

    return property(read, write, doc=f"The id of the {role.replace('_', ' ')}, or None.")


class SpecialTokens:
    """Tokens and their ids. `len()` is the size of the vocabulary, added tokens included."""

    _lexicon: Lexicon

    bos_token, bos_token_id = _token("bos_token"), _token_id("bos_token")
    eos_token, eos_token_id = _token("eos_token"), _token_id("eos_token")
    unk_token, unk_token_id = _token("unk_token"), _token_id("unk_token")
    sep_token, sep_token_id = _token("sep_token"), _token_id("sep_token")
    pad_token, pad_token_id = _token("pad_token"), _token_id("pad_token")
    cls_token, cls_token_id = _token("cls_token"), _token_id("cls_token")
    mask_token, mask_token_id = _token("mask_token"), _token_id("mask_token")

    @property
    def backend_tokenizer(self) -> Backend:
        """Return the tokenizer of the `tokenizers` library that does the work."""
        return self._lexicon.backend

    def _name(self, role: str, value: Any) -> None:
        token = as_token(value, "a special token", role)
        if token is None:
            self._lexicon.named.pop(role, None)
        else:
            self._lexicon.named[role] = token

    @property
    def additional_special_tokens(self) -> list[str]:
        """Return the special tokens that have no role."""
        return [str(content_of(token)) for token in self._lexicon.extra]

    @additional_special_tokens.setter
    def additional_special_tokens(self, tokens: Iterable[Token] | None) -> None:
        self._lexicon.extra = list(tokens or ())

    @property
    def additional_special_tokens_ids(self) -> list[int]:
        """Return the ids of `additional_special_tokens`."""
        return self.convert_tokens_to_ids(self.additional_special_tokens)

    extra_special_tokens = additional_special_tokens
    extra_special_tokens_ids = additional_special_tokens_ids

    @property
    def special_tokens_map(self) -> dict[str, str]:
        """Return role → special token."""
        return {role: str(content_of(token)) for role, token in self._lexicon.named.items()}

    @property
    def all_special_tokens(self) -> list[str]:
        """Return all special tokens, each once."""
        return list(
            dict.fromkeys([*self.special_tokens_map.values(), *self.additional_special_tokens])
        )

    @property
    def all_special_ids(self) -> list[int]:
        """Return the ids of `all_special_tokens`."""
        return self.convert_tokens_to_ids(self.all_special_tokens)

    def add_special_tokens(
        self,
        special_tokens_dict: Mapping[str, Any],
        replace_extra_special_tokens: bool = True,  # noqa: FBT001, FBT002 - the known signature
    ) -> int:
        """Give roles to special tokens and add to the vocabulary those that it lacks.

        Args:
            special_tokens_dict: Role → token; or "additional_special_tokens" → list of tokens.
            replace_extra_special_tokens: Whether that list replaces the present one.

        Returns:
            How many tokens were new. A model's embeddings need `len(tokenizer)` rows.

        Raises:
            ArgumentError: no such role.
        """
        new: list[AddedToken] = []
        for role, value in special_tokens_dict.items():
            if role in ("additional_special_tokens", "extra_special_tokens"):
                tokens = [_as_special(token) for token in value]
                kept = [] if replace_extra_special_tokens else self._lexicon.extra
                known = {content_of(token) for token in kept}
                self._lexicon.extra = [*kept, *(t for t in tokens if t.content not in known)]
                new += tokens
            elif role in ROLES or role in self._lexicon.named:
                new.append(_as_special(value))
                self._lexicon.named[role] = new[-1]
            else:
                known_roles = [*ROLES, "additional_special_tokens"]
                raise ArgumentError(
                    f"`{role}` is no role of a special token.{nearest(role, known_roles)} "
                    f"The roles are: {', '.join(known_roles)}."
                )
        return self._grow(new, special=True)

    def add_tokens(
        self,
        new_tokens: Token | Sequence[Token],
        special_tokens: bool = False,  # noqa: FBT001, FBT002 - the known signature
    ) -> int:
        """Add tokens to the vocabulary, which are then never split.

        Returns:
            How many were new. A model's embeddings need `len(tokenizer)` rows.
        """
        tokens = [new_tokens] if isinstance(new_tokens, str | AddedToken) else list(new_tokens)
        return self._grow(tokens, special=special_tokens)

    def _grow(self, tokens: Sequence[Token], *, special: bool) -> int:
        """Keep tokens whole and return how many the vocabulary has more than before."""
        refuse_halves([str(token) for token in tokens])
        size = len(self)
        for backend in (self.backend_tokenizer, *self._lexicon.encoders):
            (backend.add_special_tokens if special else backend.add_tokens)(list(tokens))
        return len(self) - size

    @property
    def vocab_size(self) -> int:
        """Return the size of the vocabulary without added tokens."""
        return self.backend_tokenizer.get_vocab_size(with_added_tokens=False)

    def __len__(self) -> int:
        return self.backend_tokenizer.get_vocab_size(with_added_tokens=True)

    def __bool__(self) -> bool:
        return True

    def get_vocab(self) -> dict[str, int]:
        """Return token → id, added tokens included."""
        return self.backend_tokenizer.get_vocab(with_added_tokens=True)

    @property
    def vocab(self) -> dict[str, int]:
        """Return token → id, added tokens included."""
        return self.get_vocab()

    @property
    def added_tokens_decoder(self) -> dict[int, AddedToken]:
        """Return id → token for the tokens that are never split."""
        return dict(sorted(self.backend_tokenizer.get_added_tokens_decoder().items()))

    @property
    def added_tokens_encoder(self) -> dict[str, int]:
        """Return token → id for the tokens that are never split."""
        return {token.content: index for index, token in self.added_tokens_decoder.items()}

    def get_added_vocab(self) -> dict[str, int]:
        """Return `added_tokens_encoder`."""
        return self.added_tokens_encoder

    def convert_tokens_to_ids(self, tokens: Any) -> Any:
        """Return the id of a token, or the ids of several; of unknown ones that of `unk_token`."""
        if tokens is None:
            return None
        if isinstance(tokens, str):
            index = self.backend_tokenizer.token_to_id(tokens)
            if index is None and tokens != self.unk_token:
                return self.unk_token_id
            return index
        return [self.convert_tokens_to_ids(token) for token in tokens]

    def convert_ids_to_tokens(
        self,
        ids: Any,
        skip_special_tokens: bool = False,  # noqa: FBT001, FBT002 - the known signature
    ) -> Any:
        """Return the token of an id, or the tokens of several; None for an id without a token."""
        ids = ids.tolist() if hasattr(ids, "tolist") else ids
        look_up = self.backend_tokenizer.id_to_token
        if isinstance(ids, int):
            return look_up(ids)
        skipped = set(self.all_special_ids) if skip_special_tokens else set()
        return [look_up(int(index)) for index in ids if int(index) not in skipped]


def _as_special(value: Any) -> AddedToken:
    token = as_token(value, "a special token", "special_tokens_dict")
    if token is None:
        raise ArgumentError("A special token should be a text or an AddedToken, not None.")
    if isinstance(token, str):
        return AddedToken(token, normalized=False, special=True)
    return token
