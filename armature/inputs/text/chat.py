"""Chat templates: a conversation becomes the text that a model was trained to continue."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from armature.errors import ArgumentError

if TYPE_CHECKING:
    from armature.inputs.text.tokenizer import Tokenizer

# The names that templates and checkpoints give to what a model thought before it answered.
_THOUGHTS = ("reasoning_content", "thinking", "reasoning")
_CUT = "CONTINUE_FINAL_MESSAGE_TAG "


def apply_chat_template(  # noqa: PLR0913 - the known signature
    tokenizer: Tokenizer,
    conversation: Any,
    *,
    tools: Sequence[Mapping[str, Any] | Callable[..., Any]] | None = None,
    documents: Sequence[Mapping[str, Any]] | None = None,
    chat_template: str | None = None,
    add_generation_prompt: bool = False,
    continue_final_message: bool = False,
    tokenize: bool = True,
    padding: Any = False,
    truncation: Any = False,
    max_length: int | None = None,
    return_tensors: str | None = None,
    return_dict: bool = True,
    return_assistant_tokens_mask: bool = False,
    tokenizer_kwargs: Mapping[str, Any] | None = None,
    **values: Any,
) -> Any:
    """Return a conversation as the checkpoint's template writes it.

    Args:
        tokenizer: Whose template and special tokens are used.
        conversation: Messages as `{"role": "user", "content": "…"}`, or a list of conversations.
        tools: Functions that the model may ask for: with type hints and a docstring that describes
            the arguments, or as JSON schemas.
        documents: Texts that the model may quote, as `{"title": "…", "text": "…"}`.
        chat_template: A template, or the name of one of the tokenizer's.
        add_generation_prompt: Whether to end with the beginning of an answer.
        continue_final_message: Whether the model shall continue the last message.
        tokenize: Whether to return ids instead of text.
        padding: Whether to pad the ids, as in a call of the tokenizer.
        truncation: Whether to cut them off at `max_length`.
        max_length: The length for both.
        return_tensors: "pt", "np" or None.
        return_dict: Whether to return a mapping with the attention mask, or ids only.
        return_assistant_tokens_mask: Whether to return, as `assistant_masks`, 1 for the tokens that
            the template calls generated.
        tokenizer_kwargs: Further options of that call.
        values: What the template may read besides.

    Raises:
        ArgumentError: there is no template, or it does not fit the conversation.
    """
    from armature.inputs.text.sandbox import render

    if not conversation:
        raise ArgumentError("The conversation is empty: give at least one message.")
    if continue_final_message and add_generation_prompt:
        raise ArgumentError(
            "continue_final_message and add_generation_prompt exclude each other: the model either "
            "continues the last message or begins a new one."
        )
    template = _template(tokenizer, chat_template, tools)
    batched = not isinstance(conversation[0], Mapping)
    shared = {
        **tokenizer.special_tokens_map,
        "tools": None if tools is None else [_tool(tool) for tool in tools],
        "documents": _plain(documents),
        "add_generation_prompt": add_generation_prompt,
        **{name: _plain(value) for name, value in values.items()},
    }
    if return_assistant_tokens_mask and (not (tokenize and return_dict) or continue_final_message):
        raise ArgumentError(
            "return_assistant_tokens_mask needs tokenize=True and return_dict=True, and no "
            "continue_final_message."
        )
    texts, generated = [], []
    for chat in conversation if batched else [conversation]:
        messages = [_message(message) for message in chat]
        if continue_final_message:
            _mark_end(messages[-1])
        seen = {**shared, "messages": messages}
        text, spans = render(template, seen, len(repr(seen)))
        generated.append(spans)
        texts.append(_cut(text) if continue_final_message else text)
    if not tokenize:
        return texts if batched else texts[0]
    batch = tokenizer(
        texts if batched else texts[0],
        add_special_tokens=False,  # the template writes them
        padding=padding,
        truncation=truncation,
        max_length=max_length,
        return_tensors=return_tensors,
        **(tokenizer_kwargs or {}),
    )
    if return_assistant_tokens_mask:
        flat = not batched and return_tensors is None
        ids = [batch["input_ids"]] if flat else batch["input_ids"]
        masks = [_mask(batch, i, len(row), generated[i]) for i, row in enumerate(ids)]
        batch["assistant_masks"] = masks[0] if flat else masks
        batch.convert_to_tensors(return_tensors)
    return batch if return_dict else batch["input_ids"]


def _mask(batch: Any, row: int, length: int, spans: list[tuple[int, int]]) -> list[int]:
    """Return 1 for the tokens of a row that the model wrote."""
    mask = [0] * length
    for begin, end in spans:
        first, last = batch.char_to_token(row, begin), batch.char_to_token(row, end - 1)
        if first is None:  # it was cut off
            break
        stop = last + 1 if last else length
        mask[first:stop] = [1] * (stop - first)
    return mask


def _tool(tool: Any) -> Any:
    from armature.inputs.text.schema import schema_of

    if inspect.isfunction(tool) or inspect.ismethod(tool):
        return schema_of(tool)
    return _plain(tool)


def _mark_end(message: dict[str, Any]) -> None:
    """Mark the end of a message's text, or of the last text among its parts."""
    content = message.get("content")
    parts = reversed(content) if isinstance(content, list) else ()
    part = next((p for p in parts if isinstance(p, dict) and isinstance(p.get("text"), str)), None)
    if isinstance(content, str):
        message["content"] = content + _CUT
    elif part is not None:
        part["text"] += _CUT
    else:
        raise ArgumentError("continue_final_message: the last message has no text to continue.")


def _template(tokenizer: Tokenizer, given: str | None, tools: Any) -> str:
    """Return the template that is meant.

    Raises:
        ArgumentError: the tokenizer has none, or several without a default.
    """
    own = tokenizer.chat_template
    if isinstance(own, Mapping):
        name = given if given in own else "tool_use" if tools and "tool_use" in own else "default"
        if given is None or given in own:
            if name not in own:
                raise ArgumentError(f"Which chat template? The tokenizer has: {', '.join(own)}.")
            return own[name]
    template = given if given is not None else own
    if not isinstance(template, str):
        raise ArgumentError(
            f"{tokenizer.name_or_path or 'This tokenizer'} has no chat template, so it was "
            "probably not trained for conversations. Pass chat_template=…, or plain text."
        )
    return template


def _message(message: Any) -> dict[str, Any]:
    if not isinstance(message, Mapping):
        raise ArgumentError(
            f'A message should look like {{"role": "user", "content": "…"}}, not {message!r:.60}.'
        )
    plain = {key: value for key, value in _plain(message).items() if value is not None}
    thoughts = next((plain[name] for name in _THOUGHTS if name in plain), None)
    return (
        plain
        if thoughts is None
        else {"thinking": thoughts, **plain, "reasoning_content": thoughts}
    )


def _plain(value: Any) -> Any:
    """Copy a value that consists of tables, lists, texts and numbers.

    Raises:
        ArgumentError: it holds something else, which a template must not see.
    """
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    kind = type(value).__name__
    raise ArgumentError(f"Templates read tables, lists, texts and numbers only, not {kind}.")


def _cut(text: str) -> str:
    """Remove what a template writes behind a message that shall be continued."""
    place = text.rfind(_CUT.strip())
    if place < 0:
        raise ArgumentError(
            "continue_final_message: the template does not show the last message as it is."
        )
    kept = text[:place]
    return kept if text.startswith(_CUT, place) else kept.rstrip()
