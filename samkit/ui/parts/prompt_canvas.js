// The browser's side of the prompt canvas: the hands. It keeps the order of what a visitor does:
// - What was drawn is sent when the mouse button goes up and the live masks of it are painted, and in any case before
//   whatever the visitor does next. (The canvas by itself would wait for 200 ms.)
// - While an edit is on its way to the canvas, a press on it is kept back, and done when the canvas has it. A link to
//   another page is kept back while a drawing or a gesture is on its way.
// - A press is of the tool that was chosen when it was made. Where the canvas has another one, it becomes a gesture.
// - Where the browser built a canvas again with a sheet that it had already, the server is told: what was drawn on that
//   sheet is gone from it.
// What the canvas can't do (moving, the right button, touch, drawing on an enlarged picture) is sent as gestures: each
// has a number, and is sent again until the server has it. So are undo, redo and clear: a button pressed twice before
// the page has run counts once.

const LOOK_MS = 20;
const UNANSWERED_MS = 5000;  // while nothing runs: the edit asked for nothing, such as a button that was just removed
const GIVE_UP_MS = 30000;
const PAINT_FIRST_MS = 250;
const LAST_MOVE_MS = 34;  // the canvas takes a move with the next frame of the screen
const SETTLED_MS = 700;
const AFTER_DRAWING_MS = 50;
const NEAR_PX = 10;
const EDGE_PX = 6;
const TAP_PX = 12;
const BOX_PX = [3, 8];  // a box is at least so wide and so long on the screen
const [FOREGROUND_TOOL, BACKGROUND_TOOL, BOX_TOOL] = [0, 1, 2];
const EDITS = ["undo", "redo", "clear"];
const USABLE = { undo: ({ past }) => past, redo: ({ ahead }) => ahead, clear: ({ count }) => count };
const BUTTONS = [1, 4, 2];  // a button's number -> its bit in `buttons`

const sheets = window.samkitSheets ??= new Set();
const living = new Set();  // in the order in which they came
const sides = new WeakMap();
const appRuns = () => document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState === "running";
const typingIn = event => event.composedPath()[0].closest?.("input, textarea, [contenteditable]");
const clamp = value => Math.max(0, Math.min(1, value));
const spanned = ([x, y], [u, v]) => [Math.min(x, u), Math.min(y, v), Math.max(x, u), Math.max(y, v)];
const rounded = shape => shape.map(value => Math.round(value * 1e6) / 1e6);

class BrowserSide {
  kept = [];
  pressing = false;
  drawing = null;    // a press that the canvas has: its place, and whether it draws a box
  gesture = null;    // one that this script sees to
  asked = null;
  timer = null;
  later = null;
  toSend = false;
  painting = null;   // of a point whose press goes on: done when its masks are painted
  sentAt = -Infinity;
  ops = [];
  building = null;

  constructor(stage, tell) {
    this.stage = stage;
    this.tell = tell;
    stage.whenDrawn = () => {
      this.gray();
      this.crosshair.say();
    };
    stage.whenMissed = () => !appRuns() && (this.tell("missed", performance.now()), true);
    this.listeners = new AbortController();
    const options = { capture: true, signal: this.listeners.signal };
    const listen = (type, does) => document.addEventListener(type, does, options);
    listen("pointerdown", event => this.isOn(event) || this.flush());
    listen("mousedown", event => this.press(event));
    for (const type of ["mousemove", "mouseup"]) listen(type, event => this.follow(event));
    listen("click", event => this.click(event));
    listen("keydown", event => this.key(event));
    listen("contextmenu", event => this.isOn(event) && event.preventDefault());
    listen("pointermove", event => this.point(event));
    listen("pointerdown", event => this.finger(event));
    for (const type of ["touchstart", "touchend"]) {
      document.addEventListener(type, event => this.hush(event), { ...options, passive: false });
    }
    this.leaving = () => this.stage.leave();
    document.documentElement.addEventListener("pointerleave", this.leaving, { signal: this.listeners.signal });
    this.crosshair = new Crosshair(this);
    // The page may draw a button after this, or build it anew, as it does with its tip.
    this.builds = new MutationObserver(() => this.building ??= requestAnimationFrame(() => {
      this.building = null;
      this.gray();
    }));
    this.builds.observe(document.body, { childList: true, subtree: true });
  }

