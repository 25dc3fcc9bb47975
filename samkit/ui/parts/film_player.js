// Plays and scrubs a film on the canvas of the page: frames come drawn from the server, one request at a time. At rest
// the canvas is the page's own again, and the server is told where the film stands.

const PLAY = "M8 5v14l11-7z", PAUSE = "M7 5h4v14H7zM14 5h4v14h-4z";
const ORIGINS = {
  run: "The masks are the run's.", next: "No run has come here: shown with all that is remembered up to the frame before.",
  prompts: "No run has come to the frame before: shown with what prompts alone find here.",
  none: "This frame is not segmented.",
};
const PRESSES = ["pointerdown", "mousedown", "touchstart"];
const REST_MS = 250, NEWEST_MS = 120, ROWS_MS = 600;
const players = window.samkitPlayers ??= new Map();
const here = new WeakMap();
const wait = ms => new Promise(done => setTimeout(done, ms));

class Player {
  frame = 0;
  moving = false;     // between leaving a frame and resting on another
  playing = false;
  follows = false;
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
    this.inside = event => this.hover(event.type === "pointerenter");
    this.pressed = event => this.halt(event);
    for (const type of PRESSES) window.addEventListener(type, this.pressed, true);
  }

  get last() { return this.data.length - 1; }
  get stage() { return window.samkitStages?.get(this.data.canvas); }
  get url() { return `${this.data.path}/${this.data.token}`; }

  update(data, send) {
    const first = !this.data, before = this.data ?? {};
    [this.data, this.send] = [data, send];
    this.slider.max = Math.max(1, data.length - 1);
    this.slider.disabled = data.length < 2;
    this.tracks = data.rows.tracks;
    if (first || before.stamp !== data.stamp || before.film !== data.film) {
      [this.frame, this.playing, this.moving] = [data.frame, false, false];
    }
    if (data.active && (before.job !== data.job || !before.active)) this.begin();
    if (!data.active) this.follows = false;
    if (!this.playing && !this.follows && this.frame === data.frame) {
      this.moving = false;
      this.origin = data.origin;
      this.restore();
    }
    this.listen();
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
    [this.playing, this.follows, this.moving] = [false, false, true];
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
      if (this.frame !== this.data.frame || !this.data.shown) return this.send("rest", this.frame);
      this.moving = false;
      this.restore();
      this.draw();
    }, REST_MS);
  }

  // A press on the picture while another frame than the page's is shown: the film rests there first, for a prompt would
  // be set on a frame that nobody sees.
  halt(event) {
    const elsewhere = this.playing || this.follows || (this.moving && this.frame !== this.data.frame);
    if (!elsewhere || !this.canvas?.contains(event.target)) return;
    event.stopPropagation();
    event.preventDefault();
    [this.playing, this.follows, this.moving] = [false, false, true];
    this.draw();
    this.rest();
  }

  pause() {
    this.playing = false;
    this.draw();
    this.rest();
  }

  async start() {
    clearTimeout(this.resting);
    [this.playing, this.follows, this.moving] = [true, false, true];
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

  // Of several objects the canvas shows one; all of them are shown as long as the pointer is elsewhere.
  listen() {
    const frame = document.querySelector(`.st-key-${this.data.canvas}`);
    if (frame && frame !== this.canvas) {
      this.canvas?.removeEventListener("pointerenter", this.inside);
      this.canvas?.removeEventListener("pointerleave", this.inside);
      frame.addEventListener("pointerenter", this.inside);
      frame.addEventListener("pointerleave", this.inside);
      this.canvas = frame;
    }
    this.hover(Boolean(frame?.matches(":hover")));
  }

  async hover(inside) {
    this.over = inside;
    if (this.moving || this.playing || this.follows) return;
    if (inside) return this.restore();
    if (!this.data.shown || this.data.objects.length < 2 || this.data.marked) return;
    const seen = await this.fetch(this.frame, true).catch(() => null);
    if (seen && !this.moving && !this.over && !this.playing && seen.frame === this.frame) this.paint(seen);
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
    document.body.toggleAttribute("data-samkit-film-moves", this.moving || this.playing || this.follows);
    window.dispatchEvent(new CustomEvent("samkit:film"));
  }

  figures() {
    const lines = this.data.objects.map((object, number) => {
      const track = this.tracks[number], place = track ? track.frame.indexOf(this.frame) : -1;
      const line = document.createElement("span"), dot = document.createElement("span");
      dot.className = "dot";
      dot.style.background = object.color;
      const score = place < 0 ? null : track.object_score[place], iou = place < 0 ? null : track.predicted_iou[place];
      const text = place < 0 ? "" : [
        `object score ${score.toFixed(1)}${score > 0 ? "" : ", judged absent"}`,
        iou === null ? "given mask" : `predicted IoU ${iou.toFixed(2)}`,
        `${(100 * track.area_share[place]).toFixed(1)} % of the frame`,
        ...(track.corrected.includes(this.frame) ? ["marked here"] : []),
      ].join(" · ");
      line.append(dot, `${object.name}${text && ": "}${text}`);
      return line;
    });
    const origin = document.createElement("span");
    origin.textContent = `${ORIGINS[this.origin] ?? ""}${this.moving ? " …" : ""}`;
    return [...lines, origin];
  }

  leave() {
    this.gone = true;
    this.playing = this.follows = false;
    this.restore();
    this.canvas?.removeEventListener("pointerenter", this.inside);
    this.canvas?.removeEventListener("pointerleave", this.inside);
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
