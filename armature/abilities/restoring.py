"""What restores images patch after patch, under a class name: patches of images, and back."""

from __future__ import annotations

from torch import Tensor

from armature.errors import ArgumentError
from armature.layers.patches import pictured, squares
from armature.pretrained import PreTrainedModel


class RestoringModel(PreTrainedModel):
    """A model whose answer are the pixels of each patch, and what makes images of them."""

    @property
    def _patch(self) -> tuple[int, int]:
        return self.stack.embed.patch.kernel_size

    def patchify(self, pixel_values: Tensor, *, interpolate_pos_encoding: bool = False) -> Tensor:
        """Return the pixels of each patch as the model restores them, (B, patches, pixels).

        Args:
            pixel_values: images (B, C, height, width).
            interpolate_pos_encoding: whether they may have another size than the model's.

        Raises:
            ArgumentError: they hold parts of patches.
        """
        sides = pixel_values.shape[2:]
        parts = any(side % one for side, one in zip(sides, self._patch, strict=True))
        if parts and not interpolate_pos_encoding:
            raise ArgumentError(
                f"images of {sides[0]} × {sides[1]} pixels hold parts of patches of "
                f"{self._patch[0]} × {self._patch[1]}: cut them, or pass "
                "interpolate_pos_encoding=True"
            )
        return squares(pixel_values, self._patch)

    def unpatchify(
        self,
        patchified_pixel_values: Tensor,
        original_image_size: tuple[int, int] | None = None,
    ) -> Tensor:
        """Return images (B, C, height, width) of the pixels of their patches.

        Args:
            patchified_pixel_values: (B, patches, pixels), as `logits` are.
            original_image_size: height and width; None: those the model was made for.

        Raises:
            ArgumentError: there are more or fewer patches than such an image has.
        """
        grid = self.stack.embed.grid
        if original_image_size is not None:
            height, width = original_image_size
            grid = (height // self._patch[0], width // self._patch[1])
        if grid[0] * grid[1] != patchified_pixel_values.shape[1]:
            raise ArgumentError(
                f"there are {patchified_pixel_values.shape[1]} patches, but such an image has "
                f"{grid[0]} × {grid[1]}: name the size of the images"
            )
        return pictured(patchified_pixel_values, grid, self._patch)
