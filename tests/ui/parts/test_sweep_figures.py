"""Figures of sweeps as Plotly is given them."""

from samkit.ui.parts.sweep_figures import Series, differences_figure, means_figure


def line(name, x):
    return Series(name, x, [0.5] * len(x), [0.4] * len(x), [0.6] * len(x), [3] * len(x))


def test_intervals_of_several_lines_stand_beside_each_other_and_say_their_own_place():
    first, second = means_figure([line("box", [256, 512]), line("point", [256, 512])], "side", "IoU").data
    assert first.x[0] < 256 < second.x[0] < second.x[1] and second.x[0] - first.x[0] < 0.02 * 256
    assert tuple(first.text) == tuple(second.text) == ("256", "512")
    (alone,) = means_figure([line("box", [256, 512])], "side", "IoU").data
    assert tuple(alone.x) == (256, 512)
    words = means_figure([line("box", ["8", "14"]), line("point", ["8", "14"])], "windows", "IoU").data
    assert {tuple(each.x) for each in words} == {("8", "14")}


def test_a_line_leads_from_number_to_number_and_not_from_picture_to_picture():
    for count in (1, 2):
        names = ["box", "point"][:count]
        numbers = means_figure([line(name, [256, 512]) for name in names], "side", "IoU")
        pictures = means_figure([line(name, ["coffee", "coins"]) for name in names], "picture", "IoU")
        assert {each.mode for each in numbers.data} == {"lines+markers"}
        assert {each.mode for each in pictures.data} == {"markers"}
        assert all(each.error_y.array for each in pictures.data), "their intervals stay"
        # Of several settings each has a place of its own beside a picture's others.
        assert (pictures.layout.scattermode == "group") == (count == 2) and numbers.layout.scattermode is None
        assert len({each.offsetgroup for each in pictures.data}) == count


def test_a_picture_without_a_difference_is_seen_and_has_its_number():
    bars, dots = differences_figure(["coffee"], [0.0], "B − A", 1).data
    assert (bars.type, dots.mode) == ("bar", "markers") and tuple(dots.x) == tuple(bars.x) == (1,)
    axis = differences_figure(["coffee"], [0.0], "B − A", 1).layout.xaxis
    assert axis.dtick == 1 and tuple(axis.range) == (0.4, 1.6)
