// Below a canvas: zoom, how the mask is drawn, and whether masks follow the pointer. All of it happens in the browser.

const STYLES = ["fill", "outline", "off"];
const NO_CHANNEL = "There is no live connection to the server, as behind a proxy that cuts WebSockets. Everything else works.";
const timeText = ms => ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
const bars = new WeakMap();

class Bar {
  constructor(root) {
    this.root = root;
    root.addEventListener("click", event => this.press(event.target.closest("button")));
    root.querySelector("input").addEventListener("input", event => {
      this.stage?.setLook({ opacity: Number(event.target.value) / 100 });
    });
    this.heard = () => this.draw();
    window.addEventListener("samkit:stage", this.heard);
  }

  get stage() {
    return window.samkitStages?.get(this.data.frame);
  }

  update(data) {
    this.data = data;
    this.unlisten?.();
    const views = window.samkitViews;
    if (views) this.unlisten = views.listen(data.view, () => this.draw());
    this.draw();
  }

  press(button) {
    const views = window.samkitViews, { view, width } = this.data;
    const frame = document.querySelector(`.st-key-${this.data.frame}`);
    if (!button || !views) return;
    const does = {
      closer: () => views.zoom(view, 1.5),
      farther: () => views.zoom(view, 1 / 1.5),
      fit: () => views.set(view, { z: 1, x: 0, y: 0 }),
      actual: () => views.zoom(view, width / frame.clientWidth / views.state(view).z),
      live: () => this.stage?.setHovers(!this.stage.hovers),
    };
    if (STYLES.includes(button.name)) this.stage?.setLook({ style: button.name });
    else does[button.name]?.();
    this.draw();
  }

  draw() {
    const look = window.samkitLook ?? { style: "fill", opacity: 0.45 }, { stage } = this;
    const zoom = window.samkitViews?.state(this.data.view).z ?? 1;
    const button = name => this.root.querySelector(`button[name="${name}"]`);
    for (const name of STYLES) button(name).setAttribute("aria-pressed", look.style === name);
    this.root.querySelector("input").value = 100 * look.opacity;
    this.root.querySelector("output").textContent = `${Math.round(100 * zoom)} %`;
    const live = button("live"), state = stage?.liveState ?? "off", text = this.root.querySelector(".state");
    live.setAttribute("aria-pressed", Boolean(stage?.hovers));
    live.disabled = state !== "on";
    const slow = Boolean(stage?.heldBack), took = slow ? timeText(stage.decodeMs) : "";
    const why = slow
      ? `Off: decoding a mask takes ${took} with this model on this machine. Below ${timeText(stage.quickMs)} masks `
        + "follow the pointer by themselves; press Live to have them all the same, a little behind it. They come sooner "
        + "with a smaller model, a smaller encoding side, or once the machine has less else to do."
      : "";
    // In the same line: it comes and goes with what else the machine does.
    const words = { on: slow ? `slow: ${took}` : "", connecting: "", off: "live masks are off" };
    text.textContent = this.data.live ? words[state] : "";
    text.classList.toggle("slow", slow);
    text.title = { on: why, off: NO_CHANNEL }[state] ?? "";
    live.title = why || "Masks follow the pointer (H)";
    live.hidden = !this.data.live;
  }

  leave() {
    this.unlisten?.();
    window.removeEventListener("samkit:stage", this.heard);
  }
}

export default function ({ data, parentElement }) {
  let bar = bars.get(parentElement);
  if (!bar) bars.set(parentElement, bar = new Bar(parentElement.querySelector(".bar")));
  bar.update(data);
  return () => {
    bar.leave();
    bars.delete(parentElement);
  };
}
