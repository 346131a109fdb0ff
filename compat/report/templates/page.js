// The page is complete without this: it adds the filter, and opens what a link points into.
"use strict";
(() => {
  const form = document.getElementById("filter");
  const field = document.getElementById("q");
  const shown = document.getElementById("shown");
  const none = document.getElementById("none");
  const rows = [...document.querySelectorAll(".matrix tr[data-model]")].map((row) => ({
    row,
    text: (row.dataset.find + " " + row.textContent).toLowerCase(),
  }));
  const followers = [...document.querySelectorAll("[data-model]")].filter(
    (element) => !element.closest(".matrix"),
  );
  const findings = [...document.querySelectorAll(".finding")];
  const families = [...document.querySelectorAll(".matrix tbody")];

  // The hash holds the filter, the place, or both: #q=llama, #t-..., #q=llama&at=t-...
  const read = () => {
    const hash = location.hash.slice(1);
    if (!/^(q|at)=/.test(hash)) return { q: null, at: hash };
    const values = new URLSearchParams(hash);
    return { q: values.get("q") || "", at: values.get("at") || "" };
  };
  const write = (q, at) => {
    const hash = q ? "q=" + encodeURIComponent(q) + (at ? "&at=" + at : "") : at;
    history.replaceState(null, "", hash ? "#" + hash : location.pathname + location.search);
  };

  const filter = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const hidden = new Set();
    for (const { row, text } of rows) {
      row.hidden = !words.every((word) => text.includes(word));
      if (row.hidden) hidden.add(row.dataset.model);
    }
    for (const element of followers) element.hidden = hidden.has(element.dataset.model);
    for (const finding of findings)
      finding.hidden = [...finding.querySelectorAll("[data-of]")].every((place) =>
        hidden.has(place.dataset.of),
      );
    for (const family of families)
      family.hidden = !family.querySelector("tr[data-model]:not([hidden])");
    const left = rows.length - hidden.size;
    shown.textContent = words.length ? left + " of " + rows.length : "";
    none.hidden = left > 0 || !words.length;
  };

  const open = (id) => {
    const place = id && document.getElementById(id);
    if (!place) return;
    for (let at = place.closest("details"); at; at = at.parentElement.closest("details"))
      at.open = true;
    place.closest("[hidden]")?.removeAttribute("hidden");
    (place.closest(".target") || place).scrollIntoView();
  };

  const follow = () => {
    const { q, at } = read();
    if (q !== null && q !== field.value) field.value = q;
    filter();
    if (at) open(at);
    else if (q !== null) document.getElementById("matrix").scrollIntoView();
  };

  field.addEventListener("input", () => {
    filter();
    write(field.value.trim(), "");
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", follow);
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]');
    const q = field.value.trim();
    if (!link || !q || link.hash.startsWith("#q=")) return;
    event.preventDefault();
    location.hash = "q=" + encodeURIComponent(q) + "&at=" + link.hash.slice(1);
  });
  addEventListener("keydown", (event) => {
    if (event.key === "/" && !/^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName)) {
      event.preventDefault();
      field.focus();
    } else if (event.key === "Escape" && document.activeElement === field) {
      field.value = "";
      filter();
      write("", "");
    }
  });

  form.hidden = false;
  follow();
})();
