/* The timeline's values under the pointer, and by the arrow keys. */
function readable(chart) {
  const values = JSON.parse(chart.dataset.values), starts = JSON.parse(chart.dataset.starts);
  const cross = element("div", null, "cross"), tip = element("output");
  let at = -1;
  cross.hidden = tip.hidden = true;
  chart.tabIndex = 0;
  chart.setAttribute("role", "group");
  chart.setAttribute("aria-label", "The timeline's values: the arrow keys go through them");
  chart.append(cross, tip);
  function stand(index) {
    at = Math.min(Math.max(index, 0), starts.length - 1);
    const [time, sent, settled, flying, limit] = values[at];
    const end = at + 1 < starts.length ? starts[at + 1] : 100, middle = (starts[at] + end) / 2;
    tip.textContent = `+${time}: ${sent}/s sent, allowed ${limit}; ${settled}/s settled; ${flying} in flight`;
    cross.hidden = tip.hidden = false;
    cross.style.left = `${middle}%`;
    const room = chart.clientWidth - tip.offsetWidth;
    tip.style.left = `${Math.min(Math.max(middle / 100 * chart.clientWidth - tip.offsetWidth / 2, 0), Math.max(room, 0))}px`;
  }
  function leave() {
    cross.hidden = tip.hidden = true;
    at = -1;
  }
  chart.addEventListener("pointermove", (event) => {
    const box = chart.getBoundingClientRect(), share = (event.clientX - box.left) / box.width * 100;
    stand(starts.findLastIndex((start) => start <= share));
  });
  chart.addEventListener("pointerleave", leave);
  chart.addEventListener("blur", leave);
  chart.addEventListener("keydown", (event) => {
    const goal = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: starts.length - 1 }[event.key];
    if (goal !== undefined) {
      event.preventDefault();
      stand(goal);
    } else if (event.key === "Escape") leave();
  });
}

/* Latency over the run: in each of up to sixty parts of it, the median and the 95th percentile. */
const PARTS = 60, LEAST_REPLIES = 20;
function overTime(span) {
  const replies = rows.flatMap((row) => row[TRIES].filter(([, sent, , ms]) => sent !== null && ms !== null)
    .map(([, sent, , ms]) => [sent, ms]));
  if (replies.length < LEAST_REPLIES || rows.length < total) return null;
  const parts = Array.from({ length: Math.min(PARTS, Math.max(2, Math.ceil(span / 1000))) }, () => []);
  for (const [sent, ms] of replies) {
    parts[Math.min(Math.max(Math.floor(sent / span * parts.length), 0), parts.length - 1)].push(ms);
  }
  return parts.map((part) => part.sort((a, b) => a - b));
}
const quantile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)];
function drawn(name, attributes, parent) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent.append(made);
  return made;
}
function latencyOverTime(parts) {
  const holder = document.getElementById("latency-over-time"), known = parts.filter((part) => part.length);
  const top = Math.max(...known.map((part) => quantile(part, 0.95)));
  const figure = element("figure"), caption = element("figcaption");
  const svg = drawn("svg", { class: "plot", height: "136", role: "img" }, figure);
  const plot = drawn("svg", { y: "30", width: "100%", height: "94", overflow: "visible" }, svg);
  drawn("text", { class: "axis", x: "0", y: "10" }, svg).textContent = "latency of the replies to what was sent at that time";
  drawn("line", { class: "grid", x1: "0", x2: "100%", y1: "0%", y2: "0%" }, plot);
  drawn("text", { x: "0", y: "0%", dy: "-3" }, plot).textContent = latency(top);
  drawn("line", { class: "floor", x1: "0", x2: "100%", y1: "100%", y2: "100%" }, plot);
  parts.forEach((part, number) => {
    if (!part.length) return;
    const x = `${(number + 0.5) / parts.length * 100}%`, low = quantile(part, 0.5), high = quantile(part, 0.95);
    const [y1, y2] = [low, high].map((ms) => `${(1 - ms / top) * 100}%`);
    const group = drawn("g", {}, plot);
    drawn("title", {}, group).textContent = `${plural(part.length, "reply").replace("replys", "replies")}: median ${latency(low)}, p95 ${latency(high)}`;
    drawn("line", { class: "dot", x1: x, x2: x, y1, y2 }, group);
    drawn("circle", { class: "dot", cx: x, cy: y1, r: "2.5" }, group);
    drawn("circle", { class: "dot high", cx: x, cy: y2, r: "2" }, group);
  });
  const medians = known.map((part) => quantile(part, 0.5));
  caption.textContent = `In each of ${known.length} parts of the run, the median (lower dot) and the 95th percentile: `
    + `medians from ${latency(Math.min(...medians))} to ${latency(Math.max(...medians))}.`;
  svg.setAttribute("aria-label", `Latency over time. ${caption.textContent}`);
  figure.append(caption);
  holder.append(figure);
  holder.hidden = false;
}
