"""depth-estimation: how far away every pixel of a picture is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from armature.pipelines.batching import Row
from armature.pipelines.images import ImagePipeline
from armature.pipelines.options import PictureOptions
from armature.pipelines.pictures import Depths


class DepthEstimationPipeline(ImagePipeline):
    """Tells depths: `{"predicted_depth": <tensor>, "depth": <image>}`, both of the picture's size.

    The image shows them from 0 to 255. Whether near or far things have the larger numbers depends
    on how the model was trained.
    """

    default_task = "depth-estimation"
    options_type = PictureOptions

    def compute(self, rows: Sequence[Row], options: PictureOptions) -> list[Any]:
        """Return the depths of each picture, (height, width)."""
        made = self.processed(rows, "post_process_depth_estimation")
        return [one["predicted_depth"].clone() for one in made]

    def finish(
        self, item: Any, parts: Sequence[tuple[Row, Any]], options: PictureOptions
    ) -> Depths:
        """Show the depths as an image, too."""
        from PIL import Image

        found = parts[0][1]
        depth = found.float().cpu().numpy()
        spread = depth.max() - depth.min()
        level = (depth - depth.min()) / spread if spread else np.zeros_like(depth)
        image = Image.fromarray((level * 255).astype(np.uint8))
        return Depths(predicted_depth=found, depth=image).of(item)
