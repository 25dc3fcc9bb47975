// One-letter keys on an experiment's page. What each does, and where its control is, comes from Python as data; here a
// key finds that control on the page and presses it, so that it does what a hand on it would. The sheet also says what
// the canvas's own script does.

const TYPING = "input:not([type=range], [type=checkbox], [type=radio], [type=button]), textarea, select, "
  + "[contenteditable], [role=textbox], [role=combobox], [role=listbox], [role=menu]";
const ARROWS = ["arrowleft", "arrowright", "arrowup", "arrowdown"];
const REPEATED = [...ARROWS, "ctrl+z", "ctrl+y", "ctrl+shift+z"];
const ON_PICTURE = ".samkit-view, [class*='st-key-canvas_frame'], .st-key-main_view";
const TOOL = "st-key-tool_";  // and the canvas whose tools they are
const pages = new WeakMap();

const seen = element => element.getClientRects().length > 0;
const focused = () => {
  let element = document.activeElement;
  while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
  return element;
};

// A knob's key ends in a number once its widget was made anew.
function knob(page, name) {
  const wanted = new RegExp(`(^|\\s)st-key-knob_${page}_${name}(_\\d+)?(\\s|$)`);
  const found = [...document.querySelectorAll(`[class*="st-key-knob_${page}_${name}"]`)];
  return found.find(each => wanted.test(each.className) && seen(each)) ?? null;
}

class Keys {
  canvas = null;
  pointed = false;

  constructor(root) {
    this.dialog = root.querySelector("dialog");
    this.listeners = new AbortController();
    const { signal } = this.listeners;
    root.querySelector(".open").addEventListener("click", () => this.open(), { signal });
    root.querySelector(".close").addEventListener("click", () => this.dialog.close(), { signal });
    this.dialog.addEventListener("click", event => event.target === this.dialog && this.dialog.close(), { signal });
    document.addEventListener("keydown", event => this.press(event), { signal });
    document.addEventListener("pointermove", event => this.point(event), { signal, capture: true, passive: true });
    document.addEventListener("focusin", event => this.note(event), { signal });
    document.addEventListener("pointerover", event => this.title(event.target), { signal, capture: true, passive: true });
    document.addEventListener("pointerdown", event => this.point(event), { signal, capture: true, passive: true });
    // The "?" of a switch lies in its label, which would turn it.
    const help = event => event.target.closest?.("label [data-testid=stTooltipIcon]") && event.preventDefault();
    document.addEventListener("click", help, { signal, capture: true });
  }

  point(event) {
    this.pointed = true;
    this.note(event);
  }

  note(event) {
    this.canvas = event.target.closest?.("[data-canvas]")?.dataset.canvas ?? this.canvas;
  }

  // A tooltip for a control that has none of its own, when the pointer comes to it.
  title(target) {
    const tools = [...(target.closest?.('[class*="st-key-tool_"]')?.classList ?? [])].find(each => each.startsWith(TOOL));
    const place = each => (each.knob ? knob(this.data.page, each.knob) : this.control(each, tools?.slice(TOOL.length)));
    const rows = this.data.shortcuts.filter(each => each.titled);
    const over = target.closest?.('[role="radio"], [class*="st-key-knob_"]');
    if (!over) return;
    const own = rows.filter(each => place(each)?.contains(target));
    if (own.length) place(own[0]).title = own.map(({ text, shown }) => `${text} (${shown})`).join(" · ");
  }

  press(event) {
    const name = this.nameOf(event);
    const shortcut = this.data.shortcuts.find(({ keys, does }) => does !== "canvas" && keys.includes(name));
    if (!shortcut || event.defaultPrevented || event.isComposing) return;
    if (shortcut.does === "sheet" && this.dialog.open) return this.dialog.close();
    if (event.composedPath()[0].closest?.(TYPING)) return;
    if (event.repeat && !REPEATED.includes(name)) return;
    if (this.dialog.open || [...document.querySelectorAll('[role="dialog"]')].some(seen)) return;
    // Arrows belong to whatever is focused, and so does Tab. Who came by keyboard alone goes on by Tab.
    if ((ARROWS.includes(name) || name === "tab") && !this.isFree(name === "tab")) return;
    if (this.does(shortcut)) event.preventDefault();
  }

  nameOf(event) {
    const key = event.key?.toLowerCase() ?? "", command = event.ctrlKey || event.metaKey;
    if (event.altKey) return "";
    if (command) return `ctrl+${event.shiftKey ? "shift+" : ""}${key}`;
    return event.shiftKey && key !== "?" ? "" : key;
  }

