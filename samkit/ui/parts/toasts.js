// A toast belongs to the page it was shown on: going to another page closes it. Streamlit names the other page in the
// address before it draws it, so what that page shows is not there yet.
if (!window.samkitToasts) {
  window.samkitToasts = true;
  const close = () =>
    document.querySelectorAll('[data-testid="stToast"] button[aria-label="Close"]').forEach(button => button.click());
  const name = history.pushState;
  history.pushState = function (state, unused, url) {
    if (url && new URL(url, location.href).pathname !== location.pathname) close();
    return name.apply(this, arguments);
  };
  addEventListener("popstate", close);
}
