// A button that puts a picture on the clipboard. The server makes the picture when the button is pressed; browsers take
// a promise of it, for the press is all that allows a page to write there.

const waiting = new WeakMap();
const picture = text => new Blob([Uint8Array.from(atob(text), letter => letter.charCodeAt(0))], { type: "image/png" });

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const button = parentElement.querySelector("button"), note = parentElement.querySelector("p");
  const say = text => { note.textContent = text; };
  parentElement.querySelector("span").textContent = data.label;
  const asked = waiting.get(parentElement);
  if (data.answer && asked?.number === data.answer) asked.resolve(picture(data.png));

  button.onclick = async () => {
    if (!navigator.clipboard?.write || !window.ClipboardItem) return say(data.forbidden);
    say(data.making);
    const number = `${Date.now()}-${Math.random()}`;
    const png = new Promise(resolve => waiting.set(parentElement, { number, resolve }));
    setTriggerValue("asked", number);
    try {
      await navigator.clipboard.write([new ClipboardItem({ "image/png": png })]);
      say(data.copied);
    } catch {
      say(data.forbidden);
    }
  };
}
