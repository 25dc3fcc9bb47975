"""Views of the chosen mask that several experiments give among their pictures."""

from samkit.ui.bench.page import Scene
from samkit.ui.parts.inline_image import inline_image


def draw_original(scene: Scene) -> None:
    inline_image(scene.result.images["original"], "Original view of the chosen mask", "samkit-figure")


def draw_binary(scene: Scene) -> None:
    inline_image(scene.result.images["binary"], "Binary view of the chosen mask", "samkit-figure", lossless=True)
