"""Chat templates: what they may read, and that they can neither run code nor run wild."""

from __future__ import annotations

import json
import time
import tracemalloc

import pytest

from armature.errors import ArgumentError

HI = [{"role": "user", "content": "Hi"}]

ATTACKS = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ self.__init__.__globals__ }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ raise_exception.__globals__ }}",
    "{{ messages.append(1) }}",
    "{{ messages[0].update({'a': 1}) }}",
    "{{ 'abc'|attr('__class__') }}",
    "{{ '{0.__class__}'.format(messages) }}",
    "{{ messages|map(attribute='__class__')|list|string|length > 99 and raise_exception('x') }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}{{ os.system('id') }}",
    "{{ lipsum.__globals__ }}",
    "{{ cycler.__init__.__globals__ }}",
    "{% set messages[0] = 1 %}",
]

BOMBS = [
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{{ 'a' * 10**9 }}",
    "{{ 10**10**10 }}",
    "{{ (1, 2) * 10**8 }}",
    "{{ 'a'|center(10**9) }}",
    "{{ 'a'.ljust(10**9) }}",
    "{{ '%0999999999d' % 1 }}",
    "{{ '{:999999999}'.format(1) }}",
    "{{ ('a' * 99999).replace('a', 'b' * 99999) }}",
    "{{ ('a' * 9999)|replace('a', 'b' * 99999) }}",
    "{{ range(10**9)|list }}",
    "{{ ','.join(['x' * 9999] * 99999) }}",
    "{{ messages|tojson(indent=10**9) }}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% set n = namespace(x='a') %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    "{% set n = namespace(x='a') %}{% for i in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}",
    "{% set n = namespace(x=[0]) %}{% for i in range(99) %}{% set n.x = [n.x, n.x] %}{% endfor %}",
    "{% set n = namespace(x=[0]) %}{% for i in range(99) %}{% set n.x = dict(a=n.x, b=n.x) %}"
    "{% endfor %}",
    "{% set x %}{% for i in range(99999) %}{{ 'y' * 999 }}{% endfor %}{% endset %}{{ x }}",
    "{% for i in range(99999) %}{{ 'y' * 999 }}{% endfor %}",
    "{{" + "(" * 9999 + "1" + ")" * 9999 + "}}",
    "{{ a }}" * 99999,
    "x" * (2 << 20),
]


@pytest.fixture
def bert(tokenizers):
    return tokenizers("bert")


def render(tokenizer, template, messages=HI, **options):
    return tokenizer.apply_chat_template(
        messages, chat_template=template, tokenize=False, **options
    )


@pytest.mark.parametrize("template", ATTACKS)
def test_templates_reach_no_code(bert, template):
    messages = [dict(HI[0])]
    try:
        assert render(bert, template, messages).strip() in ("", "False")
    except ArgumentError as error:
        assert "chat template" in str(error)
    assert messages == HI


@pytest.mark.parametrize("template", BOMBS)
def test_templates_are_stopped(bert, template):
    render(bert, "warm up")
    tracemalloc.start()
    begin = time.process_time()
    with pytest.raises(ArgumentError, match="chat template cannot be rendered"):
        render(bert, template)
    seconds, (_, peak) = time.process_time() - begin, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 8  # 2 seconds by its own clock; a busy machine and tracing take longer
    assert peak < 128 << 20


def test_what_templates_of_published_models_use(bert):
    template = """
{%- set system = messages[0].content if messages[0].role == 'system' else 'none' -%}
{%- macro line(message) -%}{{ message.role|upper }}: {{ message['content']|trim }}{%- endmacro -%}
{%- set ns = namespace(count=0) -%}
{{- bos_token or '' }}{{ system.strip().split(',')[0] }}|{{ "%s-%d" % ('a', 3) }}
{% for message in messages if message.role != 'system' %}
{%- set ns.count = ns.count + 1 -%}
{{ line(message) }}{% if not loop.last %};{% endif %}
{%- if loop.index == 2 %}{% break %}{% endif -%}
{% generation %}{% endgeneration %}
{%- endfor %}|{{ ns.count }}|{{ tools|tojson }}|{{ messages|map(attribute='role')|join(',') }}
{%- if add_generation_prompt %}|go{% endif %}|{{ strftime_now('%Y')|length }}|{{ extra }}"""
    messages = [
        {"role": "system", "content": "be, nice"},
        {"role": "user", "content": " Hi ", "name": None},
        {"role": "assistant", "content": "<b>"},
    ]
    text = render(
        bert, template, messages, tools=[{"name": "f"}], add_generation_prompt=True, extra=7
    )
    wanted = 'be|a-3\nUSER: Hi;ASSISTANT: <b>|2|[{"name": "f"}]|system,user,assistant|go|4|7'
    assert text == wanted


def test_ids_batches_and_tensors(bert):
    template = "{% for m in messages %}[CLS]{{ m.content }}[SEP]{% endfor %}"
    two = [HI, [*HI, {"role": "assistant", "content": "hello world"}]]
    batch = bert.apply_chat_template(two, chat_template=template, padding=True, return_tensors="pt")
    assert batch["input_ids"].shape == batch["attention_mask"].shape
    assert batch["input_ids"][0, 0] == bert.cls_token_id
    ids = bert.apply_chat_template(HI, chat_template=template, return_dict=False)
    assert ids == bert("Hi")["input_ids"]


