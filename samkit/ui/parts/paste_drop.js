// A picture, prompts or a film that are pasted, or dropped anywhere on the page. Files go to an upload field of
// Streamlit's own that nobody sees; text goes to the server as it is.

const COORDINATES = /^[\s\d.,;:()[\]|+eE-]+$/;
const SHOWN = "samkit-drop-shown";
const AGAIN_MS = 200, TRIES = 50;

const ending = name => (name.match(/\.[^.]+$/)?.[0] ?? "").slice(1).toLowerCase();
const origin = event => event.composedPath?.()[0] ?? event.target;
const isField = element =>
  element instanceof Element &&
  (element.isContentEditable || element.matches("textarea, select, input:not([type=range], [type=checkbox], [type=radio], [type=file], [type=button])"));
const hasFiles = event => [...(event.dataTransfer?.types ?? [])].includes("Files");

class PasteDrop {
  data = null;
  tell = null;
  used = "";       // the upload field that was given a file last
  over_b = false;  // whether the pointer is over the second picture

  constructor() {
    const listen = (type, does) => window.addEventListener(type, event => this.data && does(event), true);
    listen("paste", event => this.paste(event));
    listen("pointermove", event => this.over_b = this.side(event) === "b");
    listen("dragover", event => this.over(event));
    listen("dragleave", event => event.relatedTarget === null && this.hide());
    listen("dragend", () => this.hide());
    listen("drop", event => this.drop(event));
  }

  /** "b" over the second picture of a page, else "a". */
  side(event) {
    const on_b = this.data.fields.b && this.passes(event, ".st-key-canvas_frame_second");
    return on_b ? "b" : "a";
  }

  passes(event, selector) {
    return event.composedPath().some(element => element instanceof Element && element.matches(selector));
  }

  /** An upload field or another place on the page that takes files itself. */
  taken(event) {
    return this.passes(event, '[data-testid="stFileUploaderDropzone"], [data-testid="stFileUploader"]');
  }

  over(event) {
    if (!hasFiles(event)) return;
    if (this.taken(event)) return this.hide();
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    this.show();
  }

  drop(event) {
    this.hide();
    if (!hasFiles(event) || this.taken(event)) return;
    event.preventDefault();
    event.stopPropagation();
    this.take([...event.dataTransfer.files], this.side(event));
  }

  paste(event) {
    const clipboard = event.clipboardData;
    const text = clipboard?.getData("text/plain") ?? "";
    const files = [...(clipboard?.files ?? [])];
    const field = isField(origin(event)) || isField(document.activeElement);
    // A spreadsheet puts a picture of its cells beside their text.
    if (files.length && !(text.trim() && COORDINATES.test(text))) {
      event.preventDefault();
      this.take(files, this.over_b ? "b" : "a", true);
    } else if (text.trim() && !field) {
      event.preventDefault();
      this.say({ kind: "text", text: text.slice(0, this.data.characters + 1), side: this.over_b ? "b" : "a" });
    }
  }

  take(files, side, pasted = false) {
    if (!files.length) return;
    let [file] = files;
    if (pasted && /^image\.\w+$/.test(file.name)) file = new File([file], `pasted.${ending(file.name)}`, { type: file.type });
    const end = ending(file.name) || file.type.split("/").pop().toLowerCase();
    const most = this.data.most[end];
    if (most === undefined) return this.say({ kind: "unknown", name: file.name });
    if (file.size > most * 1024 * 1024) return this.say({ kind: "large", name: file.name, most });
    if (!file.size) return this.say({ kind: "empty", name: file.name });
    this.send(ending(file.name) ? file : new File([file], `${file.name || "pasted"}.${end}`, { type: file.type }), side);
    if (files.length > 1) this.say({ kind: "several", name: file.name, count: files.length });
  }

  /** Into the upload field of that side. A field takes one file; the next one comes with the page's next run. */
  send(file, side, tries = 0) {
    const field = this.data?.fields[side];
    const input = field && document.querySelector(`.st-key-${field} input[type=file]`);
    if ((!input || field === this.used) && tries < TRIES) return setTimeout(() => this.send(file, side, tries + 1), AGAIN_MS);
    if (!input) return this.say({ kind: "late", name: file.name });
    this.used = field;
    const parcel = new DataTransfer();
    parcel.items.add(file);
    input.files = parcel.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }

  say(what) {
    this.tell("given", { ...what, number: Date.now() });
  }

  show() {
    let sheet = document.getElementById(SHOWN);
    if (sheet) return;
    sheet = document.createElement("div");
    sheet.id = SHOWN;
    sheet.textContent = this.data.words;
    sheet.setAttribute("role", "status");
    sheet.style.cssText = "position:fixed;inset:12px;z-index:1000000;pointer-events:none;display:flex;" +
      "align-items:center;justify-content:center;border:3px dashed var(--samkit-accent);border-radius:12px;" +
      "background:color-mix(in srgb, var(--samkit-accent) 14%, transparent);font-size:1.25rem;font-weight:600;" +
      "text-shadow:0 0 6px Canvas,0 0 6px Canvas,0 0 6px Canvas;text-align:center;padding:2rem";
    document.body.append(sheet);
  }

  hide() {
    document.getElementById(SHOWN)?.remove();
  }
}

const page = window.samkitPasteDrop ??= new PasteDrop();

export default function ({ data, setTriggerValue }) {
  page.data = data;
  page.tell = setTriggerValue;
  return () => {
    if (page.data === data) page.data = null;
    page.hide();
  };
}
