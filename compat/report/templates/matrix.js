// Rows open to the areas of their checks, and arrow keys move from cell to cell.
const matrix = document.getElementById("table");

for (const row of matrix.querySelectorAll("tr[data-model]")) {
  const name = row.cells[0].querySelector("a");
  const label = `Areas of ${name.textContent}`;
  const button = element("button", { type: "button", class: "expand", "aria-label": label, "aria-expanded": "false" });
  button.addEventListener("click", () => toggleAreas(row, button));
  name.before(button);
}

const toggleAreas = (row, button) => {
  const open = button.ariaExpanded === "true";
  button.ariaExpanded = String(!open);
  while (row.nextElementSibling?.matches(".sub")) row.nextElementSibling.remove();
  if (!open) row.after(...areaRows(row));
};

// The same columns as the matrix has, with the score of each area in the grid of the model.
const areaRows = (row) => {
  const grid = document.getElementById(row.dataset.model).querySelector(".grid");
  if (!grid) return [];
  const facts = [...matrix.tHead.rows[0].cells].filter((head) => !head.dataset.mode).length;
  const columns = [...row.cells].slice(facts).map((cell) => {
    const anchor = cell.querySelector("a")?.hash.slice(1);
    const head = anchor && grid.querySelector(`th[data-t="${CSS.escape(anchor)}"]`);
    return { off: cell.classList.contains("off"), anchor, at: head ? head.cellIndex : 0 };
  });
  return [...grid.querySelectorAll(".area")].map((area) => {
    const cells = columns.map(({ off, anchor, at }) => {
      const score = at ? area.cells[at] : null;
      const cell = element("td", { class: [score?.className ?? "", off ? "off" : ""].join(" ").trim() });
      if (score) cell.append(element("a", { href: "#" + anchor }, score.textContent));
      return cell;
    });
    const blank = element("td");
    blank.colSpan = [...row.cells].slice(1, facts).filter((cell) => getComputedStyle(cell).display !== "none").length;
    const name = element("th", { scope: "row" }, area.cells[0].textContent);
    return element("tr", { class: "sub" }, name, ...(blank.colSpan ? [blank] : []), ...cells);
  });
};

const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

matrix.addEventListener("keydown", (event) => {
  const step = STEPS[event.key];
  const cell = event.target.closest("td, th");
  if (!step || !cell || event.altKey || event.ctrlKey || event.metaKey) return;
  const rows = [...matrix.querySelectorAll("tr[data-model]")].filter((row) => row.offsetParent);
  const row = rows[rows.indexOf(cell.parentElement) + step[0]];
  for (let at = cell.cellIndex + step[1]; row?.cells[at]; at += step[1] || 1) {
    const link = row.cells[at].offsetParent && row.cells[at].querySelector("a");
    if (link) {
      event.preventDefault();
      link.focus();
      return;
    }
    if (!step[1]) return;
  }
});
