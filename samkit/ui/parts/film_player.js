// Plays and scrubs a film on the canvas of the page: frames come drawn from the server, one request at a time. At rest
// the canvas is the page's own again, and the server is told where the film stands.

const PLAY = "M8 5v14l11-7z", PAUSE = "M7 5h4v14H7zM14 5h4v14h-4z";
const ORIGINS = {
  run: "The masks are the run's.", kept: "The masks are those that were kept with the run.",
  next: "The run comes to this frame next: this is what it finds here with all that it remembers so far.",
  prompts: "No run has come here yet. This is a first look: what your memories and marks find on this frame alone, without the frames before it.",
  none: "This frame is not segmented.",
};
// Beside the mask of a mark that no run has taken in.
const MARKED = { run: "is shown as you marked it, not as the run has found it.", kept: "is shown as you marked it, not as it was kept with the run." };
const TAKEN_BACK = "is shown as the run has found it with marks that you have taken back since.";
const BEFORE = "is shown as you marked it, not segmented yet.", BESIDE = { run: "The other masks are the run's.", kept: "The others were kept with the run." };
const WAITS = "Your press counts as soon as the page has come to this frame.";
const MISSED = "Your press came too early for this frame and does not count: press again.";
const PRESSES = ["pointerdown", "mousedown", "mousemove", "mouseup", "touchstart"];
const BUTTONS = [1, 4, 2];  // a button's number -> its bit in `buttons`
const ANSWERED_MS = 5000, HELD_FOR_MS = 15000, COMES_FOR_MS = 3000, RUNS_MS = 1500, LOOK_MS = 40;
const REST_MS = 250, NEWEST_MS = 120, ROWS_MS = 600;
const players = window.samkitPlayers ??= new Map();
const here = new WeakMap();
const wait = ms => new Promise(done => setTimeout(done, ms));

class Player {
  frame = 0;
  moving = false;     // between leaving a frame and resting on another
  playing = false;
  follows = false;
  held = null;        // a press on a picture that was not at rest: its events, each with its place as shares of the canvas
  holding = false;    // its button is still down
  missed = false;     // the last press that was held could not be made
  told = null;        // the frame that the page was told of and has not come to: { frame, at }
  caught = false;     // the first event of a press that is kept was just seen
  tracks = [];

  constructor(root) {
    this.root = root;
    for (const name of ["back", "play", "forth", "follow"]) {
      const button = this[name + "Button"] = root.querySelector(`button[name="${name}"]`);
      button.addEventListener("click", () => this.press(name));
    }
    this.slider = root.querySelector("input");
    this.slider.addEventListener("input", () => this.scrub(Number(this.slider.value)));
    this.slider.addEventListener("change", () => this.rest());
    this.pressed = event => this.halt(event);
    for (const type of PRESSES) window.addEventListener(type, this.pressed, { capture: true, passive: false });
  }

  get last() { return this.data.length - 1; }
  get stage() { return window.samkitStages?.get(this.data.canvas); }
  // Whether the canvas of the page's frame is still on its way to the screen.
  get comes() {
    const late = performance.now() - this.heardAt > COMES_FOR_MS;
    return this.data.shown && !late && this.stage?.data?.view !== this.data.view;
  }

  get canvas() { return document.querySelector(`.st-key-${this.data.canvas}`); }
  get url() { return `${this.data.path}/${this.data.token}`; }

  update(data, send) {
    const first = !this.data, before = this.data ?? {}, followed = this.follows;
    [this.data, this.send, this.heardAt] = [data, send, performance.now()];
    if (this.told?.frame === data.frame || (!first && before.stamp !== data.stamp)) this.told = null;
    this.slider.max = Math.max(1, data.length - 1);
    this.slider.disabled = data.length < 2;
    this.tracks = data.rows.tracks;
    if (first || before.stamp !== data.stamp || before.film !== data.film) {
      [this.frame, this.playing, this.moving, this.follows] = [data.frame, false, false, false];
    }
    if (data.active && (before.job !== data.job || !before.active)) {
      if (data.followed) this.begin();
      else this.watchRows(data.job);
    }
    if (!data.active) this.follows = false;
    if (!this.playing && !this.follows && this.frame === data.frame) {
      this.moving = false;
      this.origin = data.origin;
      this.restore();
      this.release();
    } else if (!this.playing && !this.follows && data.shown && (followed || this.held)) {
      // The run stopped on a frame that the page does not stand at, or a press waits for one: the page comes there.
      this.rest();
    }
    this.draw();
  }

