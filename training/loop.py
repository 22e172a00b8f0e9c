"""The training loop that all starters share: AdamW, a cosine, batches by a budget of tokens."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import click
import torch
from torch import Tensor

Item = dict[str, Any]
"""One example: `input_ids` and labels as lists, or a single number as label."""

FILLERS = {"labels": -100}  # what a shorter row is filled with; 0 for everything else


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train."""

    steps: int
    tokens: int  # in a batch, padding included
    rate: float  # highest learning rate
    warmup: int = 200
    decay: float = 0.01
    report: int = 200  # steps between two lines of the log


def collate(items: list[Item]) -> dict[str, Tensor]:
    """Pad lists to the longest and stack everything; adds `attention_mask`."""
    batch: dict[str, Tensor] = {}
    length = max(len(item["input_ids"]) for item in items)
    for key, first in items[0].items():
        if isinstance(first, list):
            fill = FILLERS.get(key, 0)
            rows = [item[key] + [fill] * (length - len(item[key])) for item in items]
        else:
            rows = [item[key] for item in items]
        batch[key] = torch.tensor(rows)
    mask = [
        [1] * len(item["input_ids"]) + [0] * (length - len(item["input_ids"])) for item in items
    ]
    batch["attention_mask"] = torch.tensor(mask)
    return batch


def cut(items: list[Item], tokens: int) -> list[list[Item]]:
    """Sort by length and cut into batches of at most `tokens` tokens, padding included."""
    batches: list[list[Item]] = [[]]
    for item in sorted(items, key=lambda item: len(item["input_ids"])):
        if batches[-1] and (len(batches[-1]) + 1) * len(item["input_ids"]) > tokens:
            batches.append([])
        batches[-1].append(item)
    return batches


def batches(make: Callable[[], Item], tokens: int, pool: int = 4096) -> Iterator[dict[str, Tensor]]:
    """Make fresh examples without end and yield them in batches of similar length."""
    order = random.Random(0)
    while True:
        drawn = cut([make() for _ in range(pool)], tokens)
        order.shuffle(drawn)
        yield from map(collate, drawn)


def groups(model: torch.nn.Module, decay: float) -> list[dict[str, Any]]:
    """Matrices decay; biases, norms and the like do not."""
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() <= 1]
    return [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]


def schedule(step: int, plan: Plan) -> float:
    """Rise linearly, then fall along half a cosine to 2 % of the highest rate."""
    if step < plan.warmup:
        return (step + 1) / plan.warmup
    progress = (step - plan.warmup) / max(1, plan.steps - plan.warmup)
    return 0.02 + 0.98 * (1 + math.cos(math.pi * progress)) / 2


def train(
    model: torch.nn.Module,
    stream: Iterable[dict[str, Tensor]],
    plan: Plan,
    evaluate: Callable[[], str] | None = None,
) -> float:
    """Train in place and return the minutes of CPU time; `evaluate` adds a word to the log."""
    optimizer = torch.optim.AdamW(groups(model, plan.decay), lr=plan.rate, betas=(0.9, 0.98))
    source, start, total = iter(stream), time.process_time(), 0.0
    model.train()
    for step in range(plan.steps):
        for group in optimizer.param_groups:
            group["lr"] = plan.rate * schedule(step, plan)
        loss = model(**next(source)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        total += float(loss.detach())
        if (step + 1) % plan.report == 0:
            word = evaluate() if evaluate and (step + 1) % (5 * plan.report) == 0 else ""
            minutes = (time.process_time() - start) / 60
            click.echo(
                f"step {step + 1:6d}  loss {total / plan.report:.4f}  {minutes:5.1f} min  {word}"
            )
            total = 0.0
            model.train()
    model.eval()
    return (time.process_time() - start) / 60
