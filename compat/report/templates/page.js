// What the address says is shown; what the reader does is written into the address.
const theme = document.getElementById("theme");
const THEMES = ["", "dark", "light"];

const follow = () => {
  const { filters, at } = readAddress();
  setFilters(filters);
  if (Object.keys(filters).some((name) => name !== "q")) showAll(true);
  applyFilters();
  const [anchor, check] = at.split(":");
  const place = anchor ? document.getElementById(anchor) : null;
  const article = place?.closest("article.model");
  if (article) return openSheet(article, place === article ? null : place, check);
  closeSheet();
  if (!place) return undefined;
  for (let details = place.closest("details"); details; details = details.parentElement.closest("details"))
    details.open = true;
  return place.scrollIntoView();
};

const go = (filters, at) => {
  const hash = hashOf(filters, at);
  if (hash === location.hash) follow();
  else location.hash = hash;
};

const filterNow = () => {
  applyFilters();
  replaceAddress(filtersNow(), "");
};

form.addEventListener("input", filterNow);
// On a narrow screen all filters but the text are behind a button, unless one of them is set.
const more = form.querySelector(".more");
const showAll = (all) => {
  form.classList.toggle("all", all);
  more.ariaExpanded = String(all);
};
more.addEventListener("click", () => showAll(more.ariaExpanded !== "true"));
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", () => setTimeout(filterNow));
addEventListener("hashchange", follow);

document.addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="#"]');
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (link.hash.includes("=")) return;
  event.preventDefault();
  go(filtersNow(), decodeURIComponent(link.hash.slice(1)));
});

document.getElementById("close").addEventListener("click", () => sheet.close());
sheet.addEventListener("click", (event) => event.target === sheet && sheet.close());
sheet.addEventListener("close", () => {
  const from = strip.querySelector("[aria-current]")?.hash;
  closeSheet();
  if (readAddress().at) replaceAddress(filtersNow(), "");
  matrix.querySelector(`a[href=${JSON.stringify(from ?? "")}]`)?.focus();
});

addEventListener("keydown", (event) => {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName);
  if (event.key === "/" && !typing && !sheet.open) {
    event.preventDefault();
    form.elements.q.focus();
  } else if (event.key === "Escape" && document.activeElement === form.elements.q) {
    form.reset();
  }
});

for (const button of document.querySelectorAll("#plain button"))
  button.addEventListener("click", () => download(button.dataset.format));
document.getElementById("plain").hidden = false;

const nameTheme = () => (theme.textContent = `Theme: ${document.documentElement.dataset.theme || "system"}`);
theme.addEventListener("click", () => {
  const now = THEMES.indexOf(document.documentElement.dataset.theme ?? "");
  const next = THEMES[(now + 1) % THEMES.length];
  document.documentElement.dataset.theme = next;
  try {
    localStorage.setItem("compat-theme", next);
  } catch {
    // Storage may be forbidden; the choice holds until the page is closed.
  }
  nameTheme();
});
nameTheme();
theme.hidden = false;
form.hidden = false;
follow();
