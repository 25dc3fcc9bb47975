// What is seen of a canvas: the picture, the chosen mask and the prompts, drawn above the canvas that takes the mouse.
// Prompts keep their size at any zoom. What a visitor has just done is shown before the server knows it.

const SVG = "http://www.w3.org/2000/svg";
const LIVE_SIDE_PX = 900;
const FULL_ABOVE = 1.3;  // of the smaller picture's own size: then the larger one is fetched
const LOOK_KEY = "samkit.mask";
const LIVE_KEY = "samkit.live";
const SLOW_DECODE_MS = 100;
const LOOK_AGAIN_MS = 3000;  // where decoding was slow, perhaps beside a run of the server
const PENDING_MS = 8000;
const ALL_MASKS = [0, 1, 2, 3];
const ARM_PX = 18, ARMS = "M-18 0H-4M4 0H18M0-18V-4M0 4V18", RING = "M-12 0A12 12 0 1 1 12 0A12 12 0 1 1-12 0";
const SMALL_GRID = 128;  // of logits a side: then all masks are sent for a hovering pointer, and a click has them at once

const stages = window.samkitStages ??= new Map();
const remembered = (key, otherwise) => {
  try {
    return JSON.parse(localStorage.getItem(key)) ?? otherwise;
  } catch {
    return otherwise;
  }
};
const look = window.samkitLook ??= { style: "fill", opacity: 0.45, ...remembered(LOOK_KEY, {}) };

function remember(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch { /* a browser that keeps nothing */ }
}

const samePoint = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]) < 2e-4 && a[2] === b[2];
const sameBox = (a, b) => a.every((value, at) => Math.abs(value - b[at]) < 2e-4);
const same = (a, b) => a.length === b.length && (a.length === 3 ? samePoint(a, b) : sameBox(a, b));
const sameShapes = (some, others) => some.length === others.length && some.every(each => others.some(other => same(each, other)));
const listed = ({ points, boxes }) => [...points, ...boxes];
const asPrompts = shapes => ({
  points: shapes.filter(each => each.length === 3),
  boxes: shapes.filter(each => each.length === 4),
});

class Stage {
  data = null;
  masks = [];       // of the server: images, by index
  others = [];      // of other objects: { color, image, prompts }
  live = null;      // the answer to what was clicked last, until the server's masks are there
  hovered = null;   // the answer under the pointer
  pending = [];     // what was done and is not in the server's list: { add } or { remove }
  selected = null;
  band = null;      // the box being drawn
  drag = null;      // the prompt being moved: { from, to }
  cross = null;     // the keyboard's place on the picture
  channel = null;

  constructor(root) {
    this.root = root;
    for (const name of ["picture", "mask", "prompts", "inner"]) this[name] = root.querySelector(`.${name}`);
    this.seen = new ResizeObserver(() => this.drawMask());
    this.seen.observe(root);
  }

  update(data) {
    const other = this.data?.view !== data.view;
    if (other) {
      [this.masks, this.others, this.live, this.hovered, this.selected, this.pending] = [[], [], null, null, null, []];
      this.unlisten?.();
      this.unlisten = views.listen(data.view, () => this.moved());
    }
    this.data = data;
    this.settle();
    if (this.picture.dataset.url !== data.picture) {
      this.picture.dataset.url = data.picture;
      this.picture.src = data.picture;
      delete this.picture.dataset.full;
    }
    this.connect(data.live);
    this.moved();
    if (other) this.drawMask();
  }

  // What the server has taken is not pending any more.
  settle() {
    const list = listed(this.data.prompts), now = performance.now();
    this.pending = this.pending.filter(({ add, remove, op, at }) => {
      if (op ? op <= this.data.done : now - at > PENDING_MS) return false;
      return add ? !list.some(each => same(each, add)) : list.some(each => same(each, remove));
    });
    if (this.selected && !this.shapes().some(each => same(each, this.selected))) this.selected = null;
  }