  update(data) {
    this.data = data;
    this.heardAt = performance.now();
    if (this.asked && this.asked.edits !== data.edits) this.asked = null;
    this.ops = this.ops.filter(each => each.id > data.done);
    const frame = this.home();
    if (frame) {
      // With the picture, which may come long after the page's style: until then the one before keeps its shape.
      const [width, height, wide] = data.size;
      for (const [name, value] of [["--w", width], ["--h", height], ["--canvas-w", `${wide}px`]]) frame.style.setProperty(name, value);
      frame.dataset.view = data.view;
      frame.dataset.canvas = data.page;
      frame.dataset.stage = "";
      frame.style.setProperty("--vx", `var(--v${data.view}-x, 0)`);
      frame.style.setProperty("--vy", `var(--v${data.view}-y, 0)`);
      frame.style.setProperty("--vz", `var(--v${data.view}-z, 1)`);
    }
    this.stage.root.setAttribute("aria-label", data.label);
    this.stage.update(data);
    this.gray();
  }

  // A button with nothing to do looks so at once, also for what the server has not answered yet.
  gray() {
    if (!this.data || this.isFollowed) return;
    const { page } = this.data, can = this.changes();
    for (const edit of EDITS) {
      for (const button of document.querySelectorAll(`.st-key-${edit}_${CSS.escape(page)} button`)) {
        button.setAttribute("aria-disabled", String(!USABLE[edit](can)));
      }
    }
  }

  // How many changes can be undone (past) and done again (ahead), and how much there is to clear (count).
  changes() {
    let { past, ahead } = this.data;
    for (const { op, at } of this.stage.pending) {
      if (op) continue;
      past += 1;
      if (at > this.heardAt) ahead = 0;
    }
    for (const { op } of this.ops) {
      if (op === "undo" && past) [past, ahead] = [past - 1, ahead + 1];
      else if (op === "redo" && ahead) [past, ahead] = [past + 1, ahead - 1];
      else if (op !== "undo" && op !== "redo") [past, ahead] = [past + 1, 0];
    }
    const waiting = this.kept.length || this.pressing ? 1 : 0, cleared = this.ops.at(-1)?.op === "clear";
    const there = this.stage.shapes().length + (this.data.hinted ? 1 : 0);
    return { past: past + waiting, ahead, count: (cleared ? 0 : there) + waiting };
  }

  // The canvas's own tool bar is out of sight, and is to be out of reach of the keyboard too. It may come later than this script.
  hideToolBar() {
    clearTimeout(this.later);
    const bar = this.part(".dc-toolbar");
    if (bar) bar.inert = true;
    else this.later = setTimeout(() => this.hideToolBar(), 5 * LOOK_MS);
  }

  // The frame that this canvas is in: while it moves to another place of the page there are two of that name.
  home() {
    const name = `.st-key-${this.data.frame}`, { root } = this.stage;
    return (root.getRootNode().host ?? root).closest(name) ?? document.querySelector(name);
  }

  part(selector) {
    for (const host of this.home()?.querySelectorAll('[data-testid="stBidiComponentIsolated"]') ?? []) {
      const part = host.shadowRoot?.querySelector(selector);
      if (part) return part;
    }
    return null;
  }

  isOn(event) {
    return event.composedPath()[0] === this.part(".upper-canvas") && !this.isFollowed;
  }

  // Whether another picture's canvas has come in the place of this one's, which stays until the page's run is over: it
  // would take the other one's presses, and its gestures are heard by nobody.
  get isFollowed() {
    const all = [...living];
    return all.slice(all.indexOf(this) + 1).some(each => each.home() === this.home());
  }

  // The tool that an event is of: the one that is chosen, also where the canvas does not have it yet.
  toolOf(event) {
    return event.samkitTool ?? (event.shiftKey ? BACKGROUND_TOOL : this.tool);
  }

