/* What the page holds of each transfer, unpacked, and how it is worded. */
const KIND = 0, ID = 1, KEY = 2, TO = 3, WHY = 4, FILE = 5, LINE = 6, LATENCY = 7,
  ASKED = 8, AGREED = 9, TRIES = 10, CALLBACKS = 11, FROM = 12, WAVE = 13, CAUSE = 14, HISTORY = 15;
const section = document.getElementById("transfers");
const kinds = JSON.parse(section.dataset.kinds).map(([word, style, urgency, spelling]) => ({ word, style, tone: style.split(" ")[0], urgency, spelling }));
const settle = JSON.parse(section.dataset.settle);
const links = JSON.parse(section.dataset.links);
const names = new Map(Object.entries(JSON.parse(section.dataset.names)));
const total = Number(section.dataset.total);
const started = Date.parse(section.dataset.started);
const isPlan = section.querySelector("th[data-sort=deliveries]") === null;
let rows = [], words = [];

/* Few rows stand there as JSON; many are deflated and in base64. */
async function unpack() {
  const holder = document.getElementById("rows"), text = holder.textContent;
  holder.remove();
  if (holder.type === "application/json") return JSON.parse(text);
  const raw = atob(text), bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).json();
}

const word = (number) => (number < 0 ? null : words[number]);
const keyOf = (row) => row[KEY] || row[ID];
const sourceOf = (row) => (row[LINE] ? `${words[row[FILE]]}:${row[LINE]}` : words[row[FILE]]);
const plural = (count, thing) => `${count.toLocaleString("en")} ${thing}${count === 1 ? "" : "s"}`;
/* Half a character cannot be part of an address. */
const linkTo = (key) => `#t=${encodeURIComponent(key.replace(/[\ud800-\udfff]/gu, "\ufffd"))}`;

/* The line of the manifest that a transfer comes from: its own, or the one that names its file. */
function manifestLine(row) {
  if (links === null) return null;
  const file = words[row[FILE]];
  const line = file === links.name ? row[LINE] : Object.hasOwn(links.files, file) ? links.files[file] : 0;
  return line > 0 && line <= links.lines ? line : null;
}
function latency(ms) {
  if (ms === null) return "–";
  if (ms >= 999.5) return `${(ms / 1000).toPrecision(3)} s`;
  return `${Number(ms.toPrecision(3))} ms`;
}
function moment(offset) {
  const at = started + offset;
  return offset === null || Number.isNaN(at) ? "–" : new Date(at).toISOString().slice(11, 23);
}

/* CSV for spreadsheets (RFC 4180), in which no cell is a formula: blanks and characters without a
   width do not hide its beginning. */
const FORMULA = /^(?:[=+\-@\t\r\n＝＋－＠]|[\s\p{C}]*[=+\-@＝＋－＠])/u;
const COLUMNS = ["key", "outcome", "reason", "interaction_id", "destination_uri", "message_id",
  "latency_ms", "attempts", "media_requested", "media_negotiated", "callbacks", "source"];
/* Where a cell would begin for a spreadsheet that splits lines at semicolons. */
const LATER = /([;\t\r\n]\s*)(?=[=+\-@＝＋－＠])/g;
function csvCell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const guarded = value.replace(LATER, "$1'");
  const text = FORMULA.test(value) ? `'${guarded}` : guarded;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
function csvLine(row) {
  const tries = row[TRIES], last = tries.length ? tries[tries.length - 1][0] : null;
  const callbacks = row[CALLBACKS].map(([name, state]) => `${words[name]}: ${words[state]}`).join("; ");
  return [keyOf(row), kinds[row[KIND]].spelling, word(row[WHY]), row[ID], words[row[TO]], last,
    row[LATENCY], tries.length, word(row[ASKED]), word(row[AGREED]), callbacks, sourceOf(row)]
    .map(csvCell).join(",");
}
const csv = (indexes) => [COLUMNS.join(","), ...indexes.map((index) => csvLine(rows[index]))].join("\r\n") + "\r\n";

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined && text !== null) made.textContent = text;
  if (className) made.className = className;
  return made;
}
/* Text from outside: isolated, so that right-to-left text cannot rearrange its surroundings. */
const foreign = (text, className) => element("bdi", text, className);
/* A queue or user by its name, if that was looked up, and smaller by its id. */
function place(uri) {
  if (!names.has(uri)) return foreign(uri, "id");
  const around = element("span");
  around.append(foreign(names.get(uri), "place"), foreign(uri, "id under"));
  return around;
}
/* A line of paper has room for one of the two: the name, if it was looked up. */
const placeOnPaper = (uri) => (names.has(uri) ? foreign(names.get(uri), "place") : foreign(uri, "id"));
function cell(child, className) {
  const made = element("td", null, className);
  made.append(child);
  return made;
}
function link(to, child) {
  const made = element("a");
  made.href = to;
  made.append(child);
  return made;
}
