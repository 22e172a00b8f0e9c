"""A pyramid under a class name: the feature maps of its stages are its result."""

from __future__ import annotations

from armature.outputs.images import FeatureMaps
from armature.pretrained import PreTrainedModel


class BackboneModel(PreTrainedModel):
    """A model that gives feature maps, and says of which stages and how wide they are."""

    def _maps(self) -> FeatureMaps:
        assert isinstance(self.head, FeatureMaps)
        return self.head

    @property
    def out_features(self) -> list[str]:
        """Names of the stages whose maps it gives."""
        return list(self._maps().names)

    @property
    def out_indices(self) -> list[int]:
        """Places of those stages; 0 is the embedded image."""
        return list(self._maps().stages)

    @property
    def channels(self) -> list[int]:
        """C of each map."""
        return list(self._maps().channels)

    @property
    def stage_names(self) -> list[str]:
        """Names of all its stages, also of those whose maps it keeps."""
        return list(self._maps().every)

    @property
    def num_features(self) -> list[int]:
        """C of the maps of all stages."""
        return list(self._maps().every.values())

    @property
    def out_feature_channels(self) -> dict[str, int]:
        """Stage → C of its map, for all stages."""
        return dict(self._maps().every)
