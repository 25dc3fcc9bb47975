// Zoom and pan, one state for all pictures of the same thing: canvas, main picture, masks, maps. A picture names its
// state in `data-view`; style sheets read it from variables of the page, so what is drawn later is in place at once.
//
// z: how many times larger than fitted; x, y: how far the picture is moved, in widths and heights of its frame;
// mx, my, mo: a marked place in shares of the picture, and whether it is shown.

const MAX_ZOOM = 40;

class Views {
  states = new Map();
  listeners = new Map();
  space = false;
  panning = false;
  byKeys = false;   // whether the focus was moved by keyboard last
  pinch = null;
  marked = new Set();   // names of the pictures that show a marked place

  constructor() {
    document.addEventListener("wheel", event => this.wheel(event), { capture: true, passive: false });
    document.addEventListener("keydown", event => this.spaceKey(event, true), true);
    document.addEventListener("keyup", event => this.spaceKey(event, false), true);
    document.addEventListener("keydown", event => event.key === "Tab" && (this.byKeys = true), true);
    document.addEventListener("pointerdown", event => {
      this.byKeys = false;
      this.press(event);
    }, true);
    document.addEventListener("pointermove", event => this.mark(event), true);
  }

  state(name) {
    if (!this.states.has(name)) this.states.set(name, { z: 1, x: 0, y: 0 });
    return this.states.get(name);
  }

  set(name, { z, x, y }) {
    const state = this.state(name);
    state.z = Math.max(1, Math.min(MAX_ZOOM, z));
    state.x = Math.max(0, Math.min(state.z - 1, x));
    state.y = Math.max(0, Math.min(state.z - 1, y));
    for (const part of ["z", "x", "y"]) this.publish(name, part, state[part]);
    for (const tell of this.listeners.get(name) ?? []) tell(state);
  }

  publish(name, part, value) {
    document.documentElement.style.setProperty(`--v${name}-${part}`, value);
  }

  listen(name, tell) {
    if (!this.listeners.has(name)) this.listeners.set(name, new Set());
    this.listeners.get(name).add(tell);
    return () => this.listeners.get(name).delete(tell);
  }

  // at: a place of the frame, in shares, that stays where it is.
  zoom(name, factor, at = [0.5, 0.5]) {
    const { z, x, y } = this.state(name), wanted = Math.max(1, Math.min(MAX_ZOOM, z * factor)), ratio = wanted / z;
    this.set(name, { z: wanted, x: (x + at[0]) * ratio - at[0], y: (y + at[1]) * ratio - at[1] });
  }

  pan(name, right, down) {
    const { z, x, y } = this.state(name);
    this.set(name, { z, x: x - right, y: y - down });
  }

  // A place of the frame, in shares -> of the picture.
  inside(name, u, v) {
    const { z, x, y } = this.state(name);
    return [(u + x) / z, (v + y) / z];
  }

  showMark(name, place) {
    this.publish(name, "mo", place ? 1 : 0);
    if (place) ["mx", "my"].forEach((part, at) => this.publish(name, part, place[at]));
  }

  // The frame that an event is in, through shadow roots, and the place in it.
  found(event) {
    const frame = event.composedPath().find(each => each.dataset?.view);
    if (!frame) return null;
    const box = frame.getBoundingClientRect();
    const at = [(event.clientX - box.x) / box.width, (event.clientY - box.y) / box.height];
    return { frame, box, at, name: frame.dataset.view };
  }

  wheel(event) {
    const hit = this.found(event);
    if (!hit || (this.state(hit.name).z === 1 && event.deltaY > 0 && !event.ctrlKey)) return;
    event.preventDefault();
    const step = event.deltaMode === 1 ? 30 * event.deltaY : event.deltaY;
    this.zoom(hit.name, Math.exp(-step * (event.ctrlKey ? 0.01 : 0.002)), hit.at);
  }

