"""The status page: one file of HTML and JavaScript that asks nothing of any other server."""

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>Companion</title>
<style>
:root { --paper: #f6f7f9; --card: #fff; --ink: #1c2430; --faint: #5d6878; --line: #dde2e9;
  --one: #1f6fd0; --two: #b4530a; --run: #14804a; --stop: #9a5b00; --estop: #b3261e; --rest: #566275; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #12161c; --card: #1b212a; --ink: #e6eaf0; --faint: #9aa6b6; --line: #303946;
    --one: #6cb0ff; --two: #f0a35e; --run: #2c9d63; --stop: #a86a10; --estop: #cf4138; --rest: #5d6a7d; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 12px; max-width: 1100px; background: var(--paper); color: var(--ink);
  font: 15px/1.4 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; font-variant-numeric: tabular-nums; }
header { display: flex; flex-wrap: wrap; gap: 4px 14px; align-items: center; margin-bottom: 10px; }
h1 { font-size: 1.15rem; margin: 0; }
h2 { font-size: .8rem; margin: 0 0 6px; color: var(--faint); font-weight: 600; }
#mode { font-weight: 700; font-size: 1.15rem; padding: 3px 14px; border-radius: 6px;
  color: #fff; background: var(--rest); }
#mode.RUN { background: var(--run); } #mode.STOP { background: var(--stop); } #mode.ESTOP { background: var(--estop); }
#about { color: var(--faint); }
#silence { display: none; padding: 8px 12px; margin-bottom: 10px; border-radius: 6px;
  color: #fff; background: var(--estop); }
#why { margin-bottom: 10px; min-height: 1.4em; }
main { display: grid; gap: 10px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 250px), 1fr)); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 10px 12px; min-width: 0; }
.wide { grid-column: 1 / -1; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: 1px 10px 1px 0; font-weight: 400; vertical-align: top; overflow-wrap: anywhere; }
th { color: var(--faint); font-size: .85em; }
td + td, th + th { text-align: right; padding-right: 0; padding-left: 6px; white-space: nowrap; overflow-wrap: normal; }
.log td { text-align: left; white-space: normal; } .log td:nth-child(-n+2) { white-space: nowrap; width: 1%; }
svg { display: block; width: 100%; height: 64px; border-bottom: 1px solid var(--line); }
svg path { fill: none; stroke-width: 1.7; vector-effect: non-scaling-stroke; stroke-linejoin: round; }
.one { stroke: var(--one); color: var(--one); } .two { stroke: var(--two); color: var(--two); }
path.two { stroke-dasharray: 5 3; }
.key { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 12px; font-size: .85em; }
#strip { display: flex; height: 12px; border-radius: 4px; overflow: hidden; background: var(--line); }
#strip i { background: var(--rest); } #strip i.RUN { background: var(--run); }
#strip i.STOP { background: var(--stop); } #strip i.ESTOP { background: var(--estop); }
</style>
<header><span id="mode">…</span><h1 id="title">Companion</h1><span id="about"></span></header>
<div id="silence" role="alert"></div>
<div id="why"></div>
<main>
<section><h2>Distances</h2><table id="distances"></table></section>
<section><h2>Timing</h2><table id="timing"></table></section>
<section><h2>Asked and sent</h2><table id="commands"></table></section>
<section class="wide"><h2>States of the last minute</h2><div id="strip"></div></section>
<section><h2>Nearest, m</h2><svg id="near" viewBox="0 0 600 64" preserveAspectRatio="none"></svg>
  <div class="key" id="near-key"></div></section>
<section><h2 id="speed-title">Speed</h2><svg id="speed" viewBox="0 0 600 64" preserveAspectRatio="none"></svg>
  <div class="key" id="speed-key"></div></section>
<section><h2>Work of a tick, ms</h2><svg id="work" viewBox="0 0 600 64" preserveAspectRatio="none"></svg>
  <div class="key" id="work-key"></div></section>
<section><h2>Limits that stepped in, ticks</h2><table id="limits"></table></section>
<section><h2>Why it left RUN, times</h2><table id="stops"></table></section>
<section><h2>Age of what is measured, s</h2><table id="ages"></table></section>
<section class="wide"><h2>Changes of state, newest first</h2><table id="changes" class="log"></table></section>
</main>
<script>
"use strict";
const place = id => document.getElementById(id);
const told = (value, digits) => value === null || value === undefined ? "–" : value.toFixed(digits);
const put = (id, text) => { place(id).textContent = text; };

