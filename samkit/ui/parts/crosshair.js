// The keyboard's hand on a canvas: a crosshair that arrow keys move while the stage has the focus. What it places goes
// the way of a mouse's press, so that the order of things, and what a press means, are the same.

const STEP_PX = 4, BIG_STEP_PX = 40;  // on the screen: on an enlarged picture the steps are finer
const IN_SIGHT = 0.06;  // so far from the edge of what is seen of an enlarged picture
const DIRECTIONS = { arrowleft: [-1, 0], arrowright: [1, 0], arrowup: [0, -1], arrowdown: [0, 1] };

class Crosshair {
  at = null;      // shares of the picture
  corner = null;  // of a box that is begun
  refused = null;  // why the box that was asked for last was not made: the name of a hint

  constructor(side) {
    this.side = side;
    const { signal } = side.listeners;
    side.stage.whenAskedFor = () => this.root.matches(":focus") && this.come();
    this.root.addEventListener("focus", () => this.come(), { signal });
    this.root.addEventListener("blur", () => this.go(), { signal });
  }

  get root() {
    return this.side.stage.root;
  }

  isOn(event) {
    return event.composedPath()[0] === this.root;
  }

  // The prompt that it lies on.
  get shape() {
    return this.side.hit(this.at)?.shape ?? null;
  }

  // Where it was before, if that is in sight and of this picture.
  come() {
    const { view } = this.side.data, { z, x, y } = views.state(view), seen = at => at >= 0 && at <= 1;
    const there = this.at && this.of === view && seen(this.at[0] * z - x) && seen(this.at[1] * z - y);
    if (!there) [this.at, this.of] = [views.inside(view, 0.5, 0.5), view];
    this.show();
  }

  go() {
    const { stage } = this.side;
    [this.corner, this.refused, stage.cross, stage.band] = [null, null, null, null];
    stage.leave();
    stage.drawPrompts();
  }

  show() {
    const { stage, tool } = this.side;
    if (tool !== BOX_TOOL) [this.corner, this.refused] = [null, null];
    stage.cross = this.at;
    stage.band = this.corner && spanned(this.corner, this.at);
    // The line that says what keys do keeps away from it.
    this.root.classList.toggle("low", stage.place(...this.at)[1] > 0.75);
    stage.drawPrompts();
  }

  // What the keys do here, or why a box was not made.
  say() {
    // While the canvas is made anew, nowhere is a place on it.
    if (!this.side.stage.cross || !this.side.part(".upper-canvas")) return;
    const { hints, tools } = this.side.data;
    const about = this.corner ? "corner" : this.shape ? "prompt" : tools[this.side.tool];
    const line = this.root.querySelector(".hint"), text = hints[this.refused ?? about];
    line.classList.toggle("refused", this.refused !== null);
    if (line.textContent !== text) line.textContent = text;
  }

  move(name, big) {
    const { side } = this, [right, down] = DIRECTIONS[name], step = big ? BIG_STEP_PX : STEP_PX;
    const [width, height] = side.pixels(1, 1);
    const wanted = [clamp(this.at[0] + right * step / width), clamp(this.at[1] + down * step / height)];
    this.at = side.placeOf(side.pixelAt(wanted));
    this.refused = null;
    this.bringIntoSight();
    this.root.scrollIntoView({ block: "nearest" });
    this.show();
    this.hover();
  }

  bringIntoSight() {
    const { view } = this.side.data, { z, x, y } = views.state(view);
    const moved = (from, share) => Math.max(share * z - 1 + IN_SIGHT, Math.min(share * z - IN_SIGHT, from));
    if (z > 1) views.set(view, { z, x: moved(x, this.at[0]), y: moved(y, this.at[1]) });
  }

  // The mask of what would be placed here.
  hover() {
    const { side, at } = this, { stage, tool } = side;
    if (stage.band) return side.isBox(stage.band) ? stage.hover(rounded(stage.band)) : stage.leave();
    if (tool === BOX_TOOL || this.shape) return stage.leave();
    stage.hover(rounded([...at, tool === FOREGROUND_TOOL ? 1 : 0]));
  }

  // A point, or the first corner of a box and then the other one. background: a point whatever the tool
  place(background) {
    const { side, at } = this;
    this.refused = null;
    this.show();
    if (background || side.tool !== BOX_TOOL || (!this.corner && this.shape)) return side.pressAt([at], background);
    if (!this.corner) {
      this.corner = at;
      return this.show();
    }
    if (!side.isBox(spanned(this.corner, at))) {
      this.refused = this.corner.every((value, axis) => value === at[axis]) ? "same_place" : "too_small";
      return this.show();
    }
    const from = this.corner;
    this.corner = null;
    side.pressAt([from, at], false);
  }

  dropCorner() {
    [this.corner, this.refused] = [null, null];
    this.show();
  }
}