  // The prompts as the visitor sees them.
  shapes() {
    let shapes = listed(this.data.prompts);
    for (const { add, remove } of this.pending) {
      if (remove) shapes = shapes.filter(each => !same(each, remove));
      if (add && !shapes.some(each => same(each, add))) shapes.push(add);
    }
    if (this.drag) shapes = shapes.map(each => (same(each, this.drag.from) ? this.drag.to : each));
    return shapes;
  }

  pend(changes) {
    const at = performance.now();
    this.pending.push(...changes.map(each => ({ at, ...each })));
    this.drawPrompts();
  }

  // overlay: view, prompts, masks (pictures as addresses, white where the mask is), chosen, threshold, others
  setOverlay(overlay) {
    this.overlay = overlay;
    const load = url => url && Object.assign(new Image(), { src: url });
    const images = overlay.masks.map(load);
    const others = overlay.others.map(each => ({ ...each, image: load(each.mask) }));
    const all = [...images, ...others.map(({ image }) => image)].filter(Boolean);
    Promise.all(all.map(image => image.decode().catch(() => null))).then(() => {
      if (this.overlay !== overlay || this.data?.view !== overlay.view) return;
      this.masks = images;
      this.others = others;
      this.chosen = overlay.chosen;
      if (sameShapes(this.shapes(), listed(overlay.prompts))) this.live = null;
      this.drawMask();
      this.drawPrompts();
    });
  }

  choose(index) {
    this.chosen = index;
    if (this.overlay) this.overlay.own = true;
    if (this.live) this.live.chosen = index;
    this.hovered = null;
    this.drawMask();
  }

  setLook(change) {
    Object.assign(look, change);
    remember(LOOK_KEY, look);
    for (const stage of stages.values()) stage.drawMask();
  }

  size() {
    const box = this.root.getBoundingClientRect(), dense = Math.min(2, devicePixelRatio || 1);
    const scale = Math.min(dense * Math.min(2, views.state(this.data.view).z), LIVE_SIDE_PX / Math.max(box.width, box.height, 1));
    return [Math.max(2, Math.round(box.width * scale)), Math.max(2, Math.round(box.height * scale))];
  }

  // The mask that is to be seen, as something that can be drawn; null where there is none.
  shown() {
    const [width, height] = this.size(), cut = this.threshold;
    if (this.hovered) return maskOf(this.hovered, this.hovered.best, width, height, cut);
    if (this.live) return maskOf(this.live, this.live.chosen, width, height, cut);
    const image = this.masks[this.chosen];
    return image?.naturalWidth ? alphaOf(image) : null;
  }

  drawMask() {
    const canvas = this.mask, context = canvas.getContext("2d");
    if (!this.data || !this.root.isConnected) return;
    const source = look.style === "off" && !this.hovered ? null : this.shown();
    const others = look.style === "off" ? [] : this.others.filter(({ image }) => image?.naturalWidth);
    if (!source && !others.length) {
      context.clearRect(0, 0, canvas.width, canvas.height);
      return;
    }
    const { width, height } = source ?? alphaOf(others[0].image);
    [canvas.width, canvas.height] = [width, height];
    const shownWidth = this.root.clientWidth * views.state(this.data.view).z || 1;
    const edge = Math.max(1, (this.hovered ? 1.2 : 1.6) * width / shownWidth);
    if (source) {
      const filled = look.style === "fill" || (this.hovered && look.style === "off");
      paintMask(context, source, this.data.color, filled, edge, this.hovered ? "#fff" : null);
    }
    if (!others.length) return;
    context.globalCompositeOperation = "destination-over";
    context.drawImage(this.backdrop(others, width, height, edge), 0, 0);
    context.globalCompositeOperation = "source-over";
  }

  // The masks of other objects, drawn once for a size and a look: they are the same under each place of the pointer.
  backdrop(others, width, height, edge) {
    const key = [width, height, edge, look.style, look.opacity].join();
    if (this.behind?.key === key && this.behind.others === this.others) return this.behind.canvas;
    const canvas = document.createElement("canvas"), context = canvas.getContext("2d");
    [canvas.width, canvas.height] = [width, height];
    for (const { image, color } of others) {
      const layer = document.createElement("canvas"), alpha = layer.getContext("2d"), own = layer.cloneNode();
      for (const each of [layer, own]) [each.width, each.height] = [width, height];
      alpha.drawImage(alphaOf(image), 0, 0, width, height);
      paintMask(own.getContext("2d"), layer, color, look.style === "fill", edge, null);
      context.drawImage(own, 0, 0);
    }
    this.behind = { key, others: this.others, canvas };
    return canvas;
  }

