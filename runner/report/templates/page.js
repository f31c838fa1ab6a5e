"use strict";
/* The table of transfers. Every text goes in as text, never as markup. */
(() => {
  const PAGE_SIZE = 50, PRINT_SIZE = 1000, PAUSE_MS = 120;
  const OUTCOME = 0, ID = 1, KEY = 2, TO = 3, WHY = 4, FILE = 5, LINE = 6, LATENCY = 7,
    ASKED = 8, AGREED = 9, TRIES = 10, CALLBACKS = 11;
  const { rows, words } = JSON.parse(document.getElementById("rows").textContent);
  const section = document.getElementById("transfers");
  const outcomes = section.dataset.outcomes.split(" ");
  const urgency = outcomes.map((name) => ["in_doubt", "failed", "rejected", "unattempted", "skipped",
    "transferred", "unchanged"].indexOf(name));
  const total = Number(section.dataset.total);
  const started = Date.parse(section.dataset.started);
  const body = section.querySelector("tbody");
  const heads = section.querySelectorAll("thead th");
  const search = document.getElementById("search");
  const byReason = document.getElementById("by-reason");
  const chosen = new Set();   // outcomes to show; none: all
  const opened = new Set();   // rows whose detail is open
  const plural = (count, thing) => `${count.toLocaleString("en")} ${thing}${count === 1 ? "" : "s"}`;
  const word = (number) => (number < 0 ? null : words[number]);
  const keyOf = (row) => row[KEY] || row[ID];
  const sourceOf = (row) => (row[LINE] ? `${words[row[FILE]]}:${row[LINE]}` : words[row[FILE]]);
  let view = [], page = 0, size = PAGE_SIZE, sorting = null, rising = true, reason, haystacks = null;

  function element(name, text, className) {
    const made = document.createElement(name);
    if (text !== undefined && text !== null) made.textContent = text;
    if (className) made.className = className;
    return made;
  }
  /* Narrow screens show fewer columns; a cell across more than there are would bring them back. */
  const columns = () => [...heads].filter((th) => getComputedStyle(th).display !== "none").length;
  /* Text from outside: isolated, so that right-to-left text cannot rearrange its surroundings. */
  const foreign = (text, className) => element("bdi", text, className);
  function cell(child, className) {
    const made = element("td", null, className);
    made.append(child);
    return made;
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

  /* What search looks through; built when it is first needed, for it takes a moment. */
  function haystack(index) {
    haystacks ??= rows.map((row) => [keyOf(row), row[ID], words[row[TO]], word(row[WHY]), sourceOf(row),
      ...row[TRIES].flatMap((attempt) => [attempt[0], word(attempt[4]), word(attempt[5])])]
      .join("\n").toLowerCase());
    return haystacks[index];
  }
  const orders = {
    outcome: (row) => outcomes[row[OUTCOME]],
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
      view.sort((a, b) => urgency[rows[a][OUTCOME]] - urgency[rows[b][OUTCOME]] || a - b);
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
      if (chosen.size && !chosen.has(row[OUTCOME])) return;
      if (reason !== undefined && word(row[WHY]) !== reason) return;
      if (wanted && !haystack(index).includes(wanted)) return;
      view.push(index);
    });
    page = 0;
    sort();
    show();
  }

  function facts(pairs) {
    const list = element("dl");
    for (const [name, text, className] of pairs) {
      if (text === null || text === "") continue;
      list.append(element("dt", name));
      const value = element("dd");
      value.append(foreign(text, className));
      list.append(value);
    }
    return list;
  }
  function table(caption, heads, lines) {
    const made = element("table"), head = element("tr"), lead = element("thead"), rest = element("tbody");
    made.append(element("caption", caption));
    for (const name of heads) {
      const th = element("th", name);
      th.scope = "col";
      head.append(th);
    }
    lead.append(head);
    for (const line of lines) {
      const tr = element("tr");
      for (const text of line) tr.append(cell(foreign(text ?? "–")));
      rest.append(tr);
    }
    made.append(lead, rest);
    return made;
  }
  function detail(row, id) {
    const line = element("tr", null, "detail"), inside = element("td");
    line.id = id;
    inside.colSpan = columns();
    inside.append(facts([["Interaction", row[ID], "id"], ["Destination", words[row[TO]], "id"],
      ["Reason", word(row[WHY])], ["Media asked for", word(row[ASKED])],
      ["Media negotiated", word(row[AGREED])], ["Source", sourceOf(row)]]));
    const around = element("div", null, "scroll");
    if (row[TRIES].length) {
      around.append(table("Deliveries in this run (times are UTC)",
        ["No.", "Message id", "Media", "Sent", "Settled", "Latency", "Status", "Reason"],
        row[TRIES].map(([message, sent, settled, ms, status, why, media], i) => [i + 1, message,
          media ? `fallback ${media}` : "as asked for", moment(sent), moment(settled), latency(ms),
          word(status), word(why)])));
    } else {
      around.append(element("p", "This run delivered nothing for this transfer.", "quiet"));
    }
    if (row[CALLBACKS].length) {
      around.append(table("Callbacks", ["Name", "State", "Attempts", "Reason"],
        row[CALLBACKS].map(([name, state, tries, why]) => [words[name], words[state], tries, word(why)])));
    }
    around.tabIndex = 0;
    around.setAttribute("role", "group");
    around.setAttribute("aria-label", `Deliveries and callbacks of ${keyOf(row)}`);
    inside.append(around);
    line.append(inside);
    return line;
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
    const key = cell(foreign(keyOf(row), "id"));
    button.type = "button";
    button.setAttribute("aria-label", `Details of ${keyOf(row)}`);
    button.setAttribute("aria-expanded", String(opened.has(index)));
    button.addEventListener("click", () => toggle(index, button, line));
    if (row[KEY]) key.append(foreign(row[ID], "id under"));
    const name = outcomes[row[OUTCOME]];
    line.append(cell(button), cell(element("span", name.replace("_", " "), `outcome ${name}`)), key,
      cell(foreign(words[row[TO]], "id"), "wide"), cell(foreign(word(row[WHY]) ?? "–")),
      cell(String(row[TRIES].length), "number wide"), cell(latency(row[LATENCY]), "number wide"),
      cell(foreign(sourceOf(row), "id"), "wide"));
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
      const none = cell(rows.length ? "No transfer matches." : "There are no transfers to list.", "quiet");
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
    byReason.hidden = reason === undefined;
    byReason.textContent = `Reason: ${reason === null ? "none given" : reason}. Show all reasons`;
    for (const th of section.querySelectorAll("th[data-sort]")) {
      if (th.dataset.sort !== sorting) th.removeAttribute("aria-sort");
      else th.setAttribute("aria-sort", rising ? "ascending" : "descending");
    }
  }
  function choose(outcome, on) {
    const number = outcomes.indexOf(outcome);
    if (on) chosen.add(number); else chosen.delete(number);
    section.querySelector(`[data-outcome="${outcome}"]`)?.setAttribute("aria-pressed", String(on));
  }

  let waiting;
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(select, PAUSE_MS);
  });
  for (const button of section.querySelectorAll("fieldset button")) {
    button.addEventListener("click", () => {
      choose(button.dataset.outcome, button.getAttribute("aria-pressed") !== "true");
      select();
    });
  }
  for (const th of section.querySelectorAll("th[data-sort]")) {
    th.firstElementChild.addEventListener("click", () => {
      rising = th.dataset.sort === sorting ? !rising : true;
      sorting = th.dataset.sort;
      page = 0;
      sort();
      show();
    });
  }
  for (const button of document.querySelectorAll("#reasons button")) {
    button.addEventListener("click", () => {
      for (const outcome of outcomes) choose(outcome, outcome === button.dataset.outcome);
      reason = button.dataset.reason ?? null;
      search.value = "";
      select();
      section.scrollIntoView();
      byReason.focus();
    });
  }
  byReason.addEventListener("click", () => {
    reason = undefined;
    select();
    search.focus();
  });
  function turn(by) {
    page += by;
    show();
    section.scrollIntoView();
  }
  document.getElementById("previous").addEventListener("click", () => turn(-1));
  document.getElementById("next").addEventListener("click", () => turn(1));
  matchMedia("(max-width: 44rem)").addEventListener("change", show);
  addEventListener("beforeprint", () => { size = PRINT_SIZE; page = 0; show(); });
  addEventListener("afterprint", () => { size = PAGE_SIZE; show(); });

  if (rows.length < total) {
    const rest = document.getElementById("rest");
    rest.textContent = `Listed here: ${plural(rows.length, "transfer")} of ${total.toLocaleString("en")}, `
      + "the most urgent first. Every one of them is in report.json; the figures above count them all.";
    rest.hidden = false;
  }
  for (const control of section.querySelectorAll(".scripted")) control.hidden = false;
  select();
})();
