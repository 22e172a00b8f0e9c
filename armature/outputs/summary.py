"""Summaries: one vector for each sequence, as the config's `summary_…` settings say."""

from __future__ import annotations

from torch import Tensor, nn

from armature.config import Config
from armature.errors import ConfigError, nearest
from armature.layers.act import activation
from armature.layers.linear import Linear
from armature.outputs import tasks


def rate(keys: str, config: Config) -> float:
    """Return the first of several settings that is set: how much is dropped while training."""
    rates = (config.get(key) for key in keys.split())
    return next((rate for rate in rates if rate is not None), 0.0)


class Summary(nn.Module):
    """One vector (B, size) for each sequence, as the config's `summary_…` settings say."""

    def __init__(self, config: Config, width: int, labels: int | None = None) -> None:
        super().__init__()
        kind = config.get("summary_type", "last")
        if kind not in _SUMMARIES:
            raise ConfigError(
                f"config.json: no summary is called {kind!r}.{nearest(kind, _SUMMARIES)}"
            )
        self.pick: tasks.Pick = _SUMMARIES[kind]
        self.placed = kind == "cls_index"  # a caller may say which token
        count = int(config.num_labels) if labels is None else labels
        labels = count if config.get("summary_proj_to_labels") else 0
        mapped = bool(config.get("summary_use_proj"))
        self.size = (labels or width) if mapped else width
        self.dropout_in = nn.Dropout(rate("summary_first_dropout", config))
        self.map = Linear(width, self.size) if mapped else None
        self.act = activation(config.get("summary_activation") or "linear")
        self.dropout = nn.Dropout(rate("summary_last_dropout", config))

    def forward(self, x: Tensor) -> Tensor:
        """(B, D) → (B, size)."""
        x = self.dropout_in(x)
        return self.dropout(self.act(x if self.map is None else self.map(x)))


# HF: where nobody says which token, "cls_index" is the last one too.
_SUMMARIES: dict[str, tasks.Pick] = {
    "first": "first",
    "last": "end",
    "cls_index": "end",
    "mean": "mean",
}
