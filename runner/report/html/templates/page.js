/* What people do with the page: search, choose, turn pages, follow links, copy, print. */
const PAUSE_MS = 120;
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
    chooseOnly(-1);
    reason = undefined;
    search.value = "";
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
function follow() {
  const hash = location.hash;
  if (hash.startsWith("#t=")) followTransfer(hash);
  else if (/^#m\d+$/.test(hash)) followLine(hash);
}
function turn(by) {
  page += by;
  show();
  section.scrollIntoView();
}
function tell(text) {
  document.getElementById("found").textContent = text;
}
function listen() {
  let waiting;
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(select, PAUSE_MS);
  });
  for (const button of section.querySelectorAll("fieldset button")) {
    button.addEventListener("click", () => {
      choose(Number(button.dataset.kind), button.getAttribute("aria-pressed") !== "true");
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
      chooseOnly(Number(button.dataset.kind));
      reason = { cause: button.dataset.cause ?? null, words: button.dataset.reason };
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
  document.getElementById("previous").addEventListener("click", () => turn(-1));
  document.getElementById("next").addEventListener("click", () => turn(1));
  document.getElementById("copy").addEventListener("click", async () => {
    await copyText(csv(view));
    tell(`${plural(view.length, "transfer")} copied as CSV`);
  });
  matchMedia("(max-width: 44rem)").addEventListener("change", show);
  addEventListener("hashchange", follow);
  /* A link to where one is already changes nothing that would be heard of. */
  document.addEventListener("click", (event) => {
    const followed = event.target instanceof Element ? event.target.closest("a") : null;
    if (followed !== null && followed.hash === location.hash) follow();
  });
  addEventListener("beforeprint", () => {
    size = PRINT_SIZE;
    page = 0;
    show();
    const printed = document.getElementById("printed");
    printed.hidden = view.length <= size;
    printed.textContent = `Printed are the first ${size} of ${plural(view.length, "transfer")}; report.json has every one.`;
  });
  addEventListener("afterprint", () => {
    size = PAGE_SIZE;
    document.getElementById("printed").hidden = true;
    show();
  });
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
  listen();
  select();
  follow();
}
const unpacking = document.getElementById("unpacking");
unpacking.hidden = false;
unpack().then(begin, () => {
  unpacking.textContent = "This browser cannot unpack the list. Every transfer is in report.json beside this page; "
    + "the figures above are complete without it.";
});
