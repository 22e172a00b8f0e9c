"""The path that most heads are: pick tokens, a dense map, an activation, a norm, an output map.

Any part may be absent. A text that begins with `@` is read from the config: `act="@hidden_act"`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from armature.config import Config

# Which token stands for its sequence: "eot" is the first end of a text; "leading" the mean of those
# before an image's patches, "patches" of the patches alone, "both" that beside the first; the
# config may choose between the mean and the most.
Pick = Literal[
    "first", "last", "eos", "eot", "end", "mean", "max", "@pooling_type",
    "leading", "patches", "both",
]  # fmt: skip
Settings = Config | Mapping[str, Any]  # read with `.get`: a Config, or a bare config.json
Rows = Mapping[str, str]  # names, ours → theirs


@dataclass(frozen=True)
class Head:
    """Base of the heads: the parts of the path by their names on disk, "" where absent."""

    dense: str = ""
    gate: str = ""  # config key: where it is false, there is no dense map, no norm, and no other
    # token than the first is picked
    act: str = "linear"
    norm: str = ""
    eps: float | str = "@layer_norm_eps"
    out: str = ""
    bias: bool = True  # of the output map
    dropout: str = ""  # config keys, the first that is set counts: "classifier_dropout hidden_…"
    dropout_in: str = ""  # config keys, of the dropout before the dense map
    prefix: str | None = None  # before the body's names; None: as the architecture says
    half: Literal["encoder", "decoder"] | None = None  # the half of an encoder-decoder it needs
    begin: Literal["start", "last", "given"] = "start"
    # of decoder inputs made of a text: its last token? given ones: as they are, with no start?
    names: Rows | Callable[[Settings], Rows] = field(default_factory=dict)  # further rows
    body: Callable[[Config], Any] | None = None  # its anatomy, where it is not the file's
    fills: Mapping[str, Callable[[Any, Any, Config], Any]] = field(default_factory=dict)
    # arguments that a call lacks, made of its ids, its mask and the config
    spare: str = ""  # a dense map that files of this class hold and nothing reads
    also: tuple[str, ...] = ()  # Auto classes beside its own, by the words after AutoModelFor
    only: tuple[str, ...] = ()  # Auto classes, where its kind would say others
    make: Callable[..., Any] | None = None  # spec, config and body → the architecture's own module

    optional: ClassVar[tuple[str, ...]] = ()  # rows of the path that not every config asks for

    @property
    def labels(self) -> tuple[str, ...]:
        """The arguments of a call in which it takes its labels."""
        return ("labels",)

    def rows(self, settings: Settings) -> dict[str, str]:
        """Return the rows of names: ours → theirs."""
        parts = {"head.dense": self.dense, "head.norm": self.norm, "head.out": self.out}
        parts["head.spare"] = self.spare
        return {ours: theirs for ours, theirs in parts.items() if theirs} | self.own(settings)

    def own(self, settings: Settings) -> dict[str, str]:
        """Return the rows of the architecture's own module: its config says which there are."""
        return dict(self.names(settings) if callable(self.names) else self.names)


@dataclass(frozen=True)
class Base(Head):
    """Nothing but the body, or its pooler: one token through `dense` and `act`, or the mean."""

    pick: Pick = "first"

    @property
    def pools(self) -> bool:
        """Whether one vector is made of all states."""
        whole = self.pick in ("mean", "@pooling_type", "eot")
        return bool(self.dense or self.norm or self.make or whole)

    @property
    def labels(self) -> tuple[str, ...]:
        """It has none."""
        return ()


@dataclass(frozen=True)
class Pooled(Base):
    """The body, and what stands for each image or sound, with or without a dense map."""

    @property
    def pools(self) -> bool:
        """It always does."""
        return True


@dataclass(frozen=True)
class PooledMap(Base):
    """The mean of the last map, kept as a map of one place."""

    pick: Pick = "mean"


@dataclass(frozen=True)
class SequenceHead(Head):
    """Base of heads that score whole sequences."""

    pick: Pick = "first"
    summary: str = ""  # map of the token that the config's `summary_…` settings pick instead
    column: bool = False  # they pick from the padded rectangle, where padding is zero
    optional: ClassVar[tuple[str, ...]] = ("head.summary.map",)

    def rows(self, settings: Settings) -> dict[str, str]:
        """Return the rows of names: ours → theirs."""
        return super().rows(settings) | ({"head.summary.map": self.summary} if self.summary else {})


@dataclass(frozen=True)
class Projection(SequenceHead):
    """A vector for each sequence, of a width that other inputs' vectors share."""

    result: str = "text_embeds"

    @property
    def labels(self) -> tuple[str, ...]:
        """It has none."""
        return ()