  isFree(isTab) {
    const element = focused();
    // A click beside all controls leaves the focus on the page as a whole.
    if (!element || element.matches("body, main, [data-testid=stMain]")) return !isTab || this.pointed;
    if (element.matches("input, [role=radio], [role=tab], [role=slider], [role=application], [tabindex='0'][role=img]")) return false;
    const host = element.getRootNode().host;
    return Boolean(element.closest(ON_PICTURE) || host?.closest(ON_PICTURE)) && !element.matches("button, a");
  }

  // Whether there was something to do.
  does(shortcut) {
    if (shortcut.does === "sheet") return this.open();
    if (shortcut.does === "hover") return this.turnHover();
    if (shortcut.does === "crosshair") return this.goToPicture();
    if (shortcut.does === "back" || shortcut.does === "forth") return this.stepFilm(shortcut.does === "back" ? -1 : 1);
    const control = this.control(shortcut);
    if (!control) return false;
    if (shortcut.does === "focus") {
      control.focus();
      control.scrollIntoView({ block: "nearest" });
    } else if (shortcut.does === "press" || shortcut.does === "next") {
      control.click();
    } else {
      const key = shortcut.does === "lower" ? "ArrowLeft" : "ArrowRight";
      for (const type of ["keydown", "keyup"]) {
        control.dispatchEvent(new KeyboardEvent(type, { key, code: key, bubbles: true, cancelable: true }));
      }
    }
    return true;
  }

  // That the pointer or the crosshair was on last; the page's own before.
  get lastCanvas() {
    return document.querySelector(`.st-key-tool_${CSS.escape(this.canvas ?? "")}`) ? this.canvas : this.data.page;
  }

  control({ does, where, knob: name, nth }, canvas = this.lastCanvas) {
    const { page } = this.data;
    const usable = each => seen(each) && !each.disabled && each.getAttribute("aria-disabled") !== "true";
    if (where) {
      const selector = where.replaceAll("{page}", CSS.escape(page)).replaceAll("{canvas}", CSS.escape(canvas));
      const found = [...document.querySelectorAll(selector)];
      return nth === null ? found.find(usable) : [found[nth]].find(each => each && usable(each));
    }
    const place = knob(page, name);
    if (!place) return null;
    if (does === "next") {
      const views = [...place.querySelectorAll("[role=radio]")];
      const chosen = views.findIndex(each => each.getAttribute("aria-checked") === "true");
      return views.length > 1 ? views[(chosen + 1) % views.length] : null;
    }
    // Of two thumbs the last one; the screen does not show the inputs themselves.
    return [...place.querySelectorAll("input[type=range]")].filter(each => !each.disabled).at(-1);
  }

  stepFilm(by) {
    const player = window.samkitPlayers?.get("film");
    player?.step(by);
    return Boolean(player);
  }

  goToPicture() {
    const stage = [...(window.samkitStages?.values() ?? [])].find(each => each.data?.page === this.lastCanvas);
    stage?.root.focus();
    stage?.whenAskedFor();
    return Boolean(stage);
  }

  turnHover() {
    const stages = [...(window.samkitStages?.values() ?? [])].filter(stage => stage.liveState === "on");
    stages[0]?.setHovers(!stages[0].hovers);
    return stages.length > 0;
  }

  open() {
    const groups = Map.groupBy
      ? Map.groupBy(this.here(), ({ group }) => group)
      : this.here().reduce((all, each) => all.set(each.group, [...(all.get(each.group) ?? []), each]), new Map());
    const make = (name, text = "") => Object.assign(document.createElement(name), { textContent: text });
    this.dialog.querySelector(".groups").replaceChildren(...[...groups].map(([title, rows]) => {
      const section = make("section"), list = make("dl");
      for (const { shown, text } of rows) {
        const key = make("dt");
        key.append(make("kbd", shown));
        list.append(key, make("dd", text));
      }
      section.append(make("h3", title), list);
      return section;
    }));
    this.dialog.showModal();
    return true;
  }

  // The keys whose controls this page has, whether or not they can be pressed at this moment.
  here() {
    const { page, shortcuts } = this.data;
    return shortcuts.filter(({ does, where, knob: name }) => {
      if (does === "sheet") return true;
      if (does === "hover") return Boolean(window.samkitStages?.size);
      if (name) return Boolean(knob(page, name));
      return document.querySelector(where.replaceAll(/\{(page|canvas)\}/g, CSS.escape(page)));
    });
  }

  leave() {
    this.listeners.abort();
    if (this.dialog.open) this.dialog.close();
  }
}

export default function ({ data, parentElement }) {
  let keys = pages.get(parentElement);
  if (!keys) pages.set(parentElement, keys = new Keys(parentElement));
  keys.data = data;
  return () => {
    keys.leave();
    pages.delete(parentElement);
  };
}
