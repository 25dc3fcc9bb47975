"""What is written is read by COCO's own tools, and gives the same mask both ways."""

import json

import numpy as np
import pytest
from pycocotools.coco import COCO

from samkit.media.coco import coco_annotation, coco_file, coco_image
from tests.media.test_outline import ring


@pytest.mark.parametrize("polygons", [False, True])
def test_a_file_is_read_by_coco(tmp_path, polygons):
    masks = [ring(), np.zeros((60, 90), bool)]
    masks[1][3:9, 80:] = True
    annotations = [coco_annotation(mask, number, polygons=polygons) for number, mask in enumerate(masks, start=1)]
    path = tmp_path / "coco.json"
    path.write_bytes(coco_file([coco_image("ring.png", (60, 90))], annotations))
    read = COCO(str(path))
    assert read.loadImgs([1])[0]["file_name"] == "ring.png"
    for annotation, mask in zip(read.loadAnns(read.getAnnIds([1])), masks, strict=True):
        assert np.array_equal(read.annToMask(annotation).astype(bool), mask)
        assert annotation["area"] == mask.sum()
    assert read.loadAnns([2])[0]["bbox"] == [80, 3, 10, 6]


def test_an_empty_mask_is_an_annotation_without_area():
    annotation = json.loads(json.dumps(coco_annotation(np.zeros((4, 5), bool), polygons=True)))
    assert annotation["bbox"] == [0, 0, 0, 0] and annotation["area"] == 0 and annotation["segmentation"] == []
