"""The picture of the rooms in docs/architecture.md shows the rooms as they are."""

from tools.rooms import PICTURE, ROWS, count_files, count_imports, draw

BOXES = {
    room: (row, box) for row, boxes in enumerate(ROWS) for box, (names, _) in enumerate(boxes) for room in names.split()
}
"""room -> (row from the top, box in it)."""


def test_every_room_is_in_the_picture():
    assert set(BOXES) == set(count_files()) - {"__main__"}


def test_imports_run_downwards_only():
    pairs = [pair for pair in count_imports() if all(room in BOXES for room in pair)]
    assert len(pairs) > len(BOXES)
    for importing, imported in pairs:
        same_box = BOXES[importing] == BOXES[imported]
        assert same_box or BOXES[importing][0] < BOXES[imported][0], f"{importing} imports from {imported}"


def test_the_picture_is_as_it_is_drawn():
    assert PICTURE.read_text(encoding="utf-8") == draw(count_files()), "python -m tools.rooms --draw"