  // The run has begun: its frames are shown as they come, and its figures.
  async begin() {
    this.follows = true;
    const { job } = this.data;
    this.watchRows(job);
    await this.watchFrames(job);
  }

  async watchFrames(job) {
    while (this.follows && this.data.active && this.data.job === job && !this.gone) {
      const seen = await this.fetch("newest").catch(() => null);
      if (!seen) return;
      if (!this.follows || this.gone) return;
      this.moving = true;
      this.paint(seen);
      await wait(NEWEST_MS);
    }
  }

  async watchRows(job) {
    while (this.data.active && this.data.job === job && !this.gone) {
      const answer = await fetch(`${this.url}/rows`).catch(() => null);
      if (!answer?.ok) return;
      const rows = await answer.json();
      if (this.data.job !== job) return;
      this.tracks = rows.tracks;
      this.draw();
      await wait(ROWS_MS);
    }
  }

  press(name) {
    if (name === "play") return this.playing ? this.pause() : this.start();
    if (name === "follow") {
      this.playing = false;
      return this.begin();
    }
    this.step(name === "back" ? -1 : 1);
  }

  step(by) {
    this.scrub(Math.max(0, Math.min(this.last, this.frame + by)));
    this.rest();
  }

  go(frame) {
    this.scrub(Math.max(0, Math.min(this.last, frame)));
    this.rest();
  }

  scrub(frame) {
    [this.playing, this.follows, this.moving, this.held, this.missed] = [false, false, true, null, false];
    this.frame = frame;
    this.draw();
    this.want = frame;
    this.serve();
  }

  // One request at a time; the newest wish waits.
  async serve() {
    if (this.busy) return;
    this.busy = true;
    while (this.want !== null && this.want !== undefined) {
      const frame = this.want;
      this.want = null;
      const seen = await this.fetch(frame, !this.data.active).catch(() => null);
      if (seen && this.moving && !this.playing && !this.follows) this.paint(seen);
    }
    this.busy = false;
  }

  rest() {
    clearTimeout(this.resting);
    this.resting = setTimeout(() => {
      if (this.playing || this.follows) return;
      // Where the page was told of another frame and has not come there yet, it will leave the one that it shows.
      const asked = this.told && performance.now() - this.told.at < ANSWERED_MS ? this.told.frame : null;
      if (this.frame !== (asked ?? this.data.frame) || !this.data.shown) {
        this.told = { frame: this.frame, at: performance.now() };
        return this.send("rest", this.frame);
      }
      if (asked !== null) return;
      this.moving = false;
      this.restore();
      this.draw();
      this.release();
    }, REST_MS);
  }

  // A press on the picture while another frame than the page's is shown: the film rests there first, for a prompt would
  // be set on a frame that nobody sees. Then the press is made. Of a film that plays it only stops it.
  halt(event) {
    if (this.holding && event.type.startsWith("mouse")) return this.hold(event);
    if (event.type === "mousemove" || event.type === "mouseup") return;
    const elsewhere = this.playing || this.follows || (this.moving && this.frame !== this.data.frame) || this.comes;
    if (!(elsewhere || this.held || this.caught) || !this.canvas?.contains(event.target)) return;
    const stops = this.playing, touch = event.pointerType === "touch" || event.type === "touchstart";
    event.stopPropagation();
    // A mouse's press makes no mouse events where its pointer event was prevented.
    if (stops || touch || event.type !== "pointerdown") event.preventDefault();
    // What follows of the same press is kept with it.
    this.caught = !stops && !touch && event.type === "pointerdown";
    [this.playing, this.follows, this.moving, this.missed] = [false, false, true, false];
    if (!stops) this.hold(event);
    this.draw();
    this.rest();
  }

  hold(event) {
    if (event.type.startsWith("mouse")) {
      event.stopPropagation();
      event.preventDefault();
    }
    const box = this.canvas.getBoundingClientRect(), { type, button, shiftKey } = event;
    const place = { x: (event.clientX - box.x) / box.width, y: (event.clientY - box.y) / box.height };
    if (type === "pointerdown" && event.pointerType === "touch") {
      this.held = [...(this.held ?? []), ...["mousedown", "mouseup"].map(each => ({ type: each, button: 0, shiftKey, ...place }))];
    } else if (type === "mousedown") {
      [this.held, this.holding, this.button] = [[...(this.held ?? []), { type, button, shiftKey, ...place }], true, button];
    } else if (this.holding && type.startsWith("mouse")) {
      this.held.push({ type, button: this.button, shiftKey, ...place });
      if (type !== "mouseup") return;
      this.holding = false;
      if (!this.moving) this.release();
    }
  }

