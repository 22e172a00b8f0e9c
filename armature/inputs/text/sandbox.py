"""A box for templates of strangers: no code, no attributes of Python, limits on size and time.

Every loop, call, operator and joined text passes a meter, so a template cannot run long or grow
large without being stopped, in whatever thread it runs.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from datetime import datetime
from functools import lru_cache
from typing import Any

from jinja2 import DictLoader, Template, TemplateError, Undefined, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from armature.errors import ArgumentError

SECONDS = 2.0
LONGEST_TEMPLATE = 1 << 20  # characters
MOST_SYMBOLS = 20_000  # words and signs inside {{ }} and {% %}
LARGEST = 1 << 24  # characters or items that a template may make, beyond 32 times its data

# What a text cannot hold by chance, around what the model wrote.
_BEGIN, _END = (f"\uf8ff{secrets.token_hex(8)}\uf8ff" for _ in range(2))

_SIZED = (str, bytes, list, tuple, dict)
_WIDENING = {"center", "ljust", "rjust", "zfill", "expandtabs", "format", "format_map", "translate"}
_FILTERS = """
    abs capitalize count d default dictsort e escape first float groupby int items join last length
    list lower map max min reject rejectattr reverse round safe select selectattr sort sum title
    trim truncate unique upper wordcount
"""


class Meter:
    """What one rendering has used of its time and room."""

    def __init__(self, data: int) -> None:
        self.deadline = time.monotonic() + SECONDS
        self.room = LARGEST + 32 * data

    def take(self, size: int) -> None:
        """Use some room.

        Raises:
            TemplateError: there is not so much left, or the time is over.
        """
        self.room -= size
        if self.room < 0:
            raise TemplateError("it makes too much text")
        if time.monotonic() > self.deadline:
            raise TemplateError(f"it runs longer than {SECONDS:g} seconds")


_meter: ContextVar[Meter] = ContextVar("meter")


def _weigh(value: Any) -> Any:
    """Count everything inside a value, shared parts each time they occur, and return it."""
    meter, stack = _meter.get(), [value]
    while stack:
        part = stack.pop()
        meter.take(1)
        if isinstance(part, Mapping):
            stack.extend(part.values())
        elif isinstance(part, list | tuple):
            stack.extend(part)
        elif part is not None and not isinstance(part, str | int | float | Undefined):
            raise TemplateError(f"a {type(part).__name__} is no text")
    return value


def _size(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value.bit_length() >> 5
    return len(value) if isinstance(value, _SIZED) else 1


def _counted(value: Any) -> Any:
    _meter.get().take(_size(value))
    return value


def _join(*parts: Any) -> str:
    texts = [str(_weigh(part)) for part in parts]
    _meter.get().take(sum(map(len, texts)))
    return "".join(texts)


def _concat(parts: Iterable[str]) -> str:
    return _join(*parts)


class Box(ImmutableSandboxedEnvironment):
    """Jinja with a meter."""

    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%", "**"))
    concat = staticmethod(_concat)  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,
            finalize=_weigh,
            loader=DictLoader({}),
            extensions=[loopcontrols, Generation],
        )
        self.globals = {name: self.globals[name] for name in ("range", "namespace")}
        self.globals |= {
            "dict": lambda *values, **named: _weigh(dict(*values, **named)),
            "raise_exception": _refuse,
            "strftime_now": lambda form: datetime.now().strftime(str(form)[:100]),
            "__tick__": lambda: _meter.get().take(1),
            "__join__": _join,
            "__weigh__": _weigh,
        }
        known = {name: self.filters[name] for name in _FILTERS.split()}
        self.filters = {**known, "tojson": _to_json, "indent": _indent, "replace": _replace}
        self.filters["string"] = lambda value: str(_weigh(value))
        self.filters["join"] = _guarded_join(known["join"])

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for loop in tree.find_all(nodes.For):
            loop.body.insert(0, nodes.ExprStmt(_call("__tick__", [])))
        _rewrite(tree)
        tree.set_environment(self)
        return tree

    def wrap_str_format(self, value: Any) -> Any:
        """Refuse to format texts: widths and precisions make them arbitrarily large."""
        if getattr(value, "__name__", "") in ("format", "format_map"):
            raise TemplateError("texts cannot be formatted")

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Apply an operator, after checking how much it would make."""
        whole = left if isinstance(left, _SIZED) else right
        if operator == "*" and isinstance(whole, _SIZED):
            other = right if whole is left else left
            _meter.get().take(len(whole) * max(other, 0) if isinstance(other, int) else 0)
        elif operator == "**" and not (_small(left, 10**6) and _small(right, 64)):
            raise TemplateError("a power is too large")
        elif operator == "%" and isinstance(left, str):
            if re.search(r"%[^sd%]", left):
                raise TemplateError("texts can be formatted with %s and %d only")
            _weigh(right)
        return _counted(super().call_binop(context, operator, left, right))

    def call(self, context: Any, function: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a function or method, after checking how much it would make."""
        self_of, name = getattr(function, "__self__", None), getattr(function, "__name__", "")
        if isinstance(self_of, str | bytes):
            if name in _WIDENING:
                raise TemplateError(f"the method {name} of texts cannot be used")
            if name == "replace" and len(args) > 1:
                _meter.get().take(_growth(self_of, *args[:2]))
            if name == "join":
                _meter.get().take(sum(len(str(p)) + len(self_of) for p in (*args, ())[0]))
        return _counted(super().call(context, function, *args, **kwargs))


class Generation(Extension):
    """`{% generation %}`…`{% endgeneration %}`, which marks what the model wrote."""

    tags = {"generation"}  # noqa: RUF012 - as Jinja declares it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """Return what stands between the tags, between marks that `render` takes out."""
        next(parser.stream)
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        begin, end = (nodes.Output([nodes.TemplateData(mark)]) for mark in (_BEGIN, _END))
        return [begin, *body, end]


def _call(name: str, arguments: list[nodes.Expr]) -> nodes.Call:
    return nodes.Call(nodes.Name(name, "load"), arguments, [], None, None)


def _rewrite(node: nodes.Node) -> None:
    """Make `a ~ b` and the lists and tables that a template writes calls that the meter sees."""
    for child in node.iter_child_nodes():
        _rewrite(child)
    for name, value in node.iter_fields():
        if isinstance(value, nodes.Node):
            setattr(node, name, _metered(value))
        elif isinstance(value, list):
            value[:] = [_metered(part) for part in value]


def _metered(value: Any) -> Any:
    if isinstance(value, nodes.Concat):
        return _call("__join__", value.nodes)
    written = isinstance(value, nodes.Tuple) and value.ctx == "load"
    if written or isinstance(value, nodes.List | nodes.Dict):
        return _call("__weigh__", [value])
    return value


def _small(value: Any, limit: int) -> bool:
    return isinstance(value, int | float) and abs(value) <= limit


def _refuse(message: Any) -> None:
    raise TemplateError(f"it refuses the conversation: {message}")


def _to_json(
    value: Any,
    ensure_ascii: bool = False,  # noqa: FBT001, FBT002
    indent: int | None = None,
    separators: Any = None,
    sort_keys: bool = False,  # noqa: FBT001, FBT002
) -> str:
    if indent is not None and not 0 <= indent <= 16:
        raise TemplateError("the indentation of JSON is too large")
    text = json.dumps(
        _weigh(value),
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )
    return _counted(text)


def _indent(text: Any, width: Any = 4, first: bool = False, blank: bool = False) -> str:  # noqa: FBT001, FBT002
    start = width if isinstance(width, str) else " " * min(int(width), 100)
    lines = str(text).splitlines() or [""]
    _meter.get().take(len(str(text)) + len(start) * len(lines))
    rest = [start + line if line or blank else line for line in lines[1:]]
    return "\n".join([start + lines[0] if first else lines[0], *rest])


def _replace(text: Any, old: Any, new: Any, count: int | None = None) -> str:
    _meter.get().take(_growth(str(text), str(old), str(new)))
    return str(text).replace(str(old), str(new), -1 if count is None else count)


def _growth(text: Any, old: Any, new: Any) -> int:
    return len(text) + len(new) * (len(text) // max(len(old), 1) + 1)


def _guarded_join(inner: Any) -> Any:
    from jinja2 import pass_eval_context

    @pass_eval_context
    def join(context: Any, value: Any, d: str = "", attribute: Any = None) -> str:
        parts = _weigh(list(value))
        _meter.get().take(len(str(d)) * len(parts))
        return _counted(inner(context, parts, d, attribute))

    return join


@lru_cache(maxsize=32)
def _compiled(source: str) -> Template:
    box = Box()
    if len(source) > LONGEST_TEMPLATE:
        raise TemplateError(f"it has {len(source)} characters, more than {LONGEST_TEMPLATE}")
    for count, _ in enumerate(box.lex(source)):
        if count > MOST_SYMBOLS:
            raise TemplateError("it is too large")
    return box.from_string(source)


def render(source: str, values: Mapping[str, Any], size: int) -> tuple[str, list[tuple[int, int]]]:
    """Render a template.

    Args:
        source: The template.
        values: What it sees: numbers, texts, lists and tables, and nothing else.
        size: How many characters these hold, which allows as much output.

    Returns:
        The text, and where in it the parts begin and end that the template calls generated.

    Raises:
        ArgumentError: the template is malformed, breaks a rule, or refuses the values.
    """
    meter = Meter(size)
    token = _meter.set(meter)
    try:
        parts = []
        for part in _compiled(source).generate(values):
            meter.take(len(part))
            parts.append(part)
        return _unmarked("".join(parts))
    except (TemplateError, RecursionError, MemoryError, OverflowError, ValueError) as error:
        raise ArgumentError(
            f"The chat template cannot be rendered: {error or 'too deep'}."
        ) from error
    except (TypeError, AttributeError, KeyError, ArithmeticError) as error:
        raise ArgumentError(
            f"The chat template does not fit the conversation: {error}. Messages look like "
            '{"role": "user", "content": "…"}.'
        ) from error
    finally:
        _meter.reset(token)


def _unmarked(text: str) -> tuple[str, list[tuple[int, int]]]:
    found, begins = "", 0
    spans: list[tuple[int, int]] = []
    for part in re.split(f"({_BEGIN}|{_END})", text):
        if part == _BEGIN:
            begins = len(found)
        elif part == _END:
            spans.append((begins, len(found)))
        else:
            found += part
    return found, spans
