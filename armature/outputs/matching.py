"""Matching: which of a model's answers stands for which thing in a picture; losses of masks."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from armature.errors import ArgumentError


def assign(costs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the cheapest pairs of rows and columns of (rows, columns), each in at most one.

    Raises:
        ArgumentError: SciPy, which finds them, is not installed.
    """
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        raise ArgumentError(
            "losses of such models match answers with things, for which SciPy is not installed.\n"
            '  → pip install "armature-models[matching]"'
        ) from error
    return linear_sum_assignment(costs)


def matched(costs: Tensor) -> tuple[Tensor, Tensor]:
    """Return the cheapest pairs of answers and things, of costs (answers, things)."""
    most = torch.finfo(torch.float32).max
    finite = torch.nan_to_num(costs.detach().float(), nan=most, posinf=most, neginf=most)
    rows, columns = assign(finite.cpu().numpy())
    return torch.from_numpy(rows).to(costs.device), torch.from_numpy(columns).to(costs.device)


# ------------------------------------------------------------ costs, of all pairs at once


def dice_costs(logits: Tensor, masks: Tensor) -> Tensor:
    """How little masks overlap: (Q, P) and (N, P) → (Q, N) (Milletari et al., 2016)."""
    shares = logits.sigmoid()
    both = 2 * (shares @ masks.T)
    return 1 - (both + 1) / (shares.sum(-1)[:, None] + masks.sum(-1)[None] + 1)


def cross_entropy_costs(logits: Tensor, masks: Tensor) -> Tensor:
    """How unlikely masks are: (Q, P) and (N, P) → (Q, N)."""
    yes, no = F.softplus(-logits), F.softplus(logits)
    return (yes @ masks.T + no @ (1 - masks).T) / logits.shape[1]


def focal_costs(logits: Tensor, masks: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """The same where what is easy counts less: (Q, P) and (N, P) → (Q, N) (Lin et al., 2017)."""
    shares = logits.sigmoid()
    yes = alpha * (1 - shares) ** gamma * F.softplus(-logits)
    no = (1 - alpha) * shares**gamma * F.softplus(logits)
    return (yes @ masks.T + no @ (1 - masks).T) / logits.shape[1]


# ------------------------------------------------------------ losses, of pairs


def dice(logits: Tensor, masks: Tensor, count: float) -> Tensor:
    """How little each mask (N, P) overlaps its own, summed and divided by `count`."""
    shares = logits.sigmoid()
    both = 2 * (shares * masks).sum(-1)
    return (1 - (both + 1) / (shares.sum(-1) + masks.sum(-1) + 1)).sum() / count


def mask_cross_entropy(logits: Tensor, masks: Tensor, count: float) -> Tensor:
    """How unlikely each mask (N, P) is, summed and divided by `count`."""
    loss = F.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    return loss.mean(1).sum() / count


def focal(
    logits: Tensor, masks: Tensor, count: float, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    """The same where what is easy counts less (Lin et al., 2017)."""
    shares = logits.sigmoid()
    loss = F.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    right = shares * masks + (1 - shares) * (1 - masks)
    weight = alpha * masks + (1 - alpha) * (1 - masks)
    return (weight * (1 - right) ** gamma * loss).mean(1).sum() / count