  moved() {
    const { z } = views.state(this.data.view), image = this.picture;
    const wide = this.root.clientWidth * z * (devicePixelRatio || 1);
    if (this.data.full && !image.dataset.full && image.naturalWidth && wide > image.naturalWidth * FULL_ABOVE) {
      image.dataset.full = "";
      const full = Object.assign(new Image(), { src: this.data.full });
      full.decode().then(() => this.data.full === full.getAttribute("src") && (image.src = full.src)).catch(() => {});
    }
    this.drawPrompts();
  }

  place(x, y) {
    const state = views.state(this.data.view);
    return [x * state.z - state.x, y * state.z - state.y];
  }

  drawPrompts() {
    const parts = [], percent = value => `${(100 * value).toFixed(3)}%`;
    const add = (name, attributes, css) => {
      const part = document.createElementNS(SVG, name);
      for (const [key, value] of Object.entries(attributes)) part.setAttribute(key, value);
      part.setAttribute("class", css);
      parts.push(part);
      return part;
    };
    for (const { color, prompts } of this.others) this.drawOthers(add, prompts, `rgb(${color.join(" ")})`);
    const shapes = this.shapes(), boxes = shapes.filter(each => each.length === 4);
    if (this.band) boxes.push(this.band);
    for (const box of boxes) {
      const [x1, y1] = this.place(box[0], box[1]), [x2, y2] = this.place(box[2], box[3]);
      const at = { x: percent(x1), y: percent(y1), width: percent(x2 - x1), height: percent(y2 - y1) };
      const selected = this.selected && same(box, this.selected);
      add("rect", at, "halo");
      add("rect", at, `box${selected ? " selected" : ""}`);
      if (selected) {
        for (const x of [x1, x2]) for (const y of [y1, y2]) add("circle", { cx: percent(x), cy: percent(y), r: 5 }, "handle");
      }
    }
    for (const point of shapes.filter(each => each.length === 3)) {
      const [x, y] = this.place(point[0], point[1]), at = { cx: percent(x), cy: percent(y) };
      if (this.selected && same(point, this.selected)) add("circle", { ...at, r: 11 }, "ring");
      add("circle", { ...at, r: 7.5 }, "halo");
      add("circle", { ...at, r: 6 }, point[2] ? "foreground" : "background");
    }
    if (this.cross) this.drawCross(add);
    this.prompts.replaceChildren(...parts);
    this.whenDrawn?.();
  }

  drawCross(add) {
    const [x, y] = this.place(...this.cross), percent = value => `${(100 * value).toFixed(3)}%`;
    const { clientWidth: width, clientHeight: height } = this.root;
    // Where an edge cuts arms off, a ring shows the place.
    const isCut = [x * width, (1 - x) * width, y * height, (1 - y) * height].some(px => px < ARM_PX);
    const cross = add("svg", { x: percent(x), y: percent(y) }, "cross");
    for (const css of ["under", "over"]) {
      const arms = document.createElementNS(SVG, "path");
      arms.setAttribute("d", isCut ? ARMS + RING : ARMS);
      arms.setAttribute("class", css);
      cross.append(arms);
    }
  }

  // What marks another object: in its colour, small, out of reach of the hand.
  drawOthers(add, { points, boxes }, color) {
    const percent = value => `${(100 * value).toFixed(3)}%`;
    for (const box of boxes) {
      const [x1, y1] = this.place(box[0], box[1]), [x2, y2] = this.place(box[2], box[3]);
      const at = { x: percent(x1), y: percent(y1), width: percent(x2 - x1), height: percent(y2 - y1) };
      add("rect", { ...at, style: `stroke: ${color}` }, "other");
    }
    for (const [px, py, label] of points) {
      const [x, y] = this.place(px, py), at = { cx: percent(x), cy: percent(y) };
      add("circle", { ...at, r: 5.5 }, "halo");
      add("circle", { ...at, r: 4.5, style: label ? `fill: ${color}` : `stroke: ${color}` }, "other");
    }
  }

