// The live channel: a question with prompts goes out, logits of masks come back. One question is under way at a time
// and the newest one waits. Where there is no channel, nothing is asked, and `state` says why.

const LOGIT_SCALE = 256;
const RETRY_MS = [500, 2000, 8000];
const WAIT_MS = 150;  // the page is still encoding the picture
const MISSED_MS = 700;  // nobody encodes it for so long: the page is to run again
const ASK_PAGE_MS = 15000;  // at least between two such runs
const NORMAL_CLOSE = 1000;

class LiveChannel {
  state = "connecting";
  socket = null;
  asked = null;
  waiting = null;
  count = 0;
  retries = 0;

  // changed: told of each new state; missed: called where the page has to run before there can be an answer
  constructor(path, token, changed, missed) {
    this.path = path;
    this.token = token;
    this.changed = changed;
    this.missed = missed;
    this.connect();
  }

  connect() {
    const url = new URL(this.path, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    try {
      this.socket = new WebSocket(url);
    } catch {
      return this.say("off");
    }
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => this.socket.send(JSON.stringify({ token: this.token }));
    this.socket.onmessage = ({ data }) => this.hear(data);
    this.socket.onclose = ({ code }) => this.closed(code);
  }

  say(state) {
    this.state = state;
    this.changed?.(state);
  }

  closed(code) {
    this.asked = null;
    if (this.left) return;
    const refused = code >= 4400 && code < 4500;
    if (refused || this.retries >= RETRY_MS.length) return this.say("off");
    this.say("connecting");
    this.again = setTimeout(() => this.connect(), RETRY_MS[this.retries++]);
  }

  hear(data) {
    if (typeof data === "string") {
      const said = JSON.parse(data);
      if (said.ready) {
        this.retries = 0;
        this.decodeMs = said.decode_ms;
        this.say("on");
      } else if (this.asked && said.n === this.asked.n) {
        const { asked } = this;
        this.asked = null;
        this.noteMissed(said.missed);
        if (said.wait) this.later = setTimeout(() => (this.waiting ??= asked) && this.next(), WAIT_MS);
        else asked.answer?.(null);
      }
    } else {
      const { asked } = this, answer = LiveChannel.read(data);
      this.asked = this.missedSince = null;
      this.decodeMs = answer.decode_ms;
      if (asked && answer.n === asked.n) asked.answer?.(answer);
    }
    this.next();
  }

  noteMissed(missed) {
    const now = performance.now();
    if (!missed) this.missedSince = null;
    else if (now - (this.missedSince ??= now) >= MISSED_MS && now - (this.askedPageAt ?? -Infinity) >= ASK_PAGE_MS) {
      if (this.missed?.()) this.askedPageAt = now;
    }
  }

  // question: points, boxes, masks; answer: called with what comes back, or null
  ask(question, answer) {
    this.waiting?.answer?.(null);
    this.waiting = { question, answer };
    this.next();
  }

  // The answer to the question under way is wanted by this one too, if it is the one that was asked.
  join(isAsked, answer) {
    if (!this.asked || !isAsked(this.asked.question)) return false;
    this.waiting?.answer?.(null);
    this.waiting = null;
    this.asked.answer = answer;
    return true;
  }

  // What waits to be asked is not wanted any more.
  forget() {
    this.waiting?.answer?.(null);
    this.waiting = null;
  }

  next() {
    if (this.state !== "on" || this.asked || !this.waiting) return;
    this.asked = { ...this.waiting, n: ++this.count };
    this.waiting = null;
    this.socket.send(JSON.stringify({ n: this.asked.n, ...this.asked.question }));
  }

  leave() {
    this.left = true;
    clearTimeout(this.again);
    clearTimeout(this.later);
    this.socket?.close(NORMAL_CLOSE);
  }

  static read(buffer) {
    const length = new DataView(buffer).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
    const all = new Int16Array(buffer.slice(4 + length)), size = header.h * header.w;
    const logits = new Map(header.masks.map((index, at) => [index, all.subarray(at * size, (at + 1) * size)]));
    return { ...header, logits };
  }
}

// A mask of an answer as a canvas of that size: opaque where its logits, drawn up smoothly, are above the threshold.
function maskOf(answer, index, width, height, threshold) {
  const logits = answer.logits.get(index), { h, w, share } = answer;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d"), picture = context.createImageData(width, height);
  const pixels = new Uint32Array(picture.data.buffer), cut = threshold * LOGIT_SCALE;
  const left = new Int32Array(width), part = new Float32Array(width);
  for (let x = 0; x < width; x++) {
    const at = Math.max(0, Math.min(w - 1, (x + 0.5) / width * share[1] * w - 0.5));
    left[x] = Math.min(w - 2, Math.floor(at));
    part[x] = at - left[x];
  }
  for (let y = 0; y < height; y++) {
    const at = Math.max(0, Math.min(h - 1, (y + 0.5) / height * share[0] * h - 0.5));
    const top = Math.min(h - 2, Math.floor(at)), down = at - top, first = top * w, second = first + w;
    for (let x = 0; x < width; x++) {
      const i = left[x], right = part[x];
      const above = logits[first + i] + right * (logits[first + i + 1] - logits[first + i]);
      const below = logits[second + i] + right * (logits[second + i + 1] - logits[second + i]);
      if (above + down * (below - above) > cut) pixels[y * width + x] = 0xffffffff;
    }
  }
  context.putImageData(picture, 0, 0);
  return canvas;
}
