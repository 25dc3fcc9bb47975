// In a narrow window the sidebar would take a third of the room and more: it is folded until its visitor unfolds it, and
// again when it has led to another page. Streamlit does so by itself, but only in a window narrower than this one.
if (!window.samkitSidebar) {
  window.samkitSidebar = true;
  const NARROW_PX = 1000, CHOICE = "stSidebarCollapsed-";  // as Streamlit notes what its visitor chose

  // Null where the browser keeps nothing: then nobody can tell a choice.
  const choices = () => {
    try {
      return Object.keys(localStorage).filter(key => key.startsWith(CHOICE));
    } catch {
      return null;
    }
  };
  const forgetChoice = () => choices()?.forEach(key => localStorage.removeItem(key));
  const isNarrow = () => innerWidth < NARROW_PX;
  const fold = () => {
    const sidebar = document.querySelector('[data-testid="stSidebar"]');
    if (!isNarrow() || sidebar?.dataset.collapsed !== "false" || choices()?.length !== 0) return;
    sidebar.querySelector('[data-testid="stSidebarCollapseButton"] button')?.click();
    forgetChoice();
  };
  const parts = { childList: true, subtree: true, attributes: true, attributeFilter: ["data-collapsed"] };
  new MutationObserver(fold).observe(document.body, parts);
  document.addEventListener("click", event => {
    if (isNarrow() && event.target.closest?.('[data-testid="stSidebarNavLink"]')) forgetChoice();
  });
  fold();
}