  connect(live) {
    if (this.channel && (this.channel.token !== live?.token)) {
      this.channel.leave();
      this.channel = null;
    }
    if (live && !this.channel) {
      this.channel = new LiveChannel(live.path, live.token, () => this.tell(), () => this.whenMissed?.());
    }
    this.tell();
  }

  // At which the page cuts logits.
  get threshold() {
    return this.overlay?.threshold ?? 0;
  }

  get liveState() {
    return this.channel?.state ?? "off";
  }

  // Whether masks follow the pointer: as the visitor has said, else where decoding is quick.
  get hovers() {
    const said = remembered(LIVE_KEY, null);
    return this.liveState === "on" && (said ?? !this.slow);
  }

  get slow() {
    return this.decodeMs >= this.quickMs;
  }

  // Whether masks would follow the pointer if decoding were quick.
  get heldBack() {
    return this.liveState === "on" && remembered(LIVE_KEY, null) === null && this.slow;
  }

  // How long the last mask took; 0 before the first.
  get decodeMs() {
    return this.channel?.decodeMs ?? 0;
  }

  // Below it masks follow the pointer by themselves.
  get quickMs() {
    return SLOW_DECODE_MS;
  }

  setHovers(on) {
    remember(LIVE_KEY, on);
    if (!on) this.leave();
    for (const stage of stages.values()) stage.tell();
  }

  tell() {
    window.dispatchEvent(new CustomEvent("samkit:stage", { detail: this.data?.frame }));
  }

  // extra: a point or box under the pointer, or null where a prompt is being moved
  hover(extra) {
    if (!this.hovers) return this.lookAgain(extra);
    const asked = performance.now();
    const shapes = [...this.shapes(), ...(extra ? [extra] : [])];
    this.wanted = true;
    this.channel.ask({ ...asPrompts(shapes), masks: this.smallGrid ? ALL_MASKS : "one", view: this.data.view }, answer => {
      if (answer) this.smallGrid = Math.max(answer.h, answer.w) <= SMALL_GRID;
      if (!answer || !this.wanted || !this.hovers) return;
      this.hovered = { ...answer, shapes };
      this.drawMask();
      this.painted("hover", asked, extra);
    });
  }

  // Whether decoding is quick by now.
  lookAgain(extra) {
    const now = performance.now();
    if (this.liveState !== "on" || remembered(LIVE_KEY, null) !== null || now < (this.looksAgainAt ?? 0)) return;
    this.looksAgainAt = now + LOOK_AGAIN_MS;
    this.channel.ask({ ...asPrompts([...this.shapes(), ...(extra ? [extra] : [])]), masks: "one", view: this.data.view }, () => this.tell());
  }

  // The pointer has left: the page's own mask is seen again.
  leave() {
    this.wanted = null;
    this.channel?.forget();
    if (!this.hovered) return;
    this.hovered = null;
    this.drawMask();
  }

  // Masks of the prompts as the visitor sees them; resolves when they are painted, or can't be.
  paintNow() {
    this.wanted = null;
    const shapes = this.shapes(), seen = this.hovered;
    if (this.liveState !== "on" || !shapes.length) {
      this.leave();
      return Promise.resolve();
    }
    const asked = performance.now();
    return new Promise(done => {
      const paint = answer => {
        this.hovered = null;
        if (answer) {
          // A mask that the visitor has chosen stays the chosen one.
          this.live = { ...answer, chosen: this.overlay?.own ? this.chosen : answer.best };
          this.drawMask();
          this.drawStrip(answer);
          this.painted("click", asked, null);
        }
        done();
      };
      // What the pointer showed, or is about to, is what was clicked.
      if (seen && seen.logits.size === ALL_MASKS.length && sameShapes(seen.shapes, shapes)) return paint(seen);
      const isThis = question => question.masks === ALL_MASKS && sameShapes(listed(question), shapes);
      if (!this.channel.join(isThis, paint)) this.channel.ask({ ...asPrompts(shapes), masks: "all", view: this.data.view }, paint);
    });
  }

