// The page is complete without scripts. They add the filter, the sheet, opened rows and downloads.
//
// The address holds all of the state: #t-gpt2-twin-cpu-nf4 is a place, #family=llama&mode=nf4 a
// filter, and #family=llama&at=t-gpt2-twin-cpu-nf4 both.
const readAddress = () => {
  const hash = location.hash.slice(1);
  if (!hash.includes("=")) return { filters: {}, at: decodeURIComponent(hash) };
  const { at = "", ...filters } = Object.fromEntries(new URLSearchParams(hash));
  return { filters, at };
};

const hashOf = (filters, at) => {
  const said = Object.entries(filters).filter(([, value]) => value);
  if (!said.length) return at ? "#" + at : "";
  return "#" + new URLSearchParams(at ? [...said, ["at", at]] : said);
};

// Typing is no step back in the browser's history; following a link is.
const replaceAddress = (filters, at) =>
  history.replaceState(null, "", hashOf(filters, at) || location.pathname + location.search);

const element = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
};
