// Object score, predicted IoU and area over the film, a line for each object; a line across marks the player's frame,
// and a press goes there.

const CHARTS = [["object_score", "Object score", 0], ["predicted_iou", "Predicted IoU", null], ["area_share", "Share of the frame", null]];
const WIDTH = 1000, HEIGHT = 66;
const here = new WeakMap();

// The ends of what was measured, with as many digits as tell them apart: "0.0512 to 0.0538".
function told(low, high) {
  if (!(high > low)) return Number(low.toPrecision(3)).toString();
  const digits = Math.min(6, Math.max(2, 1 - Math.floor(Math.log10(high - low))));
  const ends = [low, high].map(value => value.toFixed(digits));
  return ends[0] === ends[1] ? ends[0] : ends.join(" to ");
}

class Charts {
  constructor(root) {
    this.root = root.querySelector(".charts");
    this.figures = CHARTS.map(([column, title, level]) => this.figure(column, title, level));
    this.root.replaceChildren(...this.figures.map(each => each.figure));
    this.heard = () => this.draw();
    window.addEventListener("samkit:film", this.heard);
  }

  get player() { return window.samkitPlayers?.get("film"); }

  figure(column, title, level) {
    const figure = document.createElement("figure");
    figure.innerHTML = `<figcaption><b>${title}</b><span></span></figcaption>
      <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" tabindex="0" role="slider"
        aria-label="${title} over the film; arrow keys step by a frame"><g></g>
      <line class="now" y1="0" y2="${HEIGHT}" stroke="currentColor" stroke-width="1.5" vector-effect="non-scaling-stroke"/></svg>`;
    const svg = figure.querySelector("svg");
    const at = event => {
      const box = svg.getBoundingClientRect();
      return Math.round((event.clientX - box.left) / box.width * (this.data.length - 1));
    };
    const scrub = event => this.player?.scrub(Math.max(0, Math.min(this.data.length - 1, at(event))));
    svg.addEventListener("pointerdown", event => {
      svg.setPointerCapture(event.pointerId);
      svg.onpointermove = scrub;
      scrub(event);
    });
    svg.addEventListener("pointerup", () => {
      svg.onpointermove = null;
      this.player?.rest();
    });
    svg.addEventListener("keydown", event => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      event.stopPropagation();
      this.player?.step(step);
    });
    return { figure, column, level, svg };
  }

  update(data) {
    this.data = data;
    this.draw();
  }

  draw() {
    const { player } = this;
    const tracks = player?.tracks ?? this.data.rows.tracks, frame = player?.frame ?? this.data.frame;
    const x = n => this.data.length > 1 ? WIDTH * n / (this.data.length - 1) : WIDTH / 2;
    for (const { figure, column, level, svg } of this.figures) {
      const values = tracks.flatMap(track => track[column]).filter(value => value !== null);
      const range = told(Math.min(...values), Math.max(...values));
      let low = Math.min(...values, level ?? Infinity), high = Math.max(...values, level ?? -Infinity);
      if (!values.length) [low, high] = [0, 1];
      if (high - low < 1e-9) [low, high] = [low - 0.5, high + 0.5];
      const y = value => HEIGHT - 2 - (HEIGHT - 4) * (value - low) / (high - low);
      const dash = level === null || !values.length ? "" : `<line x1="0" x2="${WIDTH}" y1="${y(level)}" y2="${y(level)}"
        stroke="currentColor" opacity=".5" stroke-dasharray="6 5" vector-effect="non-scaling-stroke"/>`;
      const paths = tracks.map((track, number) => {
        const color = this.data.objects[number]?.color ?? "currentColor";
        const order = track.frame.map((_, i) => i).sort((a, b) => track.frame[a] - track.frame[b]);
        let path = "", before = null;
        for (const i of order) {
          if (track[column][i] === null) { before = null; continue; }
          const joined = before !== null && track.frame[i] === before + 1;
          path += `${joined ? "L" : "M"}${x(track.frame[i]).toFixed(1)} ${y(track[column][i]).toFixed(1)}`;
          if (!joined) path += "l0.01 0";
          before = track.frame[i];
        }
        const marks = track.marked.map(n => `<line x1="${x(n)}" x2="${x(n)}" y1="0" y2="${HEIGHT}" stroke="${color}"
          opacity=".55" stroke-dasharray="2 3" vector-effect="non-scaling-stroke"/>`).join("");
        return `${marks}<path d="${path}" fill="none" stroke="${color}" stroke-width="2" stroke-linecap="round"
          vector-effect="non-scaling-stroke"/>`;
      });
      svg.querySelector("g").innerHTML = dash + paths.join("");
      figure.querySelector("span").textContent = values.length ? range : "no run yet";
      const now = svg.querySelector(".now");
      for (const end of ["x1", "x2"]) now.setAttribute(end, x(frame));
      svg.setAttribute("aria-valuenow", frame);
    }
  }

  leave() {
    window.removeEventListener("samkit:film", this.heard);
  }
}

export default function ({ data, parentElement }) {
  let charts = here.get(parentElement);
  if (!charts) here.set(parentElement, charts = new Charts(parentElement));
  charts.update(data);
  return () => {
    charts.leave();
    here.delete(parentElement);
  };
}