  // The press that was held, on the canvas of the frame that it was made on.
  release() {
    if (!this.held || this.holding) return;
    const held = this.held, { view } = this.data, { frame } = this, since = performance.now();
    let seenAt = Infinity;
    this.held = null;
    if (!this.data.shown) return this.miss();
    const give = () => {
      const { stage } = this, hosts = [...(this.canvas?.querySelectorAll('[data-testid="stBidiComponentIsolated"]') ?? [])];
      const canvas = hosts.map(host => host.shadowRoot?.querySelector(".upper-canvas")).find(Boolean);
      const late = performance.now() - since > HELD_FOR_MS;
      if (this.gone) return;
      const same = this.frame === frame && this.data.view === view;
      if (!late && same && this.moving) {
        // Another press came meanwhile: this one is made before it.
        this.held = [...held, ...(this.held ?? [])];
        return;
      }
      if (late || !same || this.moving) return this.miss();
      const app = document.querySelector('[data-testid="stApp"]'), runs = app?.dataset.testScriptState === "running";
      const there = canvas && stage?.data?.view === view;
      if (!there) seenAt = Infinity;
      else seenAt = Math.min(seenAt, performance.now());
      // The canvas before may still listen where the one of this frame has come: it goes with the end of the page's run.
      const waited = performance.now() - seenAt;
      if (!(waited > 2 * LOOK_MS && (!runs || waited > RUNS_MS))) return setTimeout(give, LOOK_MS);
      this.missed = false;
      const box = this.canvas.getBoundingClientRect();
      for (const { type, button, shiftKey, x, y } of held) {
        const at = { clientX: box.x + x * box.width, clientY: box.y + y * box.height };
        const buttons = type === "mouseup" ? 0 : BUTTONS[button] ?? 1, all = { bubbles: true, composed: true, cancelable: true };
        canvas.dispatchEvent(new MouseEvent(type, { ...all, ...at, button, buttons, shiftKey }));
      }
    };
    give();
  }

  // A press that can't be made any more is said, not lost without a word.
  miss() {
    this.missed = true;
    this.draw();
  }

  pause() {
    this.playing = false;
    this.draw();
    this.rest();
  }

  async start() {
    clearTimeout(this.resting);
    [this.playing, this.follows, this.moving, this.held] = [true, false, true, null];
    if (this.frame >= this.last) this.frame = 0;
    const begun = performance.now(), from = this.frame, { film } = this.data;
    this.draw();
    while (this.playing && !this.gone && this.data.film === film) {
      const frame = Math.min(this.last, from + Math.floor((performance.now() - begun) / 1000 * this.data.fps));
      const seen = await this.fetch(frame).catch(() => null);
      if (!this.playing || !seen) break;
      this.paint(seen);
      if (frame >= this.last) break;
      const next = begun + (frame - from + 1) * 1000 / this.data.fps;
      await wait(Math.max(5, next - performance.now()));
    }
    if (this.playing) this.pause();
  }

  async fetch(what, look = false) {
    const answer = await fetch(`${this.url}/${what}?look=${look ? 1 : 0}`);
    this.off = answer.status === 404 && !answer.headers.get("X-Samkit-Frame");
    if (!answer.ok) throw new Error(answer.status);
    const image = new Image();
    image.src = URL.createObjectURL(await answer.blob());
    await image.decode();
    const frame = Number(answer.headers.get("X-Samkit-Frame"));
    return { image, frame, origin: answer.headers.get("X-Samkit-Origin") };
  }

  paint({ image, frame, origin }) {
    const { stage } = this;
    this.frame = frame;
    this.origin = origin;
    if (stage) {
      stage.picture.src = image.src;
      for (const part of [stage.mask, stage.prompts]) part.style.visibility = "hidden";
      this.painted = true;
    }
    if (this.address) URL.revokeObjectURL(this.address);
    this.address = image.src;
    this.draw();
  }

