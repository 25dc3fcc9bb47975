"""Where the model's maps lie on the picture."""

import pytest
import torch
from torch.nn import functional as F

from samkit.models.geometry import plan_geometry, restore_size


@pytest.mark.parametrize("size", [(30, 50), (50, 30), (41, 43), (7, 64)])
@pytest.mark.parametrize("side", [64, 96])
def test_maps_over_the_padded_input_come_back_as_the_official_package_brings_them(size, side):
    geometry = plan_geometry(size, "sam1", side, "native", 16)
    maps = torch.randn(3, side // 4, side // 4, generator=torch.Generator().manual_seed(0))
    height, width = geometry.resized_size
    whole = F.interpolate(maps[None], geometry.padded_size, mode="bilinear", align_corners=False)[..., :height, :width]
    wanted = F.interpolate(whole, size, mode="bilinear", align_corners=False)[0]
    torch.testing.assert_close(restore_size(maps, geometry), wanted, rtol=0, atol=1e-6)
