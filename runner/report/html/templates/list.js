/* The list: what of it is shown, in which order. Fifty rows a page, which screen readers and the
   keyboard go through as through any table. */
const PRINT_SIZE = 1000, LONG_ON_PAPER = 48;
const body = section.querySelector("tbody");
const heads = section.querySelectorAll("thead th");
const search = document.getElementById("search");
const byReason = document.getElementById("by-reason");
const clear = document.getElementById("clear");
const callbacks = document.getElementById("callbacks");
const sizes = document.getElementById("size");
const chosen = new Set();   // kinds to show; none: all
const called = new Set();   // states of callbacks to show; none: all
const legend = new Map();   // on paper: long reasons, by their number
let isPaper = false;
const opened = new Set();   // rows whose detail is open
let view = [], page = 0, size = Number(sizes.value), sorting = null, rising = true, reason, haystacks = null, target = null;

/* Narrow screens show fewer columns; a cell across more than there are would bring them back. */
const columns = () => [...heads].filter((th) => getComputedStyle(th).display !== "none").length;

/* What search looks through; built when it is first needed, for it takes a moment. */
function haystack(index) {
  haystacks ??= rows.map((row) => [keyOf(row), row[ID], words[row[TO]], names.get(words[row[TO]]), word(row[WHY]), sourceOf(row),
    ...row[TRIES].flatMap((attempt) => [attempt[0], word(attempt[4]), word(attempt[5])]),
    ...row[CALLBACKS].flatMap(([name, state, , why]) => [words[name], `callback ${words[state]}`, word(why)])]
    .join("\n").toLowerCase());
  return haystacks[index];
}
/* What is searched for: each word, in any order; what is in quotes stays whole. */
const wordsOf = (text) => [...text.toLowerCase().matchAll(/"([^"]*)"?|[^\s"]+/g)]
  .map((found) => (found[1] ?? found[0]).trim()).filter((each) => each !== "");
const orders = {
  outcome: (row) => kinds[row[KIND]].word,
  key: keyOf,
  destination: (row) => names.get(words[row[TO]]) ?? words[row[TO]],
  reason: (row) => word(row[WHY]),
  deliveries: (row) => row[TRIES].length,
  latency: (row) => row[LATENCY],
  source: (row) => words[row[FILE]],
};
/* What has no value comes last, whichever the direction. */
function sort() {
  if (sorting === null) {
    view.sort((a, b) => kinds[rows[a][KIND]].urgency - kinds[rows[b][KIND]].urgency || a - b);
    return;
  }
  const value = orders[sorting], sign = rising ? 1 : -1;
  const values = new Map(view.map((index) => [index, value(rows[index])]));
  view.sort((a, b) => {
    const x = values.get(a), y = values.get(b);
    if (x === y) return sorting === "source" ? sign * (rows[a][LINE] - rows[b][LINE]) : a - b;
    if (x === null) return 1;
    if (y === null) return -1;
    return x < y ? -sign : sign;
  });
}
function select() {
  const wanted = wordsOf(search.value);
  view = [];
  rows.forEach((row, index) => {
    if (chosen.size && !chosen.has(row[KIND])) return;
    if (reason !== undefined && word(row[CAUSE]) !== reason.cause) return;
    if (called.size && !row[CALLBACKS].some(([, state]) => called.has(words[state]))) return;
    if (wanted.length && !wanted.every((each) => haystack(index).includes(each))) return;
    view.push(index);
  });
  page = 0;
  sort();
  show();
}
const isFiltered = () => chosen.size > 0 || called.size > 0 || reason !== undefined || search.value.trim() !== "";
function clearFilters() {
  chooseOnly(-1);
  for (const state of [...called]) chooseCallback(state, false);
  reason = undefined;
  search.value = "";
}
function toggle(index, button, line) {
  const id = `detail-${index}`;
  if (opened.delete(index)) document.getElementById(id).remove();
  else {
    opened.add(index);
    line.after(detail(rows[index], id));
  }
  button.setAttribute("aria-expanded", String(opened.has(index)));
}
function reasonShown(row) {
  const text = word(row[WHY]);
  if (isPaper && kinds[row[KIND]].spelling === "unchanged") return "moved before this run";
  if (text === null || !isPaper || text.length <= LONG_ON_PAPER) return text ?? "–";
  if (!legend.has(text)) legend.set(text, legend.size + 1);
  return `see ${legend.get(text)} above`;
}
function lineOf(index) {
  const row = rows[index], line = element("tr"), button = element("button", null, "open"), key = element("th");
  key.scope = "row";
  key.append(link(linkTo(keyOf(row)), foreign(keyOf(row), "id")));
  line.id = `row-${index}`;
  line.setAttribute("role", "row");
  line.tabIndex = -1;
  if (index === target) line.className = "target";
  button.type = "button";
  button.setAttribute("aria-label", `Details of ${keyOf(row)}`);
  button.setAttribute("aria-expanded", String(opened.has(index)));
  button.addEventListener("click", () => toggle(index, button, line));
  if (row[KEY] && !isPaper) key.append(foreign(row[ID], "id under"));
  const kind = kinds[row[KIND]];
  line.append(cell(button), cell(element("span", kind.word, `outcome ${kind.style}`)), key,
    cell(isPaper ? placeOnPaper(words[row[TO]]) : place(words[row[TO]]), "wide clamp"), cell(foreign(reasonShown(row)), "because clamp"));
  if (!isPlan) {
    line.append(cell(String(row[TRIES].length), "number wide tries"), cell(latency(row[LATENCY]), "number wide latency"));
  }
  line.append(cell(sourceLink(row), "wide source"));
  for (const each of line.children) each.setAttribute("role", each === key ? "rowheader" : "cell");
  return line;
}
function show() {
  const pages = Math.max(1, Math.ceil(view.length / size));
  page = Math.min(page, pages - 1);
  const lines = document.createDocumentFragment();
  for (const index of view.slice(page * size, (page + 1) * size)) {
    lines.append(lineOf(index));
    if (opened.has(index)) lines.append(detail(rows[index], `detail-${index}`));
  }
  if (!view.length) {
    const none = cell(rows.length ? "No transfer matches." : "There are no transfers to list.", "quiet only");
    const line = element("tr");
    none.colSpan = columns();
    line.append(none);
    lines.append(line);
  }
  body.replaceChildren(lines);
  offerMore(body);
  const found = view.length === rows.length ? plural(rows.length, "transfer")
    : `${view.length.toLocaleString("en")} of ${plural(rows.length, "transfer")}`;
  document.getElementById("found").textContent = `${found}, page ${page + 1} of ${pages}`;
  for (const button of section.querySelectorAll(".page-back")) enable(button, page > 0);
  for (const button of section.querySelectorAll(".page-on")) enable(button, page < pages - 1);
  enable(document.getElementById("copy"), view.length > 0);
  document.getElementById("below").hidden = pages === 1;
  clear.hidden = !isFiltered();
  byReason.hidden = reason === undefined;
  byReason.textContent = reason === undefined ? "" : `Reason: ${reason.words ?? "none given"}. Show all reasons`;
  for (const th of section.querySelectorAll("th[data-sort]")) {
    if (th.dataset.sort !== sorting) th.removeAttribute("aria-sort");
    else th.setAttribute("aria-sort", rising ? "ascending" : "descending");
  }
  document.getElementById("sorted").textContent = sorting === null ? ""
    : `, sorted by ${sorting}, ${rising ? "ascending" : "descending"}`;
}
/* Switched off without `disabled`, which would let the focus fall to the page's body. */
const enable = (button, on) => button.setAttribute("aria-disabled", String(!on));
const isEnabled = (button) => button.getAttribute("aria-disabled") !== "true";

