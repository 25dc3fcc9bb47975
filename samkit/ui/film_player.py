"""A film that plays and scrubs beside its charts: a line runs through them with the film, and a click on a chart goes to that moment.

Streamlit's own player tells the server nothing of where it stands, so film and charts are one small page of their own, made of plain HTML.
"""

import base64
import json

import streamlit as st

from samkit.ui.style import ACCENTS, is_dark

HEIGHT_PX = 590
CHARTS = (("object_score", "Object score", 0.0), ("predicted_iou", "Predicted IoU", None), ("area_share", "Share of the frame", None))
"""column, title, value of the dashed line."""

_PAGE = """
<style>
  body { margin: 0; font: 13px "Source Sans", system-ui, sans-serif; color: {{TEXT}}; background: transparent; font-variant-numeric: tabular-nums; }
  video { display: block; width: 100%; max-height: 340px; background: #000; border-radius: 4px; }
  .where { display: flex; gap: 1.2em; padding: 6px 2px 2px; flex-wrap: wrap; min-height: 1.4em; }
  figure { margin: 4px 0 0; }
  figcaption { opacity: .8; }
  svg { display: block; width: 100%; height: 56px; cursor: crosshair; background: rgba(128,128,128,.08); border-radius: 3px; }
  svg:focus { outline: 2px solid {{ACCENT}}; }
</style>
<video id="film" controls playsinline muted preload="auto" src="data:video/mp4;base64,{{FILM}}"></video>
<div class="where" id="where"></div>
<div id="charts"></div>
<script>
const rows = {{ROWS}}, charts = {{CHARTS}}, fps = {{FPS}}, film = document.getElementById("film"), where = document.getElementById("where");
const lines = [];
const at = () => Math.max(0, Math.min(rows.length - 1, Math.floor(film.currentTime * fps + 1e-3)));
const go = index => { film.currentTime = (Math.max(0, Math.min(rows.length - 1, index)) + 0.5) / fps; };
for (const [column, title, mark] of charts) {
  const values = rows.map(row => row[column]);
  let low = Math.min(...values, mark ?? Infinity), high = Math.max(...values, mark ?? -Infinity);
  if (high - low < 1e-9) { low -= 0.5; high += 0.5; }
  const x = i => rows.length > 1 ? 1000 * i / (rows.length - 1) : 500, y = v => 54 - 52 * (v - low) / (high - low);
  const figure = document.createElement("figure");
  const path = values.map((v, i) => `${i ? "L" : "M"}${x(i).toFixed(1)} ${y(v).toFixed(1)}`).join("");
  const level = mark === null ? 0 : y(mark);
  const dash = mark === null ? "" : `<line x1="0" x2="1000" y1="${level}" y2="${level}" stroke="{{TEXT}}" opacity=".5"
    stroke-dasharray="6 5" vector-effect="non-scaling-stroke"/>`;
  figure.innerHTML = `<figcaption>${title} <span style="opacity:.7">${low.toFixed(2)} to ${high.toFixed(2)}</span></figcaption>
    <svg viewBox="0 0 1000 56" preserveAspectRatio="none" tabindex="0" role="slider" aria-label="${title} over the film; arrow keys step by a frame">${dash}
    <path d="${path}" fill="none" stroke="{{ACCENT}}" stroke-width="2" vector-effect="non-scaling-stroke"/>
    <line class="now" y1="0" y2="56" stroke="{{TEXT}}" stroke-width="1.5" vector-effect="non-scaling-stroke"/></svg>`;
  const svg = figure.querySelector("svg");
  const seek = event => { const box = svg.getBoundingClientRect(); go(Math.round((event.clientX - box.left) / box.width * (rows.length - 1))); };
  svg.addEventListener("pointerdown", event => { film.pause(); seek(event); svg.setPointerCapture(event.pointerId); svg.onpointermove = seek; });
  svg.addEventListener("pointerup", () => { svg.onpointermove = null; });
  svg.addEventListener("keydown", event => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) { film.pause(); go(at() + step); event.preventDefault(); }
  });
  document.getElementById("charts").append(figure);
  lines.push([figure.querySelector(".now"), x]);
}
function show() {
  const index = at(), row = rows[index];
  for (const [line, x] of lines) { line.setAttribute("x1", x(index)); line.setAttribute("x2", x(index)); }
  where.innerHTML = `<b>Frame ${row.frame}</b><span>${row.time_s.toFixed(2)} s</span><span>object score ${row.object_score.toFixed(1)}</span>` +
    `<span>mask ${row.best}, predicted IoU ${row.predicted_iou.toFixed(2)}</span><span>${(100 * row.area_share).toFixed(1)} % of the frame</span>` +
    (row.object_score > 0 ? "" : "<span>held to be absent</span>");
  document.body.dataset.frame = row.frame;
  requestAnimationFrame(show);
}
show();
</script>
"""


def film_player(film: bytes, rows: list[dict], fps: float) -> None:
    """Draw the player. film: an MP4 file whose frames are `rows`, in order of frame; fps: its frames per second."""
    dark = is_dark()
    told = [{name: row[name] for name in ("frame", "time_s", "object_score", "best", "predicted_iou", "area_share")} for row in rows]
    parts = {
        "TEXT": "#e6eaed" if dark else "#22303a",
        "ACCENT": ACCENTS["dark" if dark else "light"],
        "FILM": base64.b64encode(film).decode(),
        "ROWS": json.dumps(told),
        "CHARTS": json.dumps(CHARTS),
        "FPS": repr(float(fps)),
    }
    page = _PAGE
    for name, value in parts.items():
        page = page.replace("{{" + name + "}}", value)
    st.iframe(page, height=HEIGHT_PX, alt="The film with its masks, and charts that follow it")
