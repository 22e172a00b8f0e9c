"""Search: how files are cut into passages, and which come first."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from armature.search import WORDS, Index, cut, read_passages


def passages(text):
    return [(passage.line, passage.text) for passage in cut(text, Path("x.md"))]


def test_headings_begin_passages_and_lines_count_from_one():
    text = "intro\n\n# One\nfirst\n\nstill first\n# Two\nsecond\n"
    assert passages(text) == [
        (1, "intro"),
        (3, "# One\nfirst\n\nstill first"),
        (7, "# Two\nsecond"),
    ]


def test_blank_lines_at_the_start_do_not_count_as_the_passage():
    assert passages("\n\n\nhello\n") == [(4, "hello")]


def test_long_texts_are_cut_and_nothing_is_lost():
    lines = [f"word{i} " * 10 for i in range(100)]
    found = passages("\n".join(lines))
    assert " ".join(text for _, text in found).split() == " ".join(lines).split()
    assert max(len(text.split()) for _, text in found) <= 2 * WORDS + 10
    for line, text in found:
        assert lines[line - 1].split()[0] == text.split()[0]


def test_chinese_counts_as_words_too():
    assert len(passages("\n".join(["今天天气很好我们去公园散步吧" * 3] * 20))) > 1


def test_a_long_row_of_a_table_is_a_passage_of_its_own():
    row = "| " + "word " * 30 + "|"
    assert [line for line, _ in passages("\n".join([row] * 3))] == [1, 2, 3]


def test_a_hit_names_the_line_that_is_most_like_the_question():
    index = Index(list(cut("# letters\naaaa aaaa aaaa\nbbbb bbbb bbbb\n", Path("x"))), Letters())
    (hit,) = index.search("b")
    assert (hit.line, hit.text) == (3, "bbbb bbbb bbbb")
    assert hit.passage.line == 1


def test_only_text_files_are_read(tmp_path):
    (tmp_path / "a.md").write_text("text", encoding="utf-8")
    (tmp_path / "image.bin").write_bytes(b"text\0more")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    for folder in (".git", "node_modules", "__pycache__"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "b.md").write_text("hidden")
    assert [passage.file.name for passage in read_passages([tmp_path])] == ["a.md"]


class Letters:
    """An encoder whose vectors count letters: likeness is shared letters."""

    def encode(self, texts):
        rows = [[text.lower().count(letter) for letter in "abcdefgh"] for text in texts]
        return torch.nn.functional.normalize(torch.tensor(rows, dtype=torch.float32), dim=-1)


def test_the_nearest_passage_comes_first():
    texts = "aaaa\n# b\nbbbb\n# c\ncccc"
    index = Index(list(cut(texts, Path("x"))), Letters())
    hits = index.search("bbb", top=2)
    assert hits[0].passage.line == 2
    assert hits[0].score == pytest.approx(1.0)
    assert hits[0].score >= hits[1].score
    assert len(index.search("a", top=50)) == 3