/* Offer the rest of each text that is cut after three lines. */
function offerMore(root) {
  for (const holder of root.querySelectorAll(".clamp:not(.whole)")) {
    const text = holder.querySelector(":scope > bdi");
    if (text === null || holder.querySelector(".more") !== null || text.scrollHeight <= text.clientHeight + 1) continue;
    const button = element("button", "more", "more on-screen");
    button.type = "button";
    button.setAttribute("aria-expanded", "false");
    button.addEventListener("click", () => {
      const isWhole = holder.classList.toggle("whole");
      button.textContent = isWhole ? "less" : "more";
      button.setAttribute("aria-expanded", String(isWhole));
    });
    text.after(button);
  }
}
function choose(kind, on) {
  if (on) chosen.add(kind); else chosen.delete(kind);
  section.querySelector(`fieldset [data-kind="${kind}"]`)?.setAttribute("aria-pressed", String(on));
}
function chooseCallback(state, on) {
  if (on) called.add(state); else called.delete(state);
  for (const button of callbacks.querySelectorAll("button")) {
    if (button.dataset.state === state) button.setAttribute("aria-pressed", String(on));
  }
}
const CALLBACK_WORDS = { delivered: "was delivered", pending: "is still pending", suppressed: "was suppressed" };
/* One button for each state that callbacks have come to. */
function offerCallbacks() {
  const counts = new Map();
  for (const row of rows) {
    for (const state of new Set(row[CALLBACKS].map(([, state]) => words[state]))) {
      counts.set(state, (counts.get(state) ?? 0) + 1);
    }
  }
  for (const [state, count] of counts) {
    const button = element("button", null);
    button.type = "button";
    button.dataset.state = state;
    button.setAttribute("aria-pressed", "false");
    button.append(foreign(CALLBACK_WORDS[state] ?? state), `: ${count.toLocaleString("en")}`);
    callbacks.append(button);
  }
  callbacks.hidden = counts.size === 0;
}
function chooseOnly(kind) {
  kinds.forEach((_, number) => choose(number, number === kind));
}
