// The browser's side of the prompt canvas. It keeps the order of what a visitor does:
// - What was drawn is sent when the mouse button goes up: before any edit that follows. (The canvas by itself would
//   wait for 200 ms.)
// - While an edit or another tool is on its way to the canvas, a press on it is kept back, and done when the canvas has
//   it.
// - Where the browser built a canvas again with a sheet that it had already, the server is told: what was drawn on that
//   sheet is gone from it.

const LOOK_MS = 20;
const UNANSWERED_MS = 5000;  // while nothing runs: the edit asked for nothing, such as a button that was just removed
const GIVE_UP_MS = 30000;

const sheets = window.samkitSheets ??= new Set();
const sides = new WeakMap();
const appRuns = () => document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState === "running";

class BrowserSide {
  kept = [];
  pressing = false;
  drawing = false;
  asked = null;
  timer = null;
  later = null;

  constructor() {
    this.listeners = new AbortController();
    const options = { capture: true, signal: this.listeners.signal };
    document.addEventListener("mousedown", event => this.press(event), options);
    for (const type of ["mousemove", "mouseup"]) document.addEventListener(type, event => this.follow(event), options);
    document.addEventListener("click", event => this.edit(event.target), options);
    document.addEventListener("keydown", event => this.key(event), options);
  }

  update(data) {
    this.data = data;
    if (this.asked && this.asked.edits !== data.edits) this.asked = null;
  }

  // The canvas's own tool bar is out of sight, and is to be out of reach of the keyboard too. It may come later than this script.
  hideToolBar() {
    clearTimeout(this.later);
    const bar = this.part(".dc-toolbar");
    if (bar) bar.inert = true;
    else this.later = setTimeout(() => this.hideToolBar(), 5 * LOOK_MS);
  }

  part(selector) {
    const home = document.querySelector(`.st-key-${this.data.frame}`);
    for (const host of home?.querySelectorAll('[data-testid="stBidiComponentIsolated"]') ?? []) {
      const part = host.shadowRoot?.querySelector(selector);
      if (part) return part;
    }
    return null;
  }

  // Whether the canvas is about to change.
  waits() {
    const { page, tool, arrival } = this.data;
    const tools = [...document.querySelectorAll(`.st-key-tool_${page} [role="radio"]`)];
    const chosen = tools.findIndex(each => each.getAttribute("aria-checked") === "true");
    if (chosen >= 0 && chosen !== tool) return true;
    if (this.part(".dc-scroll")?.style.maxHeight !== `${arrival}px`) return true;
    if (this.asked && !appRuns() && performance.now() - this.asked.at > UNANSWERED_MS) this.asked = null;
    return this.asked !== null;
  }

  edit(target) {
    const page = CSS.escape(this.data.page);
    const buttons = [`.st-key-undo_${page}`, `.st-key-clear_${page}`, `[class*="st-key-chip_${page}_"]`];
    if (target.closest?.(buttons.map(each => `${each} button`).join(", "))) this.ask();
  }

  key(event) {
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z") return;
    const typing = event.composedPath()[0].closest?.("input, textarea, [contenteditable]");
    if (!typing && document.querySelector(`.st-key-undo_${this.data.page} [data-has-shortcut="true"]`)) this.ask();
  }

  ask() {
    this.asked = { edits: this.data.edits, at: performance.now() };
  }

  press(event) {
    if (event.samkitReplayed || event.button !== 0 || event.composedPath()[0] !== this.part(".upper-canvas")) return;
    if (!this.kept.length && !this.waits()) {
      this.drawing = true;
      return;
    }
    event.stopImmediatePropagation();
    this.pressing = true;
    this.keep(event);
  }

  follow(event) {
    if (event.samkitReplayed) return;
    if (this.pressing) this.keep(event);
    if (event.type !== "mouseup") return;
    this.pressing = false;
    if (this.drawing) this.send();
    this.drawing = false;
  }

  // Places are kept as shares of the canvas: the page may have moved when they are used.
  keep(event) {
    const canvas = this.part(".upper-canvas");
    if (!canvas) return;
    const box = canvas.getBoundingClientRect();
    const x = (event.clientX - box.x) / box.width, y = (event.clientY - box.y) / box.height;
    this.kept.push({ type: event.type, x, y });
    if (this.timer !== null) return;
    canvas.dataset.kept = "";
    const since = performance.now();
    this.timer = setInterval(() => {
      if (!this.waits() || performance.now() - since > GIVE_UP_MS) this.replay();
    }, LOOK_MS);
  }

  replay() {
    clearInterval(this.timer);
    this.timer = null;
    const canvas = this.part(".upper-canvas"), kept = this.kept;
    this.kept = [];
    if (!canvas) return;
    delete canvas.dataset.kept;
    const box = canvas.getBoundingClientRect();
    for (const { type, x, y } of kept) {
      const place = { clientX: box.x + x * box.width, clientY: box.y + y * box.height };
      const buttons = { button: 0, buttons: type === "mouseup" ? 0 : 1 };
      const event = new MouseEvent(type, { ...place, ...buttons, bubbles: true, composed: true, cancelable: true });
      event.samkitReplayed = true;
      canvas.dispatchEvent(event);
    }
    this.drawing = this.pressing;
    this.pressing = false;
    if (kept.some(each => each.type === "mouseup")) this.send();
  }

  // The canvas takes note of a shape after the event; then its own button sends the drawing.
  send() {
    setTimeout(() => this.part('.dc-toolbar button[aria-label^="Update"]')?.click());
  }

  leave() {
    clearInterval(this.timer);
    clearTimeout(this.later);
    this.listeners.abort();
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  let side = sides.get(parentElement);
  if (!side) {
    side = new BrowserSide();
    sides.set(parentElement, side);
    if (sheets.has(data.sheet)) setTriggerValue("mounted_again", data.sheet);
  }
  sheets.add(data.sheet);
  side.update(data);
  side.hideToolBar();
  return () => {
    side.leave();
    sides.delete(parentElement);
  };
}
