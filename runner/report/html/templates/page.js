/* What people do with the page: search, choose, turn pages, follow links, copy, print. */
const PAUSE_MS = 120, DEFAULT_SIZE = Number(sizes.value);
const missing = document.getElementById("missing");

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {  // not every browser lets a page opened from disk at it
    const area = element("textarea", null, "unseen");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}
/* Follow `#t=KEY` to a transfer: open it and give it the focus, whatever is filtered away. */
function followTransfer(hash) {
  let key;
  try {
    key = decodeURIComponent(hash.slice("#t=".length));
  } catch {
    return;
  }
  const index = rows.findIndex((row) => linkTo(keyOf(row)) === linkTo(key));
  missing.hidden = index >= 0;
  if (index < 0) {
    missing.textContent = rows.length < total ? `${key} is not among the transfers listed here; report.json has every one.`
      : `This report has no transfer with the key ${key}.`;
    section.scrollIntoView();
    return;
  }
  if (!view.includes(index)) {
    clearFilters();
    select();
  }
  target = index;
  opened.add(index);
  page = Math.floor(view.indexOf(index) / size);
  show();
  const line = document.getElementById(`row-${index}`);
  line.scrollIntoView({ block: "center" });
  line.focus({ preventScroll: true });
}
function followLine(hash) {
  const line = document.getElementById(hash.slice(1));
  if (line === null) return;
  document.getElementById("manifest-lines").open = true;
  line.scrollIntoView({ block: "center" });
}
/* What is filtered, and how it is sorted, as the address's fragment: `#q=…&show=failed&sort=-latency`. */
function written() {
  const parts = new URLSearchParams();
  if (search.value.trim()) parts.set("q", search.value.trim());
  for (const kind of chosen) parts.append("show", kinds[kind].word);
  for (const state of called) parts.append("callback", state);
  if (reason !== undefined) parts.set("cause", reason.cause ?? "");
  if (sorting !== null) parts.set("sort", rising ? sorting : `-${sorting}`);
  if (size !== DEFAULT_SIZE) parts.set("rows", String(size));
  if (page) parts.set("page", String(page + 1));
  return parts.toString();
}
function write() {
  target = null;
  const text = written();
  history.replaceState(null, "", text ? `#${text}` : location.href.split("#")[0]);
}
function read(hash) {
  const parts = new URLSearchParams(hash.slice(1)), wanted = parts.get("sort") ?? "";
  clearFilters();
  search.value = parts.get("q") ?? "";
  kinds.forEach((kind, number) => choose(number, parts.getAll("show").includes(kind.word)));
  for (const state of parts.getAll("callback")) chooseCallback(state, true);
  const cause = parts.get("cause");
  if (cause !== null) reason = { cause: cause || null, words: cause || undefined };
  sorting = Object.hasOwn(orders, wanted.replace(/^-/, "")) ? wanted.replace(/^-/, "") : null;
  rising = !wanted.startsWith("-");
  if ([...sizes.options].some((option) => option.value === parts.get("rows"))) sizes.value = parts.get("rows");
  size = Number(sizes.value);
  select();
  page = Math.max(0, (Number(parts.get("page")) || 1) - 1);
  show();
}
const STATE = /^#(?:q|show|callback|cause|sort|rows|page)=/;
function follow() {
  const hash = location.hash;
  if (hash.startsWith("#t=")) followTransfer(hash);
  else if (/^#m\d+$/.test(hash)) followLine(hash);
  else if (STATE.test(hash)) {
    read(hash);
    section.scrollIntoView();
  }
}
function turn(by) {
  page += by;
  show();
  write();
  section.scrollIntoView();
}
function selectAndWrite() {
  select();
  write();
}
function tell(text) {
  document.getElementById("found").textContent = text;
}
function listen() {
  let waiting;
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(selectAndWrite, PAUSE_MS);
  });
  for (const button of section.querySelectorAll("fieldset [data-kind]")) {
    button.addEventListener("click", () => {
      choose(Number(button.dataset.kind), button.getAttribute("aria-pressed") !== "true");
      selectAndWrite();
    });
  }
  callbacks.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button === null) return;
    chooseCallback(button.dataset.state, button.getAttribute("aria-pressed") !== "true");
    selectAndWrite();
  });
  clear.addEventListener("click", () => {
    clearFilters();
    selectAndWrite();
    search.focus();
  });
  sizes.addEventListener("change", () => {
    size = Number(sizes.value);
    page = 0;
    show();
    write();
  });
  for (const th of section.querySelectorAll("th[data-sort]")) {
    th.firstElementChild.addEventListener("click", () => {
      rising = th.dataset.sort === sorting ? !rising : true;
      sorting = th.dataset.sort;
      page = 0;
      sort();
      show();
      write();
    });
  }
  for (const button of document.querySelectorAll("#reasons button")) {
    button.addEventListener("click", () => {
      chooseOnly(Number(button.dataset.kind));
      reason = { cause: button.dataset.cause ?? null, words: button.dataset.reason };
      search.value = "";
      selectAndWrite();
      section.scrollIntoView();
      byReason.focus();
    });
  }
  byReason.addEventListener("click", () => {
    reason = undefined;
    selectAndWrite();
    search.focus();
  });
  for (const [name, by] of [[".page-back", -1], [".page-on", 1]]) {
    for (const button of section.querySelectorAll(name)) {
      button.addEventListener("click", () => isEnabled(button) && turn(by));
    }
  }
  document.getElementById("copy").addEventListener("click", async () => {
    if (!view.length) return;
    await copyText(csv(view));
    tell(`${plural(view.length, "transfer")} copied as CSV`);
  });
  for (const width of ["44rem", "64rem"]) matchMedia(`(max-width: ${width})`).addEventListener("change", show);
  addEventListener("hashchange", follow);
  /* A link to where one is already changes nothing that would be heard of. */
  document.addEventListener("click", (event) => {
    const followed = event.target instanceof Element ? event.target.closest("a") : null;
    if (followed !== null && followed.hash === location.hash) follow();
  });
  addEventListener("beforeprint", () => {
    size = PRINT_SIZE;
    page = 0;
    isPaper = true;
    legend.clear();
    show();
    const reasons = document.getElementById("legend");
    reasons.replaceChildren(...[...legend.keys()].map((text) => {
      const item = element("li");
      item.append(foreign(text));
      return item;
    }));
    reasons.hidden = legend.size === 0;
    const printed = document.getElementById("printed");
    printed.hidden = view.length <= size;
    printed.textContent = `Printed are the first ${size} of ${plural(view.length, "transfer")}; report.json has every one.`;
  });
  addEventListener("afterprint", () => {
    size = Number(sizes.value);
    isPaper = false;
    document.getElementById("printed").hidden = true;
    document.getElementById("legend").hidden = true;
    show();
  });
}
/* Each command, id and hash of the page can be copied. */
function offerCopies() {
  for (const code of document.querySelectorAll(".next code, pre code, code.head")) {
    const around = element("span", null, "with-copy"), what = code.dataset.copies ?? (code.classList.contains("head") ? "the hash" : "the command");
    code.replaceWith(around);
    around.append(code, copyButton(code.textContent, what));
  }
}
/* Times are UTC; whoever reads them elsewhere also wants their own. */
function showLocalTimes() {
  for (const time of document.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime.replace(" ", "T"));
    if (Number.isNaN(at.getTime()) || at.getTimezoneOffset() === 0) continue;
    const zoned = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "long" }).format(at);
    if (time.closest(".eyebrow") === null) time.title = `${zoned}, here`;
    else time.append(element("span", `(${zoned} here)`, "local"));
  }
}
function begin(unpacked) {
  ({ rows, words } = unpacked);
  if (rows.length < total) {
    const rest = document.getElementById("rest");
    rest.textContent = `Listed here: ${plural(rows.length, "transfer")} of ${total.toLocaleString("en")}, `
      + "the most urgent first. Every one of them is in report.json; the figures and reasons above count them all.";
    rest.hidden = false;
  }
  for (const control of section.querySelectorAll(".scripted")) control.hidden = false;
  unpacking.hidden = true;
  offerCallbacks();
  const parts = chart === null ? null : overTime(Number(chart.dataset.spanS) * 1000);
  if (parts !== null) latencyOverTime(parts);
  listen();
  select();
  follow();
}
document.documentElement.classList.add("js");
offerCopies();
showLocalTimes();
const chart = document.getElementById("chart");
if (chart !== null) readable(chart);
offerMore(document);
const unpacking = document.getElementById("unpacking");
unpacking.hidden = false;
unpack().then(begin, () => {
  unpacking.textContent = "This browser cannot unpack the list. Every transfer is in report.json beside this page; "
    + "the figures above are complete without it.";
});
