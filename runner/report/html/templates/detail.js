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
    for (const text of line) tr.append(cell(text instanceof Node ? text : foreign(text ?? "–")));
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
  const button = element("button", "Copy link", "on-screen");
  button.type = "button";
  button.addEventListener("click", async () => {
    await copyText(location.href.split("#")[0] + linkTo(keyOf(row)));
    button.textContent = "Link copied";
  });
  return button;
}
function copyButton(text, what) {
  const button = element("button", "Copy", "copy on-screen");
  button.type = "button";
  button.setAttribute("aria-label", `Copy ${what}`);
  button.addEventListener("click", async () => {
    await copyText(text);
    button.textContent = "Copied";
  });
  return button;
}
/* A command with its own button, as the page's head has them. */
function command(text) {
  const around = element("div", null, "with-copy"), code = element("code");
  text.split(" ").forEach((word, number) => code.append(number ? " " : "", element("span", word, "word")));
  around.append(code, copyButton(text, "the command"));
  return around;
}
/* As a POSIX shell reads it back; keys that begin like options, or do not print, have no command. */
const SAFE = /^[\w@%+=:,./-]+$/, UNPRINTABLE = /^-|[\p{C}\p{Zl}\p{Zp}]/u;
const quoted = (text) => (SAFE.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`);

/* What a person can do about a doubt, for this transfer. */
function settling(row) {
  const around = element("div", null, "settle on-screen");
  if (settle === null || kinds[row[KIND]].tone !== "doubt" || UNPRINTABLE.test(keyOf(row))) return around;
  around.append(element("p", "Look the interaction up at the gateway, then state of the move in doubt what you found:"));
  for (const [found, template] of settle.steps) {
    around.append(element("p", `If ${found}:`), command(template.replace(settle.key, () => quoted(keyOf(row)))));
  }
  return around;
}
function withCopy(id, what) {
  const around = element("span");
  around.append(foreign(id, "id"), copyButton(id, what));
  return around;
}
function placed(uri) {
  if (uri === null) return null;
  const around = element("span");
  around.append(place(uri), copyButton(uri, "the destination"));
  return around;
}
function deliveries(row) {
  const around = element("div", null, "scroll");
  if (row[TRIES].length) {
    around.append(table("Deliveries in this run (times are UTC)",
      ["No.", "Message id", "Media", "Sent", "Settled", "Latency", "Status", "Reason"],
      row[TRIES].map(([message, sent, settled, ms, status, why, media], i) => [i + 1, withCopy(message, "the message's id"),
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
  inside.append(facts([["Interaction", withCopy(row[ID], "the interaction's id")], ["Is at", placed(word(row[FROM]))],
    ["Destination", placed(words[row[TO]])], ["Reason", word(row[WHY])], ["Earlier", word(row[HISTORY])],
    ["Media asked for", word(row[ASKED])], ["Media negotiated", word(row[AGREED])],
    ["Wave", row[WAVE] ? String(row[WAVE]) : null], ["Source", sourceLink(row)]]), settling(row), copyLink(row));
  if (!isPlan) inside.append(deliveries(row));
  line.append(inside);
  return line;
}