function rows(id, lines, head) {
  const table = document.createElement("tbody");
  for (const [index, line] of (head ? [head, ...lines] : lines).entries()) {
    const row = table.insertRow();
    for (const text of line) {
      const cell = head && !index ? row.appendChild(document.createElement("th")) : row.insertCell();
      cell.textContent = text;
    }
  }
  if (!lines.length) table.insertRow().insertCell().textContent = "none";
  place(id).replaceChildren(table);
}

function counted(id, counts) {
  rows(id, Object.entries(counts ?? {}).sort((a, b) => b[1] - a[1]));
}

function curves(id, times, lines, digits) {
  const end = times[times.length - 1], known = lines.flatMap(line => line.values).filter(value => value !== null);
  const top = Math.max(1e-9, ...known), low = Math.min(0, ...known);
  place(id).replaceChildren(...lines.map(line => {
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    let way = "", pen = "M";
    line.values.forEach((value, index) => {
      if (value === null) { pen = "M"; return; }
      const x = 600 - 10 * (end - times[index]), y = 61 - 57 * (value - low) / (top - low);
      way += pen + x.toFixed(1) + " " + y.toFixed(1);
      pen = "L";
    });
    path.setAttribute("class", line.kind);
    path.setAttribute("d", way);
    return path;
  }));
  const keys = lines.map(line => [line.kind, line.name + " " + told(line.values[line.values.length - 1], digits)]);
  const words = [...keys, ["", known.length ? "greatest " + told(top, digits) : "nothing was measured"]];
  place(id + "-key").replaceChildren(...words.map(([kind, text]) => {
    const word = document.createElement("span");
    word.className = kind;
    word.textContent = text;
    return word;
  }));
}

function show(now) {
  const about = now.about, history = now.history;
  document.title = (now.mode ?? "…") + " · " + about.task;
  put("title", about.task + " on " + about.robot);
  put("about", "over " + about.link + (about.is_shadow ? " · shadow: nothing is sent" : ""));
  put("mode", now.mode ?? "…");
  place("mode").className = now.mode ?? "";
  if (!now.mode) return;
  put("why", now.reasons.length ? "Stands in the way: " + now.reasons.join("; ")
    : now.limits.length ? "Limited now: " + now.limits.join(", ") : "Nothing stands in the way.");
  const names = {obstacle: "nearest obstacle", person: "nearest person", goal: "goal"};
  rows("distances", Object.entries(now.distances_m).map(([name, value]) => [names[name], told(value, 2) + " m"]));
  rows("timing", [
    ["work of a tick, p50", told(now.work_ms.p50, 2) + " ms"], ["p99", told(now.work_ms.p99, 2) + " ms"],
    ["period", (1000 * about.period_s).toFixed(0) + " ms"], ["began late by", told(now.late_ms, 2) + " ms"],
    ["missed deadlines", now.missed + " of " + now.ticks],
  ]);
  rows("commands", about.command.map((name, index) =>
    [name, told(now.asked?.[index], 3), told(now.sent?.[index], 3), about.units[index]]), ["", "asked", "sent", ""]);
  counted("limits", now.interventions);
  counted("stops", now.stops);
  rows("ages", Object.entries(now.ages_s).map(([name, value]) => [name, told(value, 3)]));
  rows("changes", now.changes.slice().reverse().map(one =>
    [one.now_s.toFixed(1) + " s", one.mode, one.reasons.join("; ")]));
  const line = (name, kind, values) => ({name, kind, values});
  curves("near", history.now_s, [line("obstacle", "one", history.obstacle_m), line("person", "two", history.person_m)]
    .filter(one => one.values.some(value => value !== null)), 2);
  put("speed-title", "Speed, " + about.speed_unit);
  curves("speed", history.now_s,
    [line("sent", "one", history.speed_sent), line("asked", "two", history.speed_asked)], 3);
  curves("work", history.now_s, [line("now", "one", history.work_ms)], 2);
  place("strip").replaceChildren(...history.mode.map(mode => {
    const slot = document.createElement("i");
    slot.className = mode;
    slot.style.flex = "1";
    slot.title = mode;
    return slot;
  }));
}

function warn(text) {
  put("silence", text);
  place("silence").style.display = text ? "block" : "none";
}

let heard = Date.now();
async function look() {
  try {
    const answer = await fetch("status.json", {cache: "no-store", signal: AbortSignal.timeout(3000)});
    const now = await answer.json();
    heard = Date.now();
    show(now);
    warn(now.silent_s > Math.max(1, 5 * now.about.period_s)
      ? "The runtime has said nothing for " + now.silent_s.toFixed(1) + " s: what is below is old." : "");
  } catch {
    warn("No answer for " + ((Date.now() - heard) / 1000).toFixed(0)
      + " s: the runtime has ended, or can't be reached. Below is the last that it told.");
  }
  setTimeout(look, 500);
}
look();
</script>
</html>
"""
