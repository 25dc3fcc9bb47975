// Light, dark or as the system has it. Streamlit's own menu, which is out of sight, has the switch that changes the page
// at once; it remembers the choice for the address that the visitor came by, so this remembers it for the other pages.

const MENU = '[data-testid="stMainMenuButton"]', PATIENCE_MS = 2000;
const KEY = /^stActiveTheme-(.*?)(-v\d+)$/;

const item = name => document.querySelector(`[data-testid="stMainMenuItem-theme-${name}"]`);

async function found(find) {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end;) {
    const element = find();
    if (element) return element;
    await new Promise(done => setTimeout(done, 20));
  }
  return null;
}

const kept = () => Object.keys(localStorage).map(key => key.match(KEY)).filter(Boolean);

function remember(name, pages) {
  const [, , version] = kept()[0] || [null, null, "-v2"];
  const folder = location.pathname.replace(/[^/]*$/, "");
  for (const path of [...pages.map(page => folder + page), ...kept().map(match => match[1])])
    localStorage.setItem(`stActiveTheme-${path}${version}`, JSON.stringify(name));
}

function present() {
  const own = kept().find(match => match[1] === location.pathname) || kept()[0];
  return own ? JSON.parse(localStorage.getItem(own[0])) : "System";
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const buttons = [...parentElement.querySelectorAll("button")];
  const show = () => buttons.forEach(each => each.setAttribute("aria-checked", each.dataset.theme === present()));
  show();
  for (const button of buttons)
    button.onclick = async () => {
      const name = button.dataset.theme;
      document.querySelector(MENU)?.click();
      (await found(() => item(name)))?.click();
      if (item(name)) document.querySelector(MENU)?.click();
      remember(name, data.pages);
      show();
      setTriggerValue("chosen", name);
    };
}
