"""Losses, each the mean over what counts; a label of -100 does not."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from armature.errors import ArgumentError

IGNORED = -100


def words(logits: Tensor, labels: Tensor, *, shift: bool) -> Tensor:
    """Cross-entropy of words: (B, T, V) and (B, T); with `shift`, each token's is the next one."""
    if shift:
        labels = F.pad(labels, (0, 1), value=IGNORED)[..., 1:]
    return F.cross_entropy(
        logits.flatten(0, -2).float(), labels.flatten().to(logits.device), ignore_index=IGNORED
    )


def smoothed(logits: Tensor, labels: Tensor, eps: float) -> Tensor:
    """Cross-entropy of words, (…, V) and (…), that expects a share `eps` of all words alike."""
    labels = labels.to(logits.device)
    counted = labels != IGNORED
    shares = logits[counted].log_softmax(-1, dtype=torch.float32)
    loss = F.nll_loss(shares, labels[counted])
    return (1 - eps) * loss - eps * shares.mean() if eps > 0 else loss


def sequence(logits: Tensor, labels: Tensor, problem: str | None) -> Tensor:
    """Return the loss of sequence scores (B, labels), by kind of problem.

    One score is a regression, whole-number labels (B,) name one class, others (B, labels) are
    several yes-or-no questions; `problem` says so outright.
    """
    count = logits.shape[-1]
    if problem is None:
        whole = labels.dtype in (torch.long, torch.int)
        single = "single_label_classification" if whole else "multi_label_classification"
        problem = "regression" if count == 1 else single
    labels = labels.to(logits.device)
    if problem == "regression":
        scores = logits.squeeze() if count == 1 else logits
        return F.mse_loss(scores, labels.squeeze().to(scores.dtype) if count == 1 else labels)
    if problem == "single_label_classification":
        return F.cross_entropy(logits.view(-1, count), labels.view(-1))
    if problem == "soft_label_classification":
        return _soft(logits, labels)
    if problem == "multi_label_classification":
        return F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))
    raise ArgumentError(
        f"config.problem_type is {problem!r}; it may be regression, single_label_classification "
        "or multi_label_classification"
    )


def _soft(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of one class for each row, negative where unknown, or of shares (B, labels)."""
    if labels.dim() == 1 or labels.shape[-1] == 1:
        labels = labels.flatten()
        known = labels >= 0
        if not bool(known.any()):
            return logits.new_zeros(())
        return F.cross_entropy(logits[known], labels[known].long())
    return F.cross_entropy(logits, labels.to(logits.dtype))


def spans(starts: Tensor, ends: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """Cross-entropy of an answer's two ends: scores (B, T) and places (B,), mean of both.

    A place beyond the text (the answer was cut off) does not count.
    """
    width = starts.shape[1]

    def one(scores: Tensor, place: Tensor) -> Tensor:
        place = place.to(scores.device).reshape(-1).clamp(0, width)
        return F.cross_entropy(scores.float(), place, ignore_index=width)

    return (one(starts, first) + one(ends, last)) / 2


def pixels(made: Tensor, images: Tensor, hidden: Tensor) -> Tensor:
    """Mean distance of pixels (B, C, height, width) where they are hidden (B, height, width)."""
    apart = F.l1_loss(images, made, reduction="none") * hidden[:, None]
    return apart.sum() / (hidden.sum() + 1e-5) / made.shape[1]


def places(scores: Tensor, labels: Tensor, ignored: int) -> Tensor:
    """Cross-entropy of the places of images: scores (B, labels, h, w), labels (B, height, width).

    Scores are stretched to the labels first; one score alone is a yes-or-no question. Places with
    the label `ignored` do not count.
    """
    size = (labels.shape[-2], labels.shape[-1])
    scores = F.interpolate(scores.float(), size, mode="bilinear", align_corners=False)
    labels = labels.to(scores.device)
    if scores.shape[1] > 1:
        return F.cross_entropy(scores, labels, ignore_index=ignored)
    real = (labels >= 0) & (labels != ignored)
    loss = F.binary_cross_entropy_with_logits(
        scores.squeeze(1), labels.to(scores.dtype), reduction="none"
    )
    return (loss * real).mean()


def depths(made: Tensor, wanted: Tensor) -> Tensor:
    """Distance of depths (B, height, width), their scale aside (Eigen et al., 2014)."""
    real = wanted > 0
    apart = wanted[real].log() - made[real].log()
    return (apart.square().mean() - 0.5 * apart.mean().square()).sqrt()


def balance(logits: list[Tensor], experts: int, top: int) -> Tensor:
    """Auxiliary loss that spreads tokens over experts (Fedus et al., 2021), from (N, X) each."""
    shares = torch.cat([one.softmax(-1) for one in logits])  # (layers · N, X)
    chosen = F.one_hot(shares.topk(top, dim=-1).indices, experts).float()
    return experts * (chosen.mean(0) * shares.mean(0)).sum()


def letters(
    logits: Tensor, labels: Tensor, lengths: Tensor, blank: int, how: tuple[str, bool]
) -> Tensor:
    """Loss over all ways to read letters off frames (Graves et al., 2006).

    Args:
        logits: (B, T, V) scores.
        labels: (B, L) letters; blanks and -100 do not count.
        lengths: (B,) frames of each sound.
        blank: the letter that means none.
        how: "mean", "sum" or "none" of rows; whether rows that cannot be read count as nothing.
    """
    labels = labels.to(logits.device)
    counted = (labels != IGNORED) & (labels != blank)
    scores = logits.log_softmax(-1, dtype=torch.float32).transpose(0, 1)
    return F.ctc_loss(
        scores,
        labels[counted],
        lengths.to(logits.device),
        counted.sum(-1),
        blank,
        how[0],
        zero_infinity=how[1],
    )


def margin(vectors: Tensor, classes: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of angles of (B, D) to (D, classes), with a margin (Wang et al., 2018)."""
    labels = labels.to(vectors.device).flatten()
    cosines = F.normalize(vectors, dim=1) @ F.normalize(classes, dim=0)
    own = F.one_hot(labels, classes.shape[1])
    return F.cross_entropy(30.0 * (cosines - 0.4 * own), labels)


def contrast(
    states: Tensor, codes: Tensor, others: Tensor, masked: Tensor, temperature: float
) -> Tensor:
    """Cross-entropy of a frame's own code among others, summed (Baevski et al., 2020).

    Args:
        states: (B, T, D) of frames.
        codes: (B, T, D) of what was heard there.
        others: (B, T, K) places of other codes, counted through all rows.
        masked: (B, T) frames that count.
        temperature: of the cosines.
    """
    away = codes.flatten(0, 1)[others.long()].movedim(2, 0)  # (K, B, T, D)
    scores = F.cosine_similarity(states.float(), torch.cat((codes[None], away)).float(), dim=-1)
    scores = scores.to(codes.dtype) / temperature  # (1 + K, B, T)
    same = (codes == away).all(-1)
    scores = torch.cat((scores[:1], scores[1:].masked_fill(same, float("-inf"))))
    counted = scores.float().flatten(1).T[masked.flatten().bool()]  # (M, 1 + K)
    return F.cross_entropy(
        counted, counted.new_zeros(len(counted), dtype=torch.long), reduction="sum"
    )
