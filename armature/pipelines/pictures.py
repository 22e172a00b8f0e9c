"""Results that draw themselves on the picture they speak of, and stay plain lists and dicts."""

from __future__ import annotations

import base64
import html
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image


class Drawn:
    """What can draw itself: in a window, into a file, in a notebook."""

    source: Any = None
    """The picture, as the caller gave it; it is opened again when something is drawn."""

    def of(self, source: Any) -> Any:
        """Remember the picture that the result speaks of, and return the result."""
        self.source = source
        return self

    def image(self) -> Image:
        """Return the picture with the result drawn on it.

        Raises:
            ArgumentError: the picture is not known, or gone.
        """
        from armature.errors import ArgumentError
        from armature.inputs.image.pictures import photo

        if self.source is None:
            raise ArgumentError(
                "this result does not know its picture.\n  → name it: result.of('photo.jpg').show()"
            )
        return self.draw(photo(self.source))

    def draw(self, picture: Image) -> Image:
        """Return a picture with the result drawn on it."""
        raise NotImplementedError

    def show(self) -> None:
        """Open a window that shows the picture with the result."""
        self.image().show()

    def save(self, path: str | Path) -> None:
        """Write the picture with the result into a file, of the kind that its name says."""
        self.image().save(path)

    def _repr_html_(self) -> str:
        if self.source is None:
            return f"<pre>{html.escape(repr(self))}</pre>"
        file = io.BytesIO()
        self.image().save(file, "PNG")
        return f'<img src="data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}">'


class Labels(Drawn, list):
    """Labels of a whole picture, drawn as bars."""

    def draw(self, picture: Image) -> Image:
        """Return a picture with the result drawn on it."""
        from armature.pipelines import drawing

        return drawing.bars(picture, self)


class Boxes(Drawn, list):
    """Things found in a picture, each with its box."""

    def draw(self, picture: Image) -> Image:
        """Return a picture with the result drawn on it."""
        from armature.pipelines import drawing

        return drawing.boxes(picture, self)


class Masks(Drawn, list):
    """Things found in a picture, each with its pixels."""

    def draw(self, picture: Image) -> Image:
        """Return a picture with the result drawn on it."""
        from armature.pipelines import drawing

        return drawing.masks(picture, self)


class Depths(Drawn, dict):
    """How far away every pixel is, drawn instead of the picture: near is bright."""

    def draw(self, picture: Image) -> Image:
        """Return a picture with the result drawn on it."""
        from armature.pipelines import drawing

        return drawing.heat(picture, self["predicted_depth"].float().cpu().numpy())


class Attention(Drawn, dict):
    """How much a model looked at each place: `{"attention": (down, across), "window": …}`.

    The window is what it saw of the picture: top, left, bottom and right in shares of its sides.
    """

    def draw(self, picture: Image) -> Image:
        """Return a picture with the result drawn on it."""
        from armature.pipelines import drawing

        window = self.get("window", (0.0, 0.0, 1.0, 1.0))
        return drawing.looks(picture, self["attention"].float().cpu().numpy(), window)