  get tool() {
    const tools = [...document.querySelectorAll(`.st-key-tool_${this.data.page} [role="radio"]`)];
    const chosen = tools.findIndex(each => each.getAttribute("aria-checked") === "true");
    return chosen >= 0 ? chosen : this.data.tool;
  }

  // Whether the canvas is about to change.
  waits() {
    const now = performance.now();
    if (this.ops.some(({ op, at }) => EDITS.includes(op) && (appRuns() || now - at < UNANSWERED_MS))) return true;
    if (this.part(".dc-scroll")?.style.maxHeight !== `${this.data.arrival}px`) return true;
    if (this.asked && !appRuns() && now - this.asked.at > UNANSWERED_MS) this.asked = null;
    return this.asked !== null;
  }

  // The place of an event in shares of the picture, at any zoom.
  placeOf(event) {
    const box = this.part(".upper-canvas").getBoundingClientRect();
    return [(event.clientX - box.x) / box.width, (event.clientY - box.y) / box.height];
  }

  // The pixel of the screen, a whole one as a mouse has it, at a place of the picture.
  pixelAt([x, y]) {
    const box = this.part(".upper-canvas").getBoundingClientRect();
    const within = (at, from, length) => Math.max(Math.ceil(from), Math.min(Math.ceil(from + length) - 1, Math.round(at)));
    return {
      clientX: within(box.x + x * box.width, box.x, box.width),
      clientY: within(box.y + y * box.height, box.y, box.height),
    };
  }

  // What a mouse does that is pressed at the first of these places and let go at the last.
  pressAt(places, shiftKey) {
    const canvas = this.part(".upper-canvas"), [from, to] = [places[0], places.at(-1)].map(each => this.pixelAt(each));
    const press = (type, at, buttons) => canvas.dispatchEvent(
      new MouseEvent(type, { ...at, button: 0, buttons, shiftKey, bubbles: true, composed: true, cancelable: true }),
    );
    press("mousedown", from, 1);
    if (places.length > 1) press("mousemove", to, 1);
    press("mouseup", to, 0);
  }

  pixels(dx, dy) {
    const box = this.part(".upper-canvas").getBoundingClientRect();
    return [dx * box.width, dy * box.height];
  }

  // The prompt at a place, and what of it: { shape, part }, where part says which sides of a box move.
  hit([x, y]) {
    const shapes = this.stage.shapes(), near = (dx, dy, px) => Math.hypot(...this.pixels(dx, dy)) <= px;
    const points = shapes.filter(each => each.length === 3 && near(each[0] - x, each[1] - y, NEAR_PX));
    const closest = points.sort((a, b) => Math.hypot(a[0] - x, a[1] - y) - Math.hypot(b[0] - x, b[1] - y))[0];
    if (closest) return { shape: closest, part: [true, true, true, true] };
    for (const box of shapes.filter(each => each.length === 4).reverse()) {
      const [toX, toY] = this.pixels(1, 1);
      const sides = [x - box[0], y - box[1], x - box[2], y - box[3]].map((d, at) => Math.abs(d) * (at % 2 ? toY : toX));
      const inside = x > box[0] - EDGE_PX / toX && x < box[2] + EDGE_PX / toX
        && y > box[1] - EDGE_PX / toY && y < box[3] + EDGE_PX / toY;
      const part = sides.map(px => px <= EDGE_PX);
      if (!inside || !part.some(Boolean)) continue;
      const corner = (part[0] || part[2]) && (part[1] || part[3]);
      const chosen = this.stage.selected && same(box, this.stage.selected);
      // A corner and, once the box is selected, an edge are pulled; by its edge a box is moved at first.
      return { shape: box, part: corner || chosen ? part : [true, true, true, true] };
    }
    return null;
  }

