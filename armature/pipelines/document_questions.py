"""document-question-answering: the words of a page that answer a question about it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from armature.errors import ArgumentError
from armature.pipelines.answers import AnswerOptions
from armature.pipelines.reading import rows_of
from armature.pipelines.spans import likeliest
from armature.pipelines.visual_questions import PicturedPipeline

_SHARED = 256  # tokens that windows share, where half a window is more
_WRITTEN = 256  # tokens of an answer that is written


@dataclass(frozen=True)
class PageOptions(AnswerOptions):
    """What document-question-answering can be told."""

    lang: str | None = None
    """The language in which words are recognised; None: English."""
    tesseract_config: str = ""
    """What the recogniser is told beside it."""
    timeout: float | None = None
    """Taken for old scripts' sake: pictures are fetched with a limit of their own."""


class DocumentQuestionAnsweringPipeline(PicturedPipeline):
    """Answers a question about a page: `[{"score": 0.4, "answer": "12", "start": 7, "end": 7}]`.

    A page comes as `image=…`, whose words are then recognised, or with `word_boxes=…`: words, and
    where each stands, in thousandths of the page.
    """

    default_task = "document-question-answering"
    options_type = PageOptions
    heeds_tokenizer = True

    def run(self, items: Sequence[Any], options: PageOptions, rows: int | None = None) -> list[Any]:
        """Return the answers to one window of questions, in order."""
        import torch

        writes = self.model.is_encoder_decoder
        answered = self._written if writes else self._found
        with torch.inference_mode():
            return [answered(item, options) for item in items]

    # ---------------------------------------------------------------- words of a page

    def _found(self, item: Mapping[str, Any], options: PageOptions) -> list[dict[str, Any]]:
        words, boxes = self._words(item, options)
        sees = {}
        if "image" in self.model.input_names and item.get("image") is not None:
            sees["image"] = self.pixels(item["image"])["pixel_values"]
        answers, nulls = [], []
        for row in self._windows(item["question"], words, boxes, options):
            spans = self._spans(row, sees, options)
            nulls.append(spans.null)
            places = row["word_ids"]
            for score, start, end in zip(spans.scores, spans.starts, spans.ends, strict=True):
                first, last = places[start], places[end]
                text = " ".join(words[first : last + 1])
                answers.append({"score": score, "answer": text, "start": first, "end": last})
        if options.handle_impossible_answer:
            answers.append({"score": min(nulls), "answer": "", "start": 0, "end": 0})
        return sorted(answers, key=lambda answer: -answer["score"])[: options.top_k]

    def _words(
        self, item: Mapping[str, Any], options: PageOptions
    ) -> tuple[list[str], list[list[int]]]:
        """Return the words of a page and their boxes: as given, or recognised."""
        if item.get("word_boxes") is not None:
            pairs = item["word_boxes"]
            return [word for word, _ in pairs], [list(box) for _, box in pairs]
        if item.get("image") is None:
            raise ArgumentError(f"{self.task}: give an `image`, `word_boxes`, or both")
        import numpy as np

        from armature.inputs.image.ocr import words_of
        from armature.inputs.image.pictures import photo

        page = np.asarray(photo(item["image"])).transpose(2, 0, 1)
        return words_of(page, options.lang, options.tesseract_config)

    def _windows(
        self, question: str, words: list[str], boxes: list[list[int]], options: PageOptions
    ) -> list[dict[str, Any]]:
        """Return as many overlapping rows of tokens as question and words need."""
        if self.tokenizer.padding_side != "right":
            raise ArgumentError(f"{self.task}: the tokenizer should pad on the right")
        limit = min(filter(None, (options.max_seq_len, self.reader.limit)), default=None)
        how: dict[str, Any] = {
            "max_length": limit,
            "stride": options.doc_stride or min((limit or 2 * _SHARED) // 2, _SHARED),
            "truncation": "only_second" if limit else False,
            "return_overflowing_tokens": True,
            "return_token_type_ids": True,
        }
        paged = hasattr(self.tokenizer, "only_label_first_subword")
        if paged:
            read = self.tokenizer([question], [words], boxes=[boxes], **how)
        else:
            read = self.tokenizer([question.split()], [words], is_split_into_words=True, **how)
        read.pop("overflow_to_sample_mapping", None)
        rows = rows_of(read, also=("word_ids", "sequence_ids"))
        for row in rows if not paged else ():
            row["bbox"] = [
                boxes[word]
                if part == 1
                else [1000 if token == self.tokenizer.sep_token_id else 0] * 4
                for token, part, word in zip(
                    row["input_ids"], row["sequence_ids"], row["word_ids"], strict=True
                )
            ]
        return rows

    def _spans(self, row: dict[str, Any], sees: dict[str, Any], options: PageOptions) -> Any:
        """Return the likeliest stretches of one row's tokens."""
        import torch

        known = self.model.input_names
        given = {
            name: torch.tensor([value], device=self.device)
            for name, value in row.items()
            if name in known
        }
        output = self.model(**given, **sees)
        count = len(row["input_ids"])
        text = torch.tensor([[part == 1 for part in row["sequence_ids"]]])
        first = torch.tensor([[token == self.tokenizer.cls_token_id for token in row["input_ids"]]])
        starts, ends = (x[:, :count].cpu() for x in (output.start_logits, output.end_logits))
        most, longest = options.top_k, options.max_answer_len
        return likeliest(starts, ends, text, first & ~text, most=most, longest=longest)[0]

    # ---------------------------------------------------------------- an answer that is written

    def _written(self, item: Mapping[str, Any], options: PageOptions) -> list[dict[str, Any]]:
        """Let the model write its answer behind the question, in words of its own."""
        prompt = f"<s_docvqa><s_question>{item['question']}</s_question><s_answer>"
        ids = self.tokenizer(prompt, add_special_tokens=False, return_tensors="pt")["input_ids"]
        written = self.model.generate(
            self.pixels(item["image"])["pixel_values"],
            decoder_input_ids=ids.to(self.device),
            max_new_tokens=_WRITTEN,
        )
        text = self.tokenizer.batch_decode(written)[0]
        for token in (self.tokenizer.eos_token, self.tokenizer.pad_token):
            text = text.replace(token, "") if token else text
        text = re.sub(r"<.*?>", "", text, count=1).strip()
        answer = re.search(r"<s_answer>(.*)</s_answer>", text)
        return [{"answer": None if answer is None else answer.group(1).strip()}]
