"""Pictures in, masks out: numpy, Pillow, OpenCV and pycocotools, without torch and without a screen."""