  click(event) {
    const target = event.target, page = CSS.escape(this.data.page);
    const edit = EDITS.find(each => target.closest?.(`.st-key-${each}_${page} button`));
    if (edit) {
      this.stop(event);
      if (this.kept.length || this.pressing) this.keep({ edit });
      else this.edit(edit);
    } else if (target.closest?.(`[class*="st-key-chip_${page}_"] button`)) this.ask();
    // The crosshair says what the tool does that was chosen, as soon as that is seen.
    if (this.stage.cross && target.closest?.(`.st-key-tool_${page}`)) requestAnimationFrame(() => this.crosshair.show());
    const link = target.closest?.('[data-testid="stSidebarNavLink"], [data-testid="stPageLink-NavLink"]');
    if (link && !event.samkitReplayed && this.underWay()) this.keepLink(event, link);
  }

  underWay() {
    return this.toSend || this.stage.pending.length > 0 || this.ops.length > 0;
  }

  // A run of this page that another page overtakes would write its pieces into that page.
  keepLink(event, link) {
    event.preventDefault();
    event.stopImmediatePropagation();
    this.flush();
    const since = performance.now(), canvas = this.part(".upper-canvas");
    if (canvas) canvas.dataset.kept = "";
    const go = setInterval(() => {
      if ((this.underWay() || appRuns()) && performance.now() - since < UNANSWERED_MS) return;
      clearInterval(go);
      if (canvas) delete canvas.dataset.kept;
      const again = new MouseEvent("click", { bubbles: true, cancelable: true, composed: true, view: window });
      again.samkitReplayed = true;
      link.dispatchEvent(again);
    }, LOOK_MS);
  }

  // What a key does here is said in Python, with the sheet of all keys.
  key(event) {
    this.flush();
    if (typingIn(event) || event.ctrlKey || event.metaKey || event.altKey) return;
    const { stage, crosshair } = this, name = event.key.toLowerCase(), does = this.data.keys[name];
    // While the canvas is made anew it has no size, and nowhere is a place on it.
    const crossed = crosshair.isOn(event) && this.part(".upper-canvas")?.getBoundingClientRect().width > 0;
    if (does === "leave" && (stage.selected || this.gesture)) {
      this.gesture = null;
      [stage.selected, stage.band, stage.drag] = [null, null, null];
      stage.drawPrompts();
    } else if (does === "leave" && crosshair.corner) crosshair.dropCorner();
    else if (does === "leave" && crossed) crosshair.root.blur();
    const shape = does === "remove" && (stage.selected ?? (crossed && crosshair.shape));
    if (shape) {
      event.preventDefault();
      this.act({ op: "remove", from: shape });
      stage.selected = null;
    }
    if (!crossed || !["move", "place"].includes(does)) return;
    event.preventDefault();
    if (does === "move") crosshair.move(name, event.shiftKey);
    else if (!event.repeat) crosshair.place(event.shiftKey);
  }

  ask() {
    this.asked = { edits: this.data.edits, at: performance.now() };
  }

  press(event) {
    if (!this.isOn(event)) return;
    if (views.panning || views.pans(event)) return this.stop(event);
    if (!event.samkitReplayed && (this.kept.length || this.waits())) {
      this.stop(event);
      this.pressing = true;
      this.keepPress(event);
      return;
    }
    this.begin(event);
  }

  stop(event) {
    event.stopImmediatePropagation();
    event.preventDefault();
  }

  // A press on the canvas: on a prompt, or one that begins another.
  begin(event) {
    const { stage } = this, at = this.placeOf(event), hit = this.hit(at);
    if (event.button === 2) {
      this.stop(event);
      this.act(hit ? { op: "remove", from: hit.shape } : { op: "add", to: [...at, 0] });
      return;
    }
    if (event.button !== 0) return;
    if (hit) {
      this.stop(event);
      stage.selected = hit.shape;
      stage.leave();
      this.gesture = { kind: "move", at, ...hit };
      stage.drawPrompts();
      return;
    }
    stage.selected = null;
    const tool = this.toolOf(event);
    // While a gesture is under way others follow: the server takes what was drawn before them.
    if (event.shiftKey || tool !== this.data.tool || this.ops.length || views.state(this.data.view).z > 1) {
      this.stop(event);
      this.gesture = { kind: tool === BOX_TOOL ? "box" : "point", at, tool };
      if (tool === BOX_TOOL) return;
      this.act({ op: "add", to: [...at, tool === FOREGROUND_TOOL ? 1 : 0] });
      this.gesture = null;
      return;
    }
    this.drawing = { at, boxed: tool === BOX_TOOL };
    if (tool === BOX_TOOL) return stage.leave();
    stage.pend([{ add: rounded([...at, tool === FOREGROUND_TOOL ? 1 : 0]) }]);
    // The point is there from here on, however long the button stays down.
    this.painting = stage.paintNow();
  }

