"""question-answering: the stretch of a text that answers a question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from armature.errors import ArgumentError
from armature.pipelines.base import Pipeline
from armature.pipelines.batching import Row
from armature.pipelines.options import Options, positive
from armature.pipelines.reading import Columns, note
from armature.pipelines.spans import Spans, likeliest

SEQUENCE = 384  # tokens of a window, question included, where the model takes more
SHARED = 128  # tokens that windows share, where half a window is more


class Question(NamedTuple):
    """A question and the text to answer it from."""

    question: str
    context: str


@dataclass(frozen=True)
class AnswerOptions(Options):
    """What question-answering can be told."""

    padding: bool | str | None = None
    """Taken for old scripts' sake: padding never changes a result."""
    top_k: int = 1
    """How many answers; more than one come in a list."""
    max_answer_len: int = 15
    """Tokens of an answer at most."""
    max_seq_len: int | None = None
    """Tokens of a window, question included; None: 384, or what the model takes."""
    doc_stride: int | None = None
    """Tokens that neighbouring windows of a long text share; None: 128, or half a window."""
    max_question_len: int | None = None
    """Tokens of a question at most; None: as many as leave room for the text."""
    handle_impossible_answer: bool = False
    """An answer may be empty: there is none in the text."""
    align_to_words: bool = True
    """An answer begins and ends with a word, where the tokenizer knows words."""

    def check(self) -> None:
        """Raise ArgumentError for a value that makes no sense."""
        super().check()
        positive("top_k", self.top_k)
        positive("max_answer_len", self.max_answer_len)
        for name in ("max_seq_len", "doc_stride", "max_question_len"):
            if getattr(self, name) is not None:
                positive(name, getattr(self, name))