def test_continuing_a_message(bert):
    template = "{% for m in messages %}<{{ m.content|trim }}>{% endfor %}"
    messages = [*HI, {"role": "assistant", "content": "It is "}]
    assert render(bert, template, messages, continue_final_message=True) == "<Hi><It is"
    with pytest.raises(ArgumentError, match="exclude each other"):
        render(bert, template, messages, continue_final_message=True, add_generation_prompt=True)
    with pytest.raises(ArgumentError, match="does not show"):
        render(bert, "nothing", messages, continue_final_message=True)


def test_several_templates(folders):
    from armature.inputs.text.tokenizer import Tokenizer

    many = {"default": "d", "tool_use": "t", "rag": "r"}
    tokenizer = Tokenizer.from_pretrained(folders("bert"), chat_template=many)
    assert render(tokenizer, None) == "d"
    assert render(tokenizer, None, tools=[{"name": "f"}]) == "t"
    assert render(tokenizer, "rag") == "r"
    assert render(tokenizer, "{{ 1 }}") == "1"


def test_templates_in_files_of_their_own(copy):
    from armature.inputs.text.tokenizer import Tokenizer

    folder = copy("bert")
    (folder / "chat_template.jinja").write_text("own file")
    assert render(Tokenizer.from_pretrained(folder), None) == "own file"
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "rag.jinja").write_text("rag file")
    assert render(Tokenizer.from_pretrained(folder), "rag") == "rag file"


@pytest.mark.parametrize(
    ("messages", "template", "message"),
    [
        ([], "x", "conversation is empty"),
        (HI, None, "has no chat template"),
        (["Hi"], "x", "A message should look like"),
        ([{"role": object()}], "x", "not object"),
        (HI, "{{ raise_exception('no system role') }}", "no system role"),
        (HI, "{% if %}", "cannot be rendered"),
        (HI, "{{ messages[0].content + 1 }}", "does not fit the conversation"),
    ],
)
def test_what_cannot_be_rendered_is_explained(bert, messages, template, message):
    with pytest.raises(ArgumentError, match=message):
        render(bert, template, messages)


def look_up(words: list[str], limit: int | None = None) -> bool:
    """Look words up.

    Args:
        words: What to look up,
            in this order.
        limit: How many answers. (choices: [1, 10])

    Returns:
        Whether there was one.
    """
    return bool(words and limit)


def test_a_function_is_described_by_its_docstring(bert):
    described = json.loads(render(bert, "{{ tools[0]|tojson }}", tools=[look_up]))["function"]
    assert described["name"] == "look_up"
    assert described["description"] == "Look words up."
    words = {
        "type": "array",
        "items": {"type": "string"},
        "description": "What to look up, in this order.",
    }
    limit = {
        "type": "integer",
        "nullable": True,
        "enum": [1, 10],
        "description": "How many answers.",
    }
    parameters = described["parameters"]
    assert parameters["properties"] == {"words": words, "limit": limit}
    assert parameters["required"] == ["words"]
    assert described["return"] == {"type": "boolean", "description": "Whether there was one."}


def test_a_function_without_a_description_is_refused(bert):
    def silent(a: int):
        return a

    def hidden(a: int):
        """Do something."""
        return a

    with pytest.raises(ArgumentError, match="silent needs a docstring"):
        render(bert, "{{ tools }}", tools=[silent])
    with pytest.raises(ArgumentError, match="`a` of hidden has no description"):
        render(bert, "{{ tools }}", tools=[hidden])


def test_what_the_model_wrote_is_marked(bert):
    template = (
        "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}"
        "{% endgeneration %}{% else %}{{ m.content }}{% endif %} {% endfor %}"
    )
    chat = [*HI, {"role": "assistant", "content": "hello world"}, *HI]
    batch = bert.apply_chat_template(
        chat, chat_template=template, return_assistant_tokens_mask=True
    )
    marked = [t for t, m in zip(batch.tokens(), batch["assistant_masks"], strict=True) if m]
    assert marked == bert.tokenize("hello world")
    assert render(bert, template, chat) == "Hi hello world Hi "
    with pytest.raises(ArgumentError, match="needs tokenize=True"):
        render(bert, template, chat, return_assistant_tokens_mask=True)


def test_the_last_text_of_a_message_in_parts_is_continued(bert):
    template = (
        "{% for m in messages %}{% for p in m.content %}<{{ p.text }}>{% endfor %}{% endfor %}"
    )
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}, {"type": "image"}]
    chat = [{"role": "assistant", "content": parts}]
    assert render(bert, template, chat, continue_final_message=True) == "<one><two"
    assert parts[1]["text"] == "two"
    with pytest.raises(ArgumentError, match="no text to continue"):
        chat = [{"role": "assistant", "content": [{"type": "image"}]}]
        render(bert, template, chat, continue_final_message=True)


def test_thoughts_have_all_their_names(bert):
    chat = [{"role": "assistant", "content": "yes", "reasoning": "because"}]
    template = "{{ messages[0].thinking }}, {{ messages[0].reasoning_content }}"
    assert render(bert, template, chat) == "because, because"
