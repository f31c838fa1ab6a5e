/* The list: what of it is shown, in which order. Fifty rows a page, which screen readers and the
   keyboard go through as through any table. */
const PAGE_SIZE = 50, PRINT_SIZE = 300;
const body = section.querySelector("tbody");
const heads = section.querySelectorAll("thead th");
const search = document.getElementById("search");
const byReason = document.getElementById("by-reason");
const chosen = new Set();   // kinds to show; none: all
const opened = new Set();   // rows whose detail is open
let view = [], page = 0, size = PAGE_SIZE, sorting = null, rising = true, reason, haystacks = null, target = null;

/* Narrow screens show fewer columns; a cell across more than there are would bring them back. */
const columns = () => [...heads].filter((th) => getComputedStyle(th).display !== "none").length;

/* What search looks through; built when it is first needed, for it takes a moment. */
function haystack(index) {
  haystacks ??= rows.map((row) => [keyOf(row), row[ID], words[row[TO]], word(row[WHY]), sourceOf(row),
    ...row[TRIES].flatMap((attempt) => [attempt[0], word(attempt[4]), word(attempt[5])])]
    .join("\n").toLowerCase());
  return haystacks[index];
}
const orders = {
  outcome: (row) => kinds[row[KIND]].word,
  key: keyOf,
  destination: (row) => words[row[TO]],
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
  const wanted = search.value.trim().toLowerCase();
  view = [];
  rows.forEach((row, index) => {
    if (chosen.size && !chosen.has(row[KIND])) return;
    if (reason !== undefined && word(row[CAUSE]) !== reason.cause) return;
    if (wanted && !haystack(index).includes(wanted)) return;
    view.push(index);
  });
  page = 0;
  sort();
  show();
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
function lineOf(index) {
  const row = rows[index], line = element("tr"), button = element("button", null, "open");
  const key = cell(link(linkTo(keyOf(row)), foreign(keyOf(row), "id")));
  line.id = `row-${index}`;
  line.setAttribute("role", "row");
  line.tabIndex = -1;
  if (index === target) line.className = "target";
  button.type = "button";
  button.setAttribute("aria-label", `Details of ${keyOf(row)}`);
  button.setAttribute("aria-expanded", String(opened.has(index)));
  button.addEventListener("click", () => toggle(index, button, line));
  if (row[KEY]) key.append(foreign(row[ID], "id under"));
  const kind = kinds[row[KIND]];
  line.append(cell(button), cell(element("span", kind.word, `outcome ${kind.style}`)), key,
    cell(foreign(words[row[TO]], "id"), "wide"), cell(foreign(word(row[WHY]) ?? "–")));
  if (!isPlan) {
    line.append(cell(String(row[TRIES].length), "number wide"), cell(latency(row[LATENCY]), "number wide"));
  }
  line.append(cell(sourceLink(row), "wide"));
  for (const each of line.children) each.setAttribute("role", "cell");
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
  const found = view.length === rows.length ? plural(rows.length, "transfer")
    : `${view.length.toLocaleString("en")} of ${plural(rows.length, "transfer")}`;
  document.getElementById("found").textContent = `${found}, page ${page + 1} of ${pages}`;
  document.getElementById("previous").disabled = page === 0;
  document.getElementById("next").disabled = page >= pages - 1;
  document.getElementById("copy").disabled = !view.length;
  byReason.hidden = reason === undefined;
  byReason.textContent = reason === undefined ? "" : `Reason: ${reason.words ?? "none given"}. Show all reasons`;
  for (const th of section.querySelectorAll("th[data-sort]")) {
    if (th.dataset.sort !== sorting) th.removeAttribute("aria-sort");
    else th.setAttribute("aria-sort", rising ? "ascending" : "descending");
  }
}
function choose(kind, on) {
  if (on) chosen.add(kind); else chosen.delete(kind);
  section.querySelector(`fieldset [data-kind="${kind}"]`)?.setAttribute("aria-pressed", String(on));
}
function chooseOnly(kind) {
  kinds.forEach((_, number) => choose(number, number === kind));
}
