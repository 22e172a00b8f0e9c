"""Contrastive search (Su et al., 2022): a likely token whose state is unlike all before it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from armature.outputs.decoding.config import GenerationConfig
from armature.outputs.decoding.search import Search, no_choice
from armature.outputs.decoding.steps import Shows


def contrasts(config: GenerationConfig) -> bool:
    """Return whether settings ask for contrastive search."""
    alone = (config.num_beams or 1) == 1 and not config.do_sample
    return alone and bool(config.penalty_alpha) and (config.top_k or 0) > 1


def contrastive_search(
    run: Search, scores: Tensor, steps: Shows, config: GenerationConfig, lengths: Tensor
) -> Tensor:
    """Continue each row until it is done.

    Args:
        run: The search; its history holds R rows.
        scores: The model's scores of the first new token, (R, V).
        steps: Those of `run`, which show states.
        config: How many candidates there are, and what likeness costs.
        lengths: How many real tokens each prompt has, (R,).

    Returns:
        The new tokens, (R, new), padded after each row's end.
    """
    total, history, device = len(scores), run.history, scores.device
    rows = torch.arange(total, device=device)  # those that history and steps hold
    done = torch.zeros(total, dtype=torch.bool, device=device)
    counts = run.said = torch.zeros_like(rows)
    said: list[Tensor] = []
    context = F.normalize(steps.states.float(), dim=-1)  # (R, S, D)
    real = torch.arange(context.shape[1], device=device) < lengths[:, None]
    while True:
        logits = scores.float()
        shaped = run.shape(logits)
        stuck = ~(shaped.amax(-1) > float("-inf")) & ~done
        if bool(stuck.any()):
            raise no_choice(history.new + 1, rows[stuck])
        chosen, tokens, scores, state = _choose(shaped, steps, context, real, config)
        steps.select(chosen)
        _keep_record(steps, chosen)
        context = torch.cat([context, state[:, None]], 1)
        real = F.pad(real, (0, 1), value=True)
        counts[rows] += ~done
        tokens = tokens.masked_fill(done, run.pad)
        history.append(tokens)
        column = tokens.new_full((total,), run.pad).index_copy(0, rows, tokens)
        said.append(column)
        if run.hear is not None:
            run.hear(column)
        done = done | run.stop(tokens, history.new, history.origin, run.ids, run.record.scores)
        if bool(done.all()):
            del getattr(steps, "seen", [])[-1:]  # the last token was read only to be chosen
            return torch.stack(said, 1)
        if run.drops and bool(done.any()):
            live = (~done).nonzero().squeeze(1)
            rows, done, scores = rows[live], done[live], scores[live]
            context, real = context[live], real[live]
            history.select(live)
            steps.select(live)


def _choose(
    shaped: Tensor, steps: Shows, context: Tensor, real: Tensor, config: GenerationConfig
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Read every candidate, and choose one for each row.

    Returns:
        The chosen among the steps' rows (R · k), the tokens (R,), the scores (R, V) after them,
        and their states (R, D).
    """
    alpha, width = config.penalty_alpha or 0.0, min(config.top_k or 1, shaped.shape[-1])
    rows = torch.arange(len(shaped), device=shaped.device)
    likely, candidates = shaped.softmax(-1).topk(width)  # (R, k)
    steps.select(rows.repeat_interleave(width))
    after = steps.step(candidates.flatten())
    states = F.normalize(steps.states[:, -1].float(), dim=-1).unflatten(0, (-1, width))
    alike = (context @ states.transpose(1, 2)).masked_fill(~real[..., None], -2.0).amax(1)
    worth = (1 - alpha) * likely - alpha * alike
    # What is forbidden stays so, however unlike the rest it is.
    best = worth.masked_fill(likely == 0, float("-inf")).argmax(1)
    chosen = rows * width + best
    return chosen, candidates[rows, best], after[chosen], states[rows, best]


def _keep_record(steps: Any, chosen: Tensor) -> None:
    """Keep of the last pass, if passes are recorded, what belongs to the chosen candidates."""
    seen = getattr(steps, "seen", None)
    if not seen:
        return
    last = vars(seen[-1])
    kept = {name: tuple(x[chosen] for x in value) for name, value in last.items() if value}
    seen[-1] = replace(seen[-1], **kept)
