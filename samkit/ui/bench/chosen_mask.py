"""Views of the chosen mask that several experiments give among their pictures."""

from samkit.ui.bench.page import Scene
from samkit.ui.parts.picture_view import picture_view, view_name


def draw_original(scene: Scene) -> None:
    view = view_name(scene.inputs.picture)
    picture_view(scene.result.images["original"], "Original view of the chosen mask", view)


def draw_binary(scene: Scene) -> None:
    view = view_name(scene.inputs.picture)
    picture_view(scene.result.images["binary"], "Binary view of the chosen mask", view, lossless=True)