  restore() {
    const { stage } = this;
    if (!stage || !this.painted) return;
    this.painted = false;
    if (stage.picture.dataset.url) stage.picture.src = stage.picture.dataset.url;
    for (const part of [stage.mask, stage.prompts]) part.style.visibility = "";
  }

  draw() {
    const { data } = this;
    this.playButton.querySelector("path").setAttribute("d", this.playing ? PAUSE : PLAY);
    this.playButton.querySelector("span").textContent = this.playing ? "Pause" : "Play";
    this.playButton.title = this.off
      ? "There is no direct connection to the server, which playing needs" : "Play at the film's speed";
    this.playButton.disabled = this.off || data.length < 2;
    this.followButton.hidden = !data.active;
    this.followButton.setAttribute("aria-pressed", this.follows);
    this.slider.value = this.frame;
    this.root.querySelector("output").textContent =
      `Frame ${this.frame} · ${(data.times[this.frame] ?? this.frame / data.fps).toFixed(2)} s`;
    this.root.querySelector(".player").dataset.frame = this.frame;
    const where = this.root.querySelector(".where");
    where.replaceChildren(...this.figures());
    const line = `${data.name}, frame ${this.frame} · ${data.size}`.replace(/["\\\n]/g, sign => `\\${sign.charCodeAt().toString(16)} `);
    document.body.style.setProperty("--samkit-film-line", `"${line}"`);
    document.body.toggleAttribute("data-samkit-film-moves", this.moving || this.playing || this.follows);
    window.dispatchEvent(new CustomEvent("samkit:film"));
  }

  // Of each object the numbers of the mask that is shown, and where that comes from.
  figures() {
    const { objects } = this.data, atRest = !this.moving && !this.playing && !this.follows && this.frame === this.data.frame;
    const marks = atRest && this.data.shown ? this.data.marks : {};
    const lines = objects.map((object, number) => {
      const line = document.createElement("span"), dot = document.createElement("span");
      dot.className = "dot";
      dot.style.background = object.color;
      const text = number in marks ? this.ofMark(marks[number]) : this.origin === "none" ? "" : this.ofRun(this.tracks[number]);
      line.append(dot, `${object.name}${text && ": "}${text}`);
      return line;
    });
    const marked = objects.filter((_, number) => number in marks).map(object => object.name);
    const beside = marked.length < objects.length ? BESIDE[this.origin] ?? "" : "";
    const back = atRest && this.origin === "run" ? this.data.taken_back.map(number => objects[number].name) : [];
    const said = [
      ...(marked.length ? [`${marked.join(", ")} ${MARKED[this.origin] ?? BEFORE}`] : []),
      ...(back.length ? [`${back.join(", ")} ${TAKEN_BACK}`] : []),
      ...(marked.length && beside && !back.length ? [beside] : []),
    ];
    const origin = document.createElement("span");
    const pressed = this.held ? WAITS : this.missed ? MISSED : "";
    const shown = pressed || said.join(" ") || (ORIGINS[this.origin] ?? "");
    origin.textContent = `${shown}${this.moving ? " …" : ""}`;
    return [...lines, origin];
  }

  ofMark({ iou, area }) {
    return ["your mark", ...(iou === null ? [] : [`predicted IoU ${iou.toFixed(2)}`]), `${(100 * area).toFixed(1)} % of the frame`].join(" · ");
  }

  ofRun(track) {
    const place = track ? track.frame.indexOf(this.frame) : -1;
    if (place < 0) return "";
    const score = track.object_score[place], iou = track.predicted_iou[place];
    return [
      `object score ${score.toFixed(1)}${score > 0 ? "" : ", judged absent"}`,
      iou === null ? "given mask" : `predicted IoU ${iou.toFixed(2)}`,
      `${(100 * track.area_share[place]).toFixed(1)} % of the frame`,
      ...(track.marked.includes(this.frame) ? ["marked"] : []),
    ].join(" · ");
  }

  leave() {
    this.gone = true;
    this.playing = this.follows = false;
    this.restore();
    for (const type of PRESSES) window.removeEventListener(type, this.pressed, true);
    document.body.removeAttribute("data-samkit-film-moves");
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  let player = here.get(parentElement);
  if (!player) {
    here.set(parentElement, player = new Player(parentElement));
    players.set("film", player);
  }
  player.update(data, setTriggerValue);
  return () => {
    player.leave();
    here.delete(parentElement);
    if (players.get("film") === player) players.delete("film");
  };
}