class QuestionAnsweringPipeline(Pipeline):
    """Answers questions: `{"score": 0.98, "start": 0, "end": 3, "answer": "普希金"}`.

    A question comes as `question=…, context=…`, as a dict with these keys, as an object with
    `question_text` and `context_text`, or as a list of any of them.
    """

    default_task = "question-answering"
    options_type = AnswerOptions
    heeds_tokenizer = True

    @classmethod
    def named(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return options by their names of today."""
        named = super().named(given)
        if "topk" in named:  # the older spelling
            named.setdefault("top_k", named.pop("topk"))
        return named

    def read(self, inputs: tuple[Any, ...], given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Find the questions in any of their spellings."""
        asked = {name: given[name] for name in Question._fields if name in given}
        named = next((name for name in ("inputs", "data", "X") if name in given), None)
        if not inputs and asked:
            found: Any = asked
        elif not inputs and named:
            found = given[named]
        elif len(inputs) == 2 and all(isinstance(one, str) for one in inputs):
            found = Question(*inputs)
        else:
            found = inputs[0] if len(inputs) == 1 else list(inputs)
        found = _spread(found) if isinstance(found, Mapping) else found
        if isinstance(found, list | tuple) and not isinstance(found, Question) and len(found) == 1:
            found = found[0]  # HF: a list of one question is answered like the question itself
        taken = (*Question._fields, "inputs", "data", "X")
        return found, {name: value for name, value in given.items() if name not in taken}

    def is_item(self, inputs: Any) -> bool:
        """Say whether the inputs are one question with its text."""
        return isinstance(inputs, Mapping | Question) or hasattr(inputs, "question_text")

    def prepare(self, items: Sequence[Any], options: AnswerOptions) -> list[Row]:
        """Make of each question with its text as many overlapping rows as it needs."""
        asked = [_question(item) for item in items]
        limit = min(filter(None, (options.max_seq_len or SEQUENCE, self.reader.limit)))
        stride = options.doc_stride or min(limit // 2, SHARED)
        questions = self._shortened(asked, options.max_question_len, limit, stride)
        contexts = [one.context for one in asked]
        read = self.reader.windows(
            *((contexts, questions) if self._context_first else (questions, contexts)),
            limit=limit,
            stride=stride,
            truncation="only_first" if self._context_first else "only_second",
            return_offsets_mapping=True,
            also=("sequence_ids", "word_ids"),
        )
        return [self.row(columns["item"], columns, columns) for columns in read]

    @property
    def _context_first(self) -> bool:
        """Whether the model reads the text before the question, as those padded on the left do."""
        return self.tokenizer.padding_side == "left"

    def _shortened(
        self, asked: Sequence[Question], most: int | None, limit: int, stride: int
    ) -> list[str]:
        """Return the questions, those shortened that leave too little room for their texts.

        Args:
            asked: Questions and texts.
            most: Tokens of a question, as the caller wants it; None for no limit.
            limit: Tokens of a window, question included.
            stride: Tokens that neighbouring windows of a text share.
        """
        given = {"add_special_tokens": False, "verbose": False}
        questions = [one.question for one in asked]
        read = self.tokenizer(questions, return_offsets_mapping=True, **given)
        room = limit - self.tokenizer.num_special_tokens_to_add(pair=True)
        for index, offsets in enumerate(read["offset_mapping"]):
            length = min(len(offsets), most or limit)
            if length + stride >= room:  # unless one window is enough
                text = self.tokenizer(asked[index].context, **given)["input_ids"]
                length = length if length + len(text) <= room else room - stride - 1
            if length < 1:
                raise ArgumentError(
                    f"windows of max_seq_len={limit} tokens that share doc_stride={stride} leave "
                    "no room for a question.\n  → raise max_seq_len, or lower doc_stride"
                )
            if length < len(offsets):
                note(f"{self.task}: a question has more than {length} tokens; its end is cut off")
                questions[index] = questions[index][: offsets[length - 1][1]]
        return questions

    def compute(self, rows: Sequence[Row], options: AnswerOptions) -> list[Spans]:
        """Return the likeliest answers of each row."""
        from torch import tensor
        from torch.nn.utils.rnn import pad_sequence

        output = self.forward(rows)
        starts, ends = output.start_logits, output.end_logits
        wanted, first = 0 if self._context_first else 1, self.tokenizer.cls_token_id
        texts = [tensor([one == wanted for one in row.facts["sequence_ids"]]) for row in rows]
        nulls = [tensor([token == first for token in row.ids]) for row in rows]
        text, null = (pad_sequence(x, batch_first=True).to(starts.device) for x in (texts, nulls))
        most, longest = options.top_k, options.max_answer_len
        return likeliest(starts, ends, text, null & ~text, most=most, longest=longest)

    def finish(self, item: Any, parts: Sequence[tuple[Row, Spans]], options: AnswerOptions) -> Any:
        """Choose the best answers of all windows: one, or a list of several."""
        context = _question(item).context
        answers = []
        for row, spans in parts:
            for score, first, last in zip(spans.scores, spans.starts, spans.ends, strict=True):
                begin, end = _characters(row.facts, first, last, words=options.align_to_words)
                answer = context[begin:end]
                answers.append({"score": score, "start": begin, "end": end, "answer": answer})
        if options.handle_impossible_answer:
            least = min(spans.null for _, spans in parts)
            answers.append({"score": least, "start": 0, "end": 0, "answer": ""})
        best = sorted(answers, key=lambda answer: -answer["score"])[: options.top_k]
        return best[0] if len(best) == 1 else best


def _characters(columns: Columns, first: int, last: int, *, words: bool) -> tuple[int, int]:
    """Return where the characters of a stretch of tokens begin and end."""
    known = columns["word_ids"]
    if words and known[first] is not None and known[last] is not None:
        first, last = _word(columns, first)[0], _word(columns, last)[-1]
    return columns["offset_mapping"][first][0], columns["offset_mapping"][last][1]


def _word(columns: Columns, token: int) -> list[int]:
    """Return the tokens of the word that a token is part of."""
    marks = list(zip(columns["sequence_ids"], columns["word_ids"], strict=True))
    return [index for index, mark in enumerate(marks) if mark == marks[token]]


def _spread(given: Mapping[str, Any]) -> Any:
    """Make of lists of questions and contexts a list of questions, each with its context.

    Raises:
        ArgumentError: there are not as many questions as contexts.
    """
    columns = [given.get(name) for name in Question._fields]
    many = [len(column) for column in columns if isinstance(column, list | tuple)]
    if not many:
        return given
    if len(set(many)) > 1:
        raise ArgumentError(f"there are {many[0]} questions, but {many[1]} contexts")
    filled = [
        column if isinstance(column, list | tuple) else [column] * many[0] for column in columns
    ]
    return [Question(*pair) for pair in zip(*filled, strict=True)]


def _question(item: Any) -> Question:
    """Read one question in any of its spellings.

    Raises:
        ArgumentError: the question or its context is missing or empty.
    """
    if isinstance(item, Mapping):
        found = Question(item.get("question", ""), item.get("context", ""))
    elif hasattr(item, "question_text"):
        found = Question(item.question_text, item.context_text)
    else:
        found = item
    if not isinstance(found, Question):
        raise ArgumentError(
            'question-answering takes {"question": "…", "context": "…"}, '
            f"not {type(item).__name__} ({item!r:.60})"
        )
    for name, text in zip(Question._fields, found, strict=True):
        if not isinstance(text, str) or not text.strip():
            raise ArgumentError(f"question-answering: the `{name}` is missing or empty: {text!r}")
    return found