  // The masks below the picture. Those of another picture may still stand there while the page runs.
  drawStrip(answer) {
    const { color, view } = this.data;
    for (const image of document.querySelectorAll(`[data-view="${view}"] img[data-mask-of="${this.data.strip}"]`)) {
      const index = Number(image.dataset.mask);
      if (!answer.logits.has(index)) continue;
      const box = image.getBoundingClientRect(), [width, height] = [Math.round(box.width), Math.round(box.height)];
      if (width < 2 || height < 2) continue;
      const mask = maskOf(answer, index, width, height, this.threshold), context = mask.getContext("2d");
      context.globalCompositeOperation = "source-in";
      context.fillStyle = `rgb(${color[0]} ${color[1]} ${color[2]} / .5)`;
      context.fillRect(0, 0, width, height);
      image.src = mask.toDataURL();
    }
  }

  painted(kind, since, at) {
    const detail = { kind, at, ms: performance.now() - since, frame: this.data.frame };
    window.dispatchEvent(new CustomEvent("samkit:painted", { detail }));
  }

  gone() {
    this.seen.disconnect();
    this.unlisten?.();
    this.channel?.leave();
  }
}

// A mask is chosen by its picture or its label, and is on the canvas before the page knows.
if (!window.samkitChoosing) {
  window.samkitChoosing = true;
  document.addEventListener("click", event => {
    const picture = event.target.closest?.("[data-mask-button]");
    const key = picture?.dataset.maskButton;
    const button = key
      ? document.querySelector(`.st-key-mask_button_${CSS.escape(key)} button`)
      : event.target.closest?.('[class*="st-key-mask_button_"] button');
    if (!button) return;
    if (picture) return button.click();
    const strip = button.closest('[class*="st-key-mask_button_"]').parentElement.querySelector("img[data-mask]");
    const stage = [...stages.values()].find(each => each.data?.strip === strip?.dataset.maskOf);
    stage?.choose(Number(strip.dataset.mask));
  }, true);
}

function alphaOf(image) {
  const canvas = document.createElement("canvas"), context = canvas.getContext("2d", { willReadFrequently: true });
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  if (image.samkitAlpha) return image.samkitAlpha;
  context.drawImage(image, 0, 0);
  const picture = context.getImageData(0, 0, canvas.width, canvas.height), { data } = picture;
  for (let at = 0; at < data.length; at += 4) data[at + 3] = data[at];
  context.putImageData(picture, 0, 0);
  return image.samkitAlpha = canvas;
}

// A mask, given as alpha, on an empty canvas of its size: its area where `filled`, and its outline. line: of another
// colour than the area.
function paintMask(context, source, [red, green, blue], filled, edge, line) {
  if (filled) {
    context.drawImage(source, 0, 0);
    context.globalCompositeOperation = "source-in";
    context.fillStyle = `rgb(${red} ${green} ${blue} / ${look.opacity})`;
    context.fillRect(0, 0, source.width, source.height);
    context.globalCompositeOperation = "source-over";
  }
  context.drawImage(outlineOf(source, edge, line ?? `rgb(${red} ${green} ${blue})`), 0, 0);
}

function outlineOf(source, width, color) {
  const canvas = document.createElement("canvas"), context = canvas.getContext("2d");
  [canvas.width, canvas.height] = [source.width, source.height];
  for (let turn = 0; turn < 8; turn++) {
    context.drawImage(source, width * Math.cos(turn * Math.PI / 4), width * Math.sin(turn * Math.PI / 4));
  }
  context.globalCompositeOperation = "destination-out";
  context.drawImage(source, 0, 0);
  context.globalCompositeOperation = "source-in";
  context.fillStyle = color;
  context.fillRect(0, 0, canvas.width, canvas.height);
  return canvas;
}