  boxTo(event, from = (this.drawing ?? this.gesture).at) {
    return spanned(this.placeOf(event).map(clamp), from.map(clamp));
  }

  isBox(box) {
    const sides = this.pixels(box[2] - box[0], box[3] - box[1]).sort((a, b) => a - b);
    return sides[0] >= BOX_PX[0] && sides[1] >= BOX_PX[1];
  }

  follow(event) {
    if (this.pressing && !event.samkitReplayed) this.keepPress(event);
    if (!event.samkitReplayed && event.type === "mouseup" && this.pressing) {
      this.pressing = false;
      return;
    }
    if (this.gesture) return this.followGesture(event);
    if (!this.drawing) return;
    const { stage } = this, { boxed } = this.drawing;
    if (boxed && event.type === "mouseup" && !event.samkitReplayed) {
      this.stop(event);
      const { clientX, clientY } = event;
      setTimeout(() => this.dispatch("mouseup", { clientX, clientY, button: 0, buttons: 0 }), LAST_MOVE_MS);
      return;
    }
    if (boxed) {
      const box = this.boxTo(event);
      stage.band = event.type === "mouseup" ? null : box;
      if (event.type === "mousemove") {
        stage.drawPrompts();
        if (this.isBox(box)) stage.hover(box);
      } else if (this.isBox(box)) stage.pend([{ add: rounded(box) }]);
      else stage.drawPrompts();
    }
    if (event.type === "mouseup") {
      this.drawing = null;
      this.send();
    }
  }

  followGesture(event) {
    const { stage, gesture } = this, ends = event.type === "mouseup";
    this.stop(event);
    if (gesture.kind === "box") {
      const box = this.boxTo(event);
      stage.band = ends ? null : box;
      if (ends) {
        this.gesture = null;
        if (this.isBox(box)) this.act({ op: "add", to: box });
      } else if (this.isBox(box)) stage.hover(box);
      stage.drawPrompts();
      return;
    }
    const at = this.placeOf(event), [dx, dy] = [at[0] - gesture.at[0], at[1] - gesture.at[1]];
    const moved = Math.hypot(...this.pixels(dx, dy)) > 2;
    if (moved) stage.drag = { from: gesture.shape, to: this.movedShape(gesture, dx, dy) };
    if (ends) {
      this.gesture = null;
      const { drag } = stage;
      stage.drag = null;
      if (drag) {
        stage.selected = drag.to;
        this.act({ op: "move", from: drag.from, to: drag.to });
      }
    } else if (moved) stage.hover(null);
    stage.drawPrompts();
  }

  movedShape({ shape, part }, dx, dy) {
    if (shape.length === 3) return rounded([clamp(shape[0] + dx), clamp(shape[1] + dy), shape[2]]);
    if (part.every(Boolean)) {
      dx = Math.max(-shape[0], Math.min(1 - shape[2], dx));
      dy = Math.max(-shape[1], Math.min(1 - shape[3], dy));
    }
    const [a, b, c, d] = shape.map((value, at) => clamp(value + (part[at] ? (at % 2 ? dy : dx) : 0)));
    return rounded([Math.min(a, c), Math.min(b, d), Math.max(a, c), Math.max(b, d)]);
  }

  // A change of the prompts that the canvas knows nothing of. from, to: shapes.
  act({ op, from, to }) {
    const id = this.nextId(), { stage } = this;
    if (to) to = rounded(to.length === 3 ? [clamp(to[0]), clamp(to[1]), to[2]] : to.map(clamp));
    this.ops.push({ id, op, from: from ?? null, to: to ?? null });
    stage.pend([...(from ? [{ remove: from, op: id }] : []), ...(to ? [{ add: to, op: id }] : [])]);
    this.send();
  }

