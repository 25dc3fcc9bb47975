// Of the report of compared runs: tables that sort by a click on a head, missing values last, and the line between two
// pictures.

for (const input of document.querySelectorAll(".samkit-swipe input")) {
  input.oninput = () => input.parentElement.style.setProperty("--at", `${input.value}%`);
}
for (const table of document.querySelectorAll(".samkit-sortable")) {
  const heads = [...table.querySelectorAll("th")], body = table.tBodies[0];
  heads.forEach((head, column) => {
    head.firstChild.onclick = () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach(each => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const value = row => row.cells[column].dataset.value;
      const compare = (a, b) => isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b;
      const rows = [...body.rows].sort((a, b) => {
        const [first, second] = [value(a), value(b)];
        if (!first || !second) return !first - !second;
        return up ? compare(first, second) : compare(second, first);
      });
      body.append(...rows);
    };
  });
}
