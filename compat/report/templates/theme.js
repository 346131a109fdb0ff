// Before anything is painted: the theme that was chosen on an earlier visit.
"use strict";
document.documentElement.classList.add("scripts");
try {
  const chosen = localStorage.getItem("compat-theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
} catch {
  // Storage may be forbidden; the system's theme is as good.
}
