// The sheet: a model's article is moved into it, and goes back to its place when it is closed.
const sheet = document.getElementById("sheet");
const sheetBody = sheet.querySelector(".sheet-body");
const strip = sheet.querySelector(".cells");
let home = null; // what stands where the article was

const closeSheet = () => {
  if (!home) return;
  const article = sheetBody.firstElementChild;
  resetArticle(article);
  for (const details of article.querySelectorAll("details")) details.open = false;
  article.classList.remove("one");
  home.replaceWith(article);
  home = null;
  sheet.close();
};

const openSheet = (article, place, check) => {
  const target = place?.closest(".target");
  const anchor = target?.querySelector("div[id]").id ?? "";
  if (sheetBody.firstElementChild !== article) {
    closeSheet();
    home = document.createComment("in the sheet");
    article.replaceWith(home);
    sheetBody.append(article);
  } else resetArticle(article);
  const heading = article.querySelector("h3").textContent.replace(/\s+/g, " ").trim();
  const cell = target ? target.querySelector("summary span").textContent : "";
  sheet.setAttribute("aria-label", [heading, cell].filter(Boolean).join(", "));
  article.classList.toggle("one", Boolean(target));
  for (const fold of article.querySelectorAll(".fold")) fold.open = !target || fold.matches(".checks");
  fillStrip(article, anchor);
  if (target) choose(article, target, anchor);
  for (const line of article.querySelectorAll(".reproduce")) offerCopy(line);
  article.hidden = false;
  if (!sheet.open) sheet.showModal();
  sheet.scrollTop = 0;
  if (place && place.id !== anchor) place.scrollIntoView({ block: "center" });
  if (target && check) showCase(article, anchor, check);
};

const resetArticle = (article) => {
  article.querySelector(".chosen")?.classList.remove("chosen");
  for (const made of article.querySelectorAll(".made")) made.remove();
  for (const link of article.querySelectorAll(".grid .c th > a")) link.replaceWith(link.textContent);
  for (const cell of article.querySelectorAll(".grid .at")) cell.classList.remove("at");
};

// All cells of the model, and the way back to its own page.
const fillStrip = (article, anchor) => {
  const own = element("a", { href: "#" + article.id }, "model");
  if (!anchor) own.setAttribute("aria-current", "page");
  const cells = [...article.querySelectorAll(".target")].map((target) => {
    const place = target.querySelector("div[id]").id;
    const [weights, device, mode] = target.querySelector("summary span").textContent.split(" · ");
    const name = [device === "cpu" ? mode : `${device} ${mode}`, weights === "config" ? "facts" : weights];
    const glyph = target.querySelector("summary .g").cloneNode(true);
    const mark = [...target.classList].find((one) => one.startsWith("v-"));
    const link = element("a", { href: "#" + place, class: mark }, glyph, name.join(" · "));
    if (place === anchor) link.setAttribute("aria-current", "page");
    return link;
  });
  strip.replaceChildren(own, ...cells);
};

const choose = (article, target, anchor) => {
  target.classList.add("chosen");
  target.open = true;
  const head = article.querySelector(`.grid th[data-t="${CSS.escape(anchor)}"]`);
  if (!head) return;
  for (const row of head.closest("table").rows) {
    let at = 0;
    for (const cell of row.cells) {
      if (at === head.cellIndex && cell.colSpan === 1) cell.classList.add("at");
      at += cell.colSpan;
    }
  }
  for (const name of article.querySelectorAll(".grid .c th")) {
    const check = name.textContent;
    name.replaceChildren(element("a", { href: `#${anchor}:${check}` }, check));
  }
};

// A case that did not pass may have a command of its own; all others have that of their target.
const commandOf = (place, check) => {
  const own = [...place.querySelectorAll(":scope > .end .reproduce code")].find((line) =>
    line.textContent.includes(`-${check}]`),
  );
  const any = place.querySelector(":scope > .facts .reproduce code");
  return (own ?? any)?.textContent.replace("-CHECK]", `-${check}]`);
};

// One case: what came of it, when, where, and the command that repeats it.
const showCase = async (article, anchor, check) => {
  const row = [...article.querySelectorAll(".grid .c")].find((one) => one.cells[0].textContent === check);
  const place = document.getElementById(anchor);
  if (!row) return;
  const id = `${place.dataset.target}/${check}`;
  const found = (await results()).byCase.get(id);
  if (!location.hash.includes(check)) return; // somebody has moved on
  const cell = element("td", { colspan: "99" });
  const facts = found
    ? `${found.outcome.replaceAll("_", " ")}${found.reason && ": " + found.reason} · ${found.seconds} s · ${found.started.replace("T", " ")} UTC · environment ${found.environment}`
    : "This check has no result for this target.";
  const asserted = [...document.querySelectorAll("#checks dt")].find((name) => name.textContent === check);
  if (asserted) cell.append(element("p", {}, asserted.nextElementSibling.textContent));
  cell.append(element("p", {}, element("code", {}, id)), element("p", {}, facts));
  const command = commandOf(place, check);
  if (command && found) {
    const line = element("p", { class: "reproduce" }, element("code", {}, command));
    offerCopy(line);
    cell.append(line, element("p", { class: "meta" }, element("span", { class: "src" }, "record " + found.execution)));
  }
  for (const old of article.querySelectorAll(".case")) old.remove();
  row.after(element("tr", { class: "case made" }, cell));
  row.scrollIntoView({ block: "center" });
  row.querySelector("th a").focus({ preventScroll: true });
};

const offerCopy = (line) => {
  if (line.querySelector("button")) return;
  const button = element("button", { type: "button", class: "made" }, "Copy");
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(line.querySelector("code").textContent);
    button.textContent = "Copied";
  });
  line.append(button);
};