  spaceKey(event, down) {
    if (event.key !== " ") return;
    const target = event.composedPath()[0];
    // Of a field, of a button that was reached by keyboard, and of a canvas's crosshair the space bar stays its own.
    const field = target.matches?.("input:not([type=radio], [type=checkbox]), textarea, [contenteditable], [role=application]");
    if (down && (field || (this.byKeys && target !== document.body))) return;
    const over = [...document.querySelectorAll("[data-view]")].some(each => each.matches(":hover"));
    if (down && !over) return;
    if (down) event.preventDefault();
    this.space = down;
    document.documentElement.classList.toggle("samkit-space", down);
  }

  // Whether a press moves the picture and does nothing else.
  pans(event) {
    return event.button === 1 || (event.button === 0 && this.space);
  }

  press(event) {
    const hit = this.found(event);
    if (!hit) return;
    if (event.pointerType === "touch") this.touch(event, hit);
    const plain = event.button === 0 && !hit.frame.dataset.canvas && this.state(hit.name).z > 1;
    if (!this.pans(event) && !plain) return;
    if (!plain) {
      event.preventDefault();
      event.stopImmediatePropagation();
    }
    this.follow(event, hit);
  }

  follow(event, hit) {
    let [fromX, fromY] = [event.clientX, event.clientY];
    this.panning = true;
    const stop = new AbortController(), options = { capture: true, signal: stop.signal };
    document.addEventListener("pointermove", moved => {
      if (moved.pointerId !== event.pointerId) return;
      this.pan(hit.name, (moved.clientX - fromX) / hit.box.width, (moved.clientY - fromY) / hit.box.height);
      [fromX, fromY] = [moved.clientX, moved.clientY];
    }, options);
    for (const type of ["pointerup", "pointercancel"]) {
      document.addEventListener(type, up => {
        if (up.pointerId !== event.pointerId) return;
        stop.abort();
        // The mouse's own events come after the pointer's.
        setTimeout(() => this.panning = false);
      }, options);
    }
  }

  // Two fingers zoom and move.
  touch(event, hit) {
    const fingers = this.pinch?.name === hit.name ? this.pinch.fingers : new Map();
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
    this.pinch = { name: hit.name, fingers };
    const stop = new AbortController(), options = { capture: true, signal: stop.signal };
    const spread = () => {
      const [a, b] = [...fingers.values()];
      return { length: Math.hypot(a[0] - b[0], a[1] - b[1]) || 1, x: (a[0] + b[0]) / 2, y: (a[1] + b[1]) / 2 };
    };
    document.addEventListener("pointermove", moved => {
      if (moved.pointerId !== event.pointerId) return;
      const before = fingers.size === 2 ? spread() : null;
      fingers.set(moved.pointerId, [moved.clientX, moved.clientY]);
      if (!before) return;
      const now = spread(), { box, name } = hit;
      this.zoom(name, now.length / before.length, [(now.x - box.x) / box.width, (now.y - box.y) / box.height]);
      this.pan(name, (now.x - before.x) / box.width, (now.y - before.y) / box.height);
    }, options);
    for (const type of ["pointerup", "pointercancel"]) {
      document.addEventListener(type, up => {
        if (up.pointerId !== event.pointerId) return;
        fingers.delete(up.pointerId);
        stop.abort();
      }, options);
    }
  }

  get pinching() {
    return (this.pinch?.fingers.size ?? 0) > 1;
  }

  // The place under the pointer is marked on all other pictures of the same thing; from a map of tokens also on the maps
  // beside it, which may be of another picture.
  mark(event) {
    const hit = event.pointerType === "mouse" ? this.found(event) : null;
    const own = hit && !hit.frame.dataset.canvas ? [hit.name] : [];
    const beside = hit?.frame.dataset.map ? [...(window.samkitMaps?.values() ?? [])] : [];
    const names = new Set([...own, ...beside]);
    for (const name of this.marked) if (!names.has(name)) this.showMark(name, null);
    this.marked = names;
    if (names.size) {
      const place = this.inside(hit.name, ...hit.at);
      for (const name of names) this.showMark(name, place);
    }
  }
}

const views = window.samkitViews ??= new Views();
