// Every result, unpacked from the download that the page carries when somebody first asks for it.
let unpacked;
const results = () => (unpacked ??= unpack(document.getElementById("results").href));

const unpack = async (address) => {
  const packed = Uint8Array.from(atob(address.split(",")[1]), (one) => one.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const { cases, measures } = JSON.parse(await new Response(stream).text());
  const names = Object.keys(cases);
  const rows = cases.case.map((_, at) => Object.fromEntries(names.map((name) => [name, cases[name][at]])));
  return { names, rows, measures, byCase: new Map(rows.toReversed().map((row) => [row.case, row])) };
};

// A spreadsheet would run what begins like a formula.
const quoted = (value) => {
  const text = String(value);
  const safe = /^[=+\-@\t\r]/.test(text) && typeof value !== "number" ? "'" + text : text;
  return /[",\n]/.test(safe) ? '"' + safe.replaceAll('"', '""') + '"' : safe;
};

const FORMATS = {
  csv: ({ names, rows }) => [
    "text/csv",
    [names, ...rows.map((row) => names.map((name) => row[name]))]
      .map((row) => row.map(quoted).join(",") + "\n")
      .join(""),
  ],
  json: ({ rows, measures }) => [
    "application/json",
    JSON.stringify(rows.map((row) => ({ ...row, measures: measures[row.execution] ?? {} })), null, 1),
  ],
};

const download = async (format) => {
  const [type, text] = FORMATS[format](await results());
  const address = URL.createObjectURL(new Blob([text], { type }));
  element("a", { href: address, download: "results." + format }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
};
