// Maps of numbers at token resolution: one large with a colour bar, or many as tiles. Hovering shows token and value, a
// click or Enter picks.

const bytes = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
const number = value => Number(value.toPrecision(4)).toString();

const values = map => new Float32Array(bytes(map.values).buffer);
const extent = (at, cell) => cell > 1 ? `${at * cell} to ${at * cell + cell - 1}` : `${at}`;

function paint(canvas, map, table, low, high) {
  canvas.width = map.w;
  canvas.height = map.h;
  const context = canvas.getContext("2d"), picture = context.createImageData(map.w, map.h);
  const scale = 255 / (high - low || 1);
  for (let i = 0; i < map.w * map.h; i++) {
    const value = map.clip ? map.values[i] : null;
    if (map.clip && (value < low || value >= high)) {
      const end = value < low ? 0 : 255;
      picture.data.set([end, end, end, 255], 4 * i);
      continue;
    }
    const from = map.rgb ? map.rgb : table;
    const at = map.rgb ? 3 * i : 3 * Math.max(0, Math.min(255, Math.round((map.values[i] - low) * scale)));
    picture.data.set([from[at], from[at + 1], from[at + 2], 255], 4 * i);
  }
  context.putImageData(picture, 0, 0);
}

function outline(map, tokens, color) {
  const path = tokens.map(([row, column]) => `M${column} ${row}h1v1h-1z`).join("");
  const border = `<path d="${path}" stroke="#000" stroke-width="3" opacity=".55"/>`;
  return `${border}<path d="${path}" stroke="${color}" stroke-width="1.5"/>`;
}

// A slider with two ends whose values are the map's limits: the map follows it before the page has run. What an end says
// for screen readers is written when its value is there. Ends that can't be moved say nothing of the map.
function followSlider(key, repaint) {
  const knob = key && document.querySelector(`[class*="st-key-${CSS.escape(key)}"]`);
  if (!knob) return null;
  const observer = new MutationObserver(() => {
    const ends = [...knob.querySelectorAll('input[type="range"]:enabled')].map(end => Number(end.value));
    if (ends.length === 2 && ends[0] < ends[1]) repaint(...ends);
  });
  observer.observe(knob, { subtree: true, attributes: true, attributeFilter: ["aria-valuetext"] });
  return observer;
}

