/* What opens below a transfer: its facts, its deliveries, its callbacks. */
function facts(pairs) {
  const list = element("dl");
  for (const [name, value, className] of pairs) {
    if (value === null || value === "") continue;
    list.append(element("dt", name));
    const told = element("dd");
    told.append(value instanceof Node ? value : foreign(value, className));
    list.append(told);
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
function sourceLink(row) {
  const line = manifestLine(row), source = foreign(sourceOf(row), "id");
  if (line === null) return source;
  const isInline = words[row[FILE]] === links.name;
  const made = link(`#m${line}`, source);
  made.title = isInline ? `Line ${line} of the manifest` : `Line ${line} of the manifest names this file`;
  return made;
}
function copyLink(row) {
  const button = element("button", "Copy link");
  button.type = "button";
  button.className = "on-screen";
  button.addEventListener("click", async () => {
    await copyText(location.href.split("#")[0] + linkTo(keyOf(row)));
    button.textContent = "Link copied";
  });
  return button;
}
function deliveries(row) {
  const around = element("div", null, "scroll");
  if (row[TRIES].length) {
    around.append(table("Deliveries in this run (times are UTC)",
      ["No.", "Message id", "Media", "Sent", "Settled", "Latency", "Status", "Reason"],
      row[TRIES].map(([message, sent, settled, ms, status, why, media], i) => [i + 1, message,
        media ? `fallback ${media}` : "as asked for", moment(sent), moment(settled), latency(ms),
        word(status), word(why)])));
  } else if (!isPlan) {
    around.append(element("p", "This run delivered nothing for this transfer.", "quiet"));
  }
  if (row[CALLBACKS].length) {
    around.append(table("Callbacks", ["Name", "State", "Attempts", "Reason"],
      row[CALLBACKS].map(([name, state, tries, why]) => [words[name], words[state], tries, word(why)])));
  }
  around.tabIndex = 0;
  around.setAttribute("role", "group");
  around.setAttribute("aria-label", `Deliveries and callbacks of ${keyOf(row)}`);
  return around;
}
function detail(row, id) {
  const line = element("tr", null, "detail"), inside = element("td");
  line.id = id;
  line.setAttribute("role", "row");
  inside.setAttribute("role", "cell");
  inside.colSpan = columns();
  inside.append(facts([["Interaction", row[ID], "id"], ["Is at", word(row[FROM]), "id"],
    ["Destination", words[row[TO]], "id"], ["Reason", word(row[WHY])], ["Earlier", word(row[HISTORY])],
    ["Media asked for", word(row[ASKED])], ["Media negotiated", word(row[AGREED])],
    ["Wave", row[WAVE] ? String(row[WAVE]) : null], ["Source", sourceLink(row)]]), copyLink(row));
  if (!isPlan) inside.append(deliveries(row));
  line.append(inside);
  return line;
}
