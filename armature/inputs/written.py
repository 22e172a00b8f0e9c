"""Written fields: what a model writes about a page, `<s_total>9</s_total>`, as dicts and lists."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

_OPENING = re.compile(r"<s_([^>]*)>", re.IGNORECASE)
_NEXT = "<sep/>"


class WrittenFields:
    """A processor whose model writes fields (Kim et al., 2022)."""

    tokenizer: Any

    def token2json(
        self,
        tokens: str,
        is_inner_value: bool = False,  # noqa: FBT001, FBT002 - the known signature
        added_vocab: Collection[str] | None = None,
    ) -> Any:
        """Return the fields of a text as a dict, or a list of such where a field has several.

        Args:
            tokens: what the model has written, tokens of its own included.
            is_inner_value: it is the content of a field: the result is a list.
            added_vocab: tokens of its own, of which `<yes/>` means "yes"; None: the tokenizer's.
        """
        known = self.tokenizer.get_added_vocab() if added_vocab is None else added_vocab
        found: dict[str, Any] = {}
        while (opening := _OPENING.search(tokens)) is not None:
            begin, key = opening.group(), opening.group(1)
            ending = re.compile(rf"</s_{re.escape(key)}>", re.IGNORECASE)
            closing, after = ending.search(tokens), ending.search(tokens, opening.end())
            if closing is None:
                tokens = tokens.replace(begin, "")
                continue
            if after is not None:
                value = self._value(tokens[opening.end() : after.start()].strip(), known)
                if value:
                    found[key] = value[0] if len(value) == 1 else value
            tokens = tokens[closing.end() :].strip()
            if tokens.startswith(_NEXT):
                rest = self.token2json(tokens[len(_NEXT) :], True, known)
                return [found, *rest]
        if is_inner_value:
            return [found] if found else []
        return found or {"text_sequence": tokens}

    def _value(self, content: str, known: Collection[str]) -> list[Any]:
        if "<s_" in content and "</s_" in content:
            return self.token2json(content, True, known)
        leaves = [leaf.strip() for leaf in content.split(_NEXT)]
        named = [one in known and one[:1] == "<" and one[-2:] == "/>" for one in leaves]
        return [one[1:-2] if own else one for one, own in zip(leaves, named, strict=True)]