const followers = new WeakMap();
// Root of each large map on the page -> its view's name, for places that are marked on all of them.
const maps = window.samkitMaps ??= new Map();

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const root = parentElement.querySelector(".maps"), table = bytes(data.table);
  const tiles = data.maps.length > 1 || data.tile;
  root.className = `maps${tiles ? " tiles" : ""}${data.pick ? " pickable" : ""}`;
  root.style.setProperty("--tile", `${data.tile || 120}px`);
  // For the sheet of keys, which looks at the page alone.
  root.getRootNode().host?.toggleAttribute("data-picks", Boolean(data.pick));
  const tip = document.createElement("div");
  tip.className = "tip";
  const figures = data.maps.map((sent, index) => {
    const map = { ...sent, clip: data.clip, ...(sent.rgb ? { rgb: bytes(sent.rgb) } : { values: values(sent) }) };
    const [low, high] = data.range || [map.low, map.high], figure = document.createElement("figure");
    figure.className = index === data.chosen ? "chosen" : "";
    const frame = document.createElement("div"), canvas = document.createElement("canvas");
    const zoomed = document.createElement("div"), whole = document.createElement("div");
    [frame.className, zoomed.className, whole.className] = ["frame", "zoomed", "whole"];
    whole.append(canvas);
    zoomed.append(whole);
    frame.append(zoomed);
    paint(canvas, map, table, low, high);
    canvas.setAttribute("role", "img");
    const reach = map.rgb ? "" : ` ${number(map.low)} to ${number(map.high)} ${data.unit}`;
    canvas.setAttribute("aria-label", `${map.title}, ${map.h * map.cell} by ${map.w * map.cell} tokens,${reach}`);
    frame.style.aspectRatio = map.ratio;
    whole.style.width = `${100 * map.wide}%`;
    whole.style.height = `${100 * map.high_part}%`;
    if (!tiles) {
      frame.dataset.view = map.view;
      frame.dataset.map = "one";
      maps.set(root, map.view);
      frame.style.width = `min(100%, calc(var(--picture-max, 460px) * ${map.ratio}))`;
      for (const part of ["x", "y", "z", "mx", "my", "mo"]) {
        frame.style.setProperty(`--v${part}`, `var(--v${map.view}-${part}, ${part === "z" ? 1 : 0})`);
      }
    }
    if (map.marks?.length || map.spot) {
      const svg = `<svg viewBox="0 0 ${map.w} ${map.h}" preserveAspectRatio="none">`;
      const marks = outline(map, map.marks || [], "#fff"), spot = map.spot ? outline(map, [map.spot], "#ff4fd8") : "";
      whole.insertAdjacentHTML("beforeend", `${svg}${marks}${spot}</svg>`);
    }
    const token = event => {
      const box = canvas.getBoundingClientRect();
      const at = (where, start, length, count) =>
        Math.max(0, Math.min(count - 1, Math.floor((where - start) / length * count)));
      return [at(event.clientY, box.top, box.height, map.h), at(event.clientX, box.left, box.width, map.w)];
    };
    frame.onpointermove = event => {
      const [row, column] = token(event), i = row * map.w + column, home = root.getBoundingClientRect();
      const measured = () => [number(map.values[i]), ...(data.unit ? [data.unit] : [])].join(" ");
      const value = map.rgb ? map.rgb.slice(3 * i, 3 * i + 3).join(", ") : measured();
      const place = `row ${extent(row, map.cell)}, column ${extent(column, map.cell)}`;
      tip.textContent = `${place}: ${value}${map.cell > 1 ? " at most" : ""}`;
      tip.classList.add("shown");
      tip.style.left = `${Math.max(0, Math.min(event.clientX - home.left + 12, home.width - tip.offsetWidth))}px`;
      const above = event.clientY - home.top - 32;
      tip.style.top = `${above < 0 ? above + 50 : above}px`;
    };
    frame.onpointerleave = () => tip.classList.remove("shown");
    if (data.pick) {
      const pick = (row, column) =>
        setTriggerValue("picked", { map: index, row: row * map.cell, column: column * map.cell });
      frame.onclick = event => pick(...token(event));
      frame.tabIndex = 0;
      frame.setAttribute("role", "button");
      frame.setAttribute("aria-label", `${data.pick}: ${map.title}`);
      frame.onkeydown = event => {
        const [row, column] = map.spot || [0, 0];
        const moves = { Enter: [0, 0], ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
        const move = moves[event.key];
        if (!move || (tiles && event.key !== "Enter")) return;
        event.preventDefault();
        pick(Math.max(0, Math.min(map.h - 1, row + move[0])), Math.max(0, Math.min(map.w - 1, column + move[1])));
      };
    }
    figure.append(frame);
    if (map.title && tiles) {
      const caption = document.createElement("figcaption"), note = document.createElement("span");
      caption.textContent = map.title + " ";
      note.textContent = map.note;
      caption.title = `${map.title} ${map.note}`;
      caption.append(note);
      figure.append(caption);
    }
    if (!tiles && !map.rgb) {
      const bar = document.createElement("div"), ramp = document.createElement("canvas");
      bar.className = "bar";
      const ramped = { w: 256, h: 1, values: Float32Array.from({ length: 256 }, (_, i) => i) };
      paint(ramp, ramped, table, 0, 255);
      bar.append(number(low), ramp, `${number(high)} ${data.unit}`);
      figure.append(bar);
    }
    return figure;
  });
  root.replaceChildren(...figures, tip);
  followers.get(root)?.disconnect();
  const follower = followSlider(data.follow, (low, high) => {
    const map = { ...data.maps[0], clip: data.clip, values: values(data.maps[0]) };
    paint(root.querySelector(".whole canvas"), map, table, low, high);
    root.querySelector(".bar").firstChild.textContent = number(low);
    root.querySelector(".bar").lastChild.textContent = `${number(high)} ${data.unit}`;
  });
  if (follower) followers.set(root, follower);
  return () => maps.delete(root);
}
