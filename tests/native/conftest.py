"""What tests of the kernels share."""

from __future__ import annotations

import pytest

from armature.native import library

kernels = library.kernels()


@pytest.fixture(params=range(kernels.armature_level() + 1) if kernels else [0])
def level(request):
    kernels.armature_use(request.param)
    yield request.param
    kernels.armature_use(-1)
