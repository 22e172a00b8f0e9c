"""Videos: frames read one by one, and laid after each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from armature.errors import ArgumentError
from armature.inputs.encoding import BatchEncoding
from armature.inputs.tensors import stacked

if TYPE_CHECKING:
    from armature.inputs.image.processor import ImageProcessor as Base
else:
    Base = object


class Videos(Base):
    """Reads videos, each of them a list of pictures, or an array (frames, …) of them."""

    def __call__(  # type: ignore[override]
        self,
        videos: Any = None,
        return_tensors: str | None = None,
        *,
        images: Any = None,
        **overrides: Any,
    ) -> BatchEncoding:
        """Make of one or several videos what a model reads.

        Args:
            videos: the frames of one, as an image processor reads pictures; or several videos;
                or a picture, which is a video of one frame.
            images: the same by its other name.
            return_tensors: "pt", "np", or None for a list of arrays (frames, C, height, width).
            overrides: settings of this call alone.

        Returns:
            pixel_values (B, frames, C, height, width).

        Raises:
            ArgumentError: there is no frame, or the videos have different lengths or sizes.
        """
        made = [
            super(Videos, self).__call__(list(video), return_tensors="np", **overrides)
            for video in _several(images if videos is None else videos)
        ]
        found = [one["pixel_values"] for one in made]
        if return_tensors is None:
            return BatchEncoding({"pixel_values": found})
        whole = stacked("pixel_values", found, return_tensors, "videos of as many frames")
        return BatchEncoding({"pixel_values": whole})

    preprocess = __call__


def _several(videos: Any) -> list[Any]:
    """Return videos, each of them frames.

    Raises:
        ArgumentError: there is no frame.
    """
    dimensions = getattr(videos, "ndim", None)
    alone = not isinstance(videos, list | tuple) and dimensions not in (4, 5)
    found = [videos] if alone else list(videos)
    if not found:
        raise ArgumentError("There is no frame in the video: give one or more.")
    nested = isinstance(found[0], list | tuple) or getattr(found[0], "ndim", 0) == 4
    return found if nested else [found]
