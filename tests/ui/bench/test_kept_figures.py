"""Figures kept with a run: small, drawn without a network, and read back for the app."""

import json
import zipfile

import numpy as np
import plotly.graph_objects as go
import pytest

from samkit.errors import BadInput
from samkit.experiments.inputs import Inputs
from samkit.experiments.mask_stability import Params
from samkit.experiments.result import Result
from samkit.media.samples import load_sample
from samkit.tracking.bundle.archive import export_runs, import_runs
from samkit.tracking.bundle.bundle import write_bundle
from samkit.ui.bench.kept_figures import figure_html, read_figure
from tests.made_up_model import made_up_info

INFO = made_up_info("m", "0" * 64)
FIGURE = go.Figure(
    go.Heatmap(z=np.arange(12, dtype=np.float32).reshape(3, 4)), layout=dict(title="a </script> in a title")
)


def run(folder):
    source = dict(inputs=Inputs(load_sample("coins")), model_info=INFO, device="cpu", dtype="float32")
    figures = {"outputs/map.html": figure_html(FIGURE, "map")}
    return write_bundle(folder, result=Result("mask-stability", Params()), extra_files=figures, **source)


def test_a_figure_is_small_and_comes_back(tmp_path):
    kept = run(tmp_path / "run").path / "outputs" / "map.html"
    assert kept.stat().st_size < 20_000
    again = read_figure(kept)
    assert json.loads(again.to_json())["data"] == json.loads(FIGURE.to_json())["data"]
    assert again.layout.title.text == "a &lt;/script> in a title"


HOSTILE = go.Figure(
    [
        go.Scatter(
            x=[1, 2], y=[3, 4], name='<a href="http://evil.example/">log in</a> <b>x</b>', meta="http://evil.example"
        ),
        go.Image(source="http://evil.example/i.png"),
        go.Scattermap(lat=[1], lon=[2]),
        go.Choropleth(geojson="http://evil.example/g.json", locations=["a"], z=[1]),
    ],
    dict(
        title="<img src=http://evil.example/t.png>",
        images=[dict(source="http://evil.example/l.png")],
        map=dict(style="http://evil.example/style.json"),
        annotations=[dict(text='<a href="http://evil.example/">click</a>', x=1, y=1)],
        shapes=[dict(type="line", x0=1, x1=1, y0=0, y1=1, label=dict(text="http://evil.example"))],
        xaxis=dict(title="<a href='http://evil.example'>x</a><br>px"),
        template=dict(layout=dict(images=[dict(source="http://evil.example/d.png")])),
    ),
)


def test_a_figure_from_elsewhere_is_rebuilt_of_what_charts_are_made_of(tmp_path):
    """No images, no maps, no annotations, no links."""
    (tmp_path / "x.html").write_bytes(figure_html(HOSTILE, "x"))
    figure = read_figure(tmp_path / "x.html")
    assert [trace.type for trace in figure.data] == ["scatter"]
    assert not figure.layout.images and not figure.layout.annotations and figure.layout.shapes[0].type == "line"
    written = figure.to_json().replace("\\u003c", "<")
    assert "<a" not in written and "<img" not in written and "source" not in written and "style.json" not in written
    assert figure.data[0].name.endswith("<b>x</b>") and figure.layout.xaxis.title.text.endswith("<br>px")


@pytest.mark.parametrize(
    "text", ["", "<html>", '<script type="application/json" id="figure-numbers">{"data": </script>']
)
def test_another_file_is_a_sentence(tmp_path, text):
    (tmp_path / "x.html").write_text(text)
    with pytest.raises(BadInput, match="x.html can't be shown here"):
        read_figure(tmp_path / "x.html")


def test_an_exported_run_brings_plotly_once_and_comes_in_without_it(tmp_path):
    bundles = [run(tmp_path / name) for name in ("a", "b")]
    for count in (1, 2):
        file = export_runs(bundles[:count], tmp_path / f"{count}.zip")
        assert zipfile.ZipFile(file).namelist().count("plotly.min.js") == 1
        came = import_runs(file, tmp_path / f"in{count}")
        assert [bundle.run_uuid for bundle in came] == [bundle.run_uuid for bundle in bundles[:count]]
        assert not list((tmp_path / f"in{count}").rglob("plotly*"))


@pytest.mark.browser
def test_an_exported_figure_is_drawn_without_a_network(tmp_path, browser):
    bundles = [run(tmp_path / name) for name in ("a", "b")]
    single, several = (export_runs(bundles[:count], tmp_path / f"{count}.zip") for count in (1, 2))
    zipfile.ZipFile(single).extractall(tmp_path / "single")
    zipfile.ZipFile(several).extractall(tmp_path / "several")
    part = tmp_path / "several" / bundles[1].run_uuid
    zipfile.ZipFile(part.with_suffix(".zip")).extractall(part)
    page = browser.new_context(offline=True).new_page()
    for folder in (tmp_path / "single", part):
        page.goto((folder / "outputs" / "map.html").as_uri())
        page.locator(".js-plotly-plot .heatmaplayer image").first.wait_for(state="attached", timeout=20_000)
    page.goto((bundles[0].path / "outputs" / "map.html").as_uri())
    page.wait_for_timeout(500)
    assert "needs plotly.min.js" in page.locator("#figure").inner_text()