  // Of the whole list: undo, redo, clear.
  edit(op) {
    this.ops.push({ id: this.nextId(), op, at: performance.now() });
    this.gray();
    this.toSend = true;
    this.flush();
  }

  nextId() {
    return this.lastId = Math.max((this.lastId ?? 0) + 1, Math.round(performance.timeOrigin + performance.now()));
  }

  // The mouse or a pen above the canvas: a mask follows it.
  point(event) {
    if (event.pointerType === "touch" || !this.data) return;
    const { stage } = this;
    if (!this.isOn(event) || views.panning) {
      if (!this.gesture && !this.drawing) stage.leave();
      return;
    }
    if (this.gesture || this.drawing || this.pressing || event.buttons) return;
    // A pointer moves by parts of a pixel, and a click has whole ones: the mask is that of a click.
    const whole = { clientX: Math.floor(event.clientX), clientY: Math.floor(event.clientY) };
    const at = this.placeOf(whole), hit = this.hit(at), canvas = this.part(".upper-canvas");
    canvas.parentElement.style.cursor = canvas.style.cursor = views.space ? "grab" : hit ? "move" : "crosshair";
    const tool = this.toolOf(event);
    if (hit || tool === BOX_TOOL) return stage.leave();
    stage.hover(rounded([...at, tool === FOREGROUND_TOOL ? 1 : 0]));
  }

  // The canvas ignores taps; here they place prompts, and two fingers are for the view.
  finger(event) {
    if (event.pointerType !== "touch" || !this.isOn(event)) return;
    const at = this.placeOf(event), from = [event.clientX, event.clientY], boxed = this.tool === BOX_TOOL;
    const stop = new AbortController(), options = { capture: true, signal: stop.signal };
    const mine = other => other.pointerId === event.pointerId;
    const far = other => Math.hypot(other.clientX - from[0], other.clientY - from[1]) > TAP_PX;
    document.addEventListener("pointermove", moved => {
      if (!mine(moved) || !boxed || views.pinching) return;
      this.stage.band = this.boxTo(moved, at);
      this.stage.drawPrompts();
    }, options);
    for (const type of ["pointerup", "pointercancel"]) {
      document.addEventListener(type, up => {
        if (views.pinching) this.pinched = true;
        if (!mine(up)) return;
        stop.abort();
        this.stage.band = null;
        if (type === "pointerup" && !this.pinched) this.lift(up, at, boxed, far(up));
        this.pinched = false;
        this.stage.drawPrompts();
      }, options);
    }
  }

  lift(event, at, boxed, dragged) {
    if (boxed && dragged) {
      const box = this.boxTo(event, at);
      if (this.isBox(box)) this.act({ op: "add", to: box });
      return;
    }
    if (boxed || dragged) return;
    const hit = this.hit(at);
    if (hit) this.stage.selected = hit.shape;
    else this.act({ op: "add", to: [...at, this.tool === FOREGROUND_TOOL ? 1 : 0] });
  }

  hush(event) {
    if (!this.isOn(event)) return;
    event.stopImmediatePropagation();
    // No mouse events are made of the tap.
    if (event.type === "touchend" && event.cancelable) event.preventDefault();
  }

  // Places are kept as shares of the canvas: the page may have moved when they are used.
  keepPress(event) {
    if (!this.part(".upper-canvas")) return;
    const [x, y] = this.placeOf(event), { type, button, shiftKey } = event;
    this.keep({ type, x, y, button, shiftKey, tool: this.toolOf(event) });
  }

  // what: a press, or an edit of the list that came after one
  keep(what) {
    this.kept.push(what);
    this.gray();
    if (this.timer === null) this.bide();
  }

