// Rows of the matrix by their text, cells by what their links say of themselves in data-*.
const form = document.getElementById("filter");
const none = document.getElementById("none");
const fields = [...form.elements].filter((field) => field.name);
const BY_CELL = ["mode", "device", "weights", "env", "outcome", "reason", "fits", "changed"];

const tables = [...document.querySelectorAll("table.matrix")].map((table) => {
  const heads = [...table.tHead.rows[0].cells];
  const columns = heads.filter((head) => head.dataset.mode);
  const rows = [...table.querySelectorAll("tr[data-model]")].map((row) => ({
    row,
    family: row.parentElement.dataset.family,
    text: (row.dataset.find + " " + row.textContent).toLowerCase(),
    cells: columns.map((head) => {
      const cell = row.cells[head.cellIndex];
      const ends = [...cell.querySelectorAll("[data-outcomes]")];
      return { cell, head, ends, own: cell.classList[0] };
    }),
  }));
  return { table, columns, rows };
});
const followers = [...document.querySelectorAll("main [data-model]")].filter(
  (one) => !one.closest("table.matrix"),
);
let shownEnvironment = "";
const findings = [...document.querySelectorAll(".finding")];

const filtersNow = () =>
  Object.fromEntries(
    fields.map((field) => [field.name, field.type === "checkbox" ? (field.checked ? "1" : "") : field.value.trim()]),
  );

const setFilters = (filters) => {
  for (const field of fields) {
    const value = filters[field.name] ?? "";
    if (field.type === "checkbox") field.checked = value === "1";
    else field.value = value;
  }
};

const has = (words, word) => (words ?? "").split(" ").includes(word);

const cellMatches = ({ cell, head }, end, wanted) =>
  (!wanted.mode || head.dataset.mode === wanted.mode) &&
  (!wanted.device || head.dataset.device === wanted.device) &&
  (!wanted.weights || end.dataset.weights === wanted.weights) &&
  (!wanted.env || end.dataset.env === wanted.env) &&
  (!wanted.outcome || has(end.dataset.outcomes, wanted.outcome)) &&
  (!wanted.reason || has(end.dataset.reasons, wanted.reason)) &&
  (!wanted.fits || Number(cell.dataset.gb ?? Infinity) <= Number(wanted.fits)) &&
  (!wanted.changed || "changed" in end.dataset);

// With an environment chosen, a cell shows what came of it there: its strongest evidence is first.
const showEnvironment = ({ cell, ends, own }, env) => {
  const lead = env ? ends.find((end) => end.dataset.env === env) : null;
  for (const end of ends) {
    end.classList.toggle("speaks", end === lead);
    end.hidden = Boolean(env) && end.dataset.env !== env;
  }
  cell.classList.toggle("nowhere", Boolean(env) && !lead);
  cell.classList.replace(cell.classList[0], lead ? "v-" + lead.dataset.mark : env ? "v-not-tested" : own);
};

const filterRow = ({ row, family, text, cells }, wanted, words, byCell) => {
  const fits =
    (!wanted.family || family === wanted.family) &&
    (!wanted.class || row.dataset.class === wanted.class) &&
    words.every((word) => text.includes(word));
  let any = false;
  for (const one of cells) {
    const matching = one.ends.filter((end) => cellMatches(one, end, wanted));
    one.cell.classList.toggle("unmatched", byCell && !matching.length);
    any ||= matching.length > 0;
  }
  row.hidden = !fits || (byCell && !any);
  return !row.hidden;
};

const applyFilters = () => {
  const wanted = filtersNow();
  const words = wanted.q.toLowerCase().split(/\s+/).filter(Boolean);
  const byCell = BY_CELL.some((name) => wanted[name]);
  const shown = new Set();
  const environmentMoved = (shownEnvironment ?? "") !== (wanted.env ?? "");
  shownEnvironment = wanted.env;
  document.documentElement.classList.toggle("one-environment", Boolean(wanted.env));
  for (const { table, columns, rows } of tables) {
    if (environmentMoved)
      for (const { cells } of rows) for (const cell of cells) showEnvironment(cell, wanted.env);
    for (const extra of table.querySelectorAll(".sub")) extra.remove();
    for (const button of table.querySelectorAll(".expand")) button.ariaExpanded = "false";
    for (const one of rows) if (filterRow(one, wanted, words, byCell)) shown.add(one.row.dataset.model);
    for (const head of columns) {
      const off =
        (wanted.mode && head.dataset.mode !== wanted.mode) ||
        (wanted.device && head.dataset.device !== wanted.device);
      head.classList.toggle("off", Boolean(off));
      for (const { row } of rows) row.cells[head.cellIndex].classList.toggle("off", Boolean(off));
    }
    for (const body of table.tBodies)
      if (body.dataset.family) body.hidden = !body.querySelector("tr[data-model]:not([hidden])");
  }
  for (const one of followers) one.hidden = !shown.has(one.dataset.model);
  for (const finding of findings)
    finding.hidden = [...finding.querySelectorAll("[data-of]")].every((at) => !shown.has(at.dataset.of));
  const all = tables[0].rows;
  const left = all.filter(({ row }) => !row.hidden).length;
  const asked = Object.values(wanted).some(Boolean);
  for (const field of fields) field.classList.toggle("set", Boolean(wanted[field.name]));
  document.getElementById("shown").textContent = asked ? `${left} of ${all.length}` : "";
  none.hidden = left > 0 || !asked;
};