  bide() {
    const canvas = this.part(".upper-canvas");
    if (canvas) canvas.dataset.kept = "";
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
    const stillDown = this.pressing;
    this.pressing = false;
    while (kept.length) {
      const { edit, type, x, y, button, shiftKey, tool } = kept.shift();
      if (edit) {
        this.edit(edit);
        break;
      }
      const place = { clientX: box.x + x * box.width, clientY: box.y + y * box.height };
      const buttons = { button, shiftKey, buttons: type === "mouseup" ? 0 : BUTTONS[button] ?? 1 };
      this.dispatch(type, { ...place, ...buttons }, tool);
    }
    if (!stillDown) this.stage.drawPrompts();
    if (!kept.length) return;
    // What came after an edit waits for its answer.
    this.kept = kept;
    this.pressing = stillDown;
    this.bide();
  }

  dispatch(type, init, tool) {
    const event = new MouseEvent(type, { ...init, bubbles: true, composed: true, cancelable: true });
    event.samkitReplayed = true;
    event.samkitTool = tool;
    this.part(".upper-canvas")?.dispatchEvent(event);
  }

  // To the server, when the masks are painted, or it takes too long to wait for them.
  send() {
    this.toSend = true;
    const canvas = this.part(".upper-canvas");
    if (canvas && this.timer === null) canvas.dataset.sending = "";
    const late = new Promise(done => setTimeout(done, PAINT_FIRST_MS));
    const painting = this.painting ?? this.stage.paintNow();
    this.painting = null;
    Promise.race([painting, late]).then(() => this.flush());
  }

  // The canvas takes note of a shape after the event; then its own button sends the drawing.
  flush() {
    if (!this.toSend || this.drawing) return;
    this.toSend = false;
    this.sentAt = performance.now();
    setTimeout(() => {
      const canvas = this.part(".upper-canvas");
      if (canvas) delete canvas.dataset.sending;
      // A drawing goes first: it was made before what is told beside it.
      const drawn = this.stage.pending.some(each => !each.op) || !this.ops.length;
      if (drawn) this.part('.dc-toolbar button[aria-label^="Update"]')?.click();
      const tell = () => this.ops.length && this.tell("gesture", { ops: this.ops });
      if (drawn) setTimeout(tell, AFTER_DRAWING_MS);
      else tell();
      this.watch();
    });
  }

  // What the server did not take, such as a point on another one, is not shown any longer once it is at rest.
  watch() {
    clearInterval(this.watching);
    this.watching = setInterval(() => {
      if (this.toSend || this.drawing || appRuns() || performance.now() - this.sentAt < SETTLED_MS) return;
      clearInterval(this.watching);
      this.stage.pending = this.stage.pending.filter(each => each.op && this.ops.some(op => op.id === each.op));
      this.stage.drawPrompts();
    }, 5 * LOOK_MS);
  }

  leave() {
    clearInterval(this.timer);
    clearInterval(this.watching);
    clearTimeout(this.later);
    this.listeners.abort();
    this.builds.disconnect();
    cancelAnimationFrame(this.building);
    this.stage.gone();
  }
}

// A canvas that moves to another place of the page is there twice for a while, and the one before may come last: what it
// leaves goes to the one that stays.
function handOver(left) {
  const name = left.data.frame;
  if (stages.get(name) !== left.stage) return;
  stages.delete(name);
  const heir = [...living].filter(each => each.data.frame === name).at(-1);
  if (!heir) return;
  stages.set(name, heir.stage);
  heir.update(heir.data);
}

export default function ({ data, parentElement, setTriggerValue }) {
  let side = sides.get(parentElement);
  if (!side) {
    const root = parentElement.querySelector(".stage");
    side = new BrowserSide(new Stage(root), setTriggerValue);
    sides.set(parentElement, side);
    living.add(side);
    stages.set(data.frame, side.stage);
    if (sheets.has(data.sheet)) setTriggerValue("mounted_again", data.sheet);
  }
  const { root } = side.stage;
  for (const [name, color] of Object.entries(data.colors)) root.style.setProperty(`--${name}`, color);
  for (const part of ["x", "y", "z"]) root.style.setProperty(`--v${part}`, `var(--v${data.view}-${part}, ${part === "z" ? 1 : 0})`);
  sheets.add(data.sheet);
  side.update(data);
  side.hideToolBar();
  return () => {
    side.leave();
    sides.delete(parentElement);
    living.delete(side);
    handOver(side);
  };
}
