"use strict";
const at = id => document.getElementById(id);
const token = new URLSearchParams(location.search).get("token") || "";
const asked = path => path + (token ? "?token=" + encodeURIComponent(token) : "");
let state = null;

const number = x => x === null || x === undefined ? "–" : Math.abs(x) >= 1e5 || x !== 0 && Math.abs(x) < 1e-3 ? x.toExponential(2) : String(+x.toPrecision(4));
const whole = x => Math.round(x).toLocaleString("en");
function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  const parts = [[Math.floor(s / 3600), "h"], [Math.floor(s / 60) % 60, "min"], [s % 60, "s"]].filter(p => p[0] > 0).slice(0, 2);
  return parts.map(p => p.join(" ")).join(" ") || "0 s";
}

function showNow() {
  const n = state.now, share = n.of ? 100 * n.images / n.of : 0;
  at("bar").firstElementChild.style.width = share + "%";
  at("bar").setAttribute("aria-valuenow", Math.round(share));
  document.title = (n.of ? Math.floor(share) + " % · " : "") + state.run;
  const cards = [
    ["images", whole(n.images)], ["of", n.of ? whole(n.of) : "–"], ["loss", number(n.loss)], ["learning rate", number(n.lr)], ["gradient norm", number(n.grad_norm)],
    ["images a second", number(n.rate)], ["elapsed", span(n.elapsed)], ["left", state.ended ? "–" : span(n.left)],
  ];
  at("now").replaceChildren(...cards.map(([name, value]) => {
    const card = element("div");
    element("dt", "", name, card);
    element("dd", "", value, card);
    return card;
  }));
}

// curve draws points in the place of those before.
function curve(place, name, points) {
  place.replaceChildren();
  if (!points.length) return;
  const series = { name, kind: points.length < 30 ? "marked" : "line", x: points.map(p => p[0]), y: points.map(p => p[1]) };
  draw({ name: "chart-" + name, title: name, caption: "", xLabel: "images seen", yLabel: name, frames: [{ panels: [{ series: [series] }] }] }, place);
}

function showEvaluations() {
  const names = [...new Set(state.evaluations.flatMap(e => Object.keys(e.values)))].sort();
  at("evaluations").replaceChildren(...names.map(name => {
    const place = element("div");
    curve(place, name, state.evaluations.filter(e => typeof e.values[name] === "number").map(e => [e.images, e.values[name]]));
    return place;
  }));
}

function showSample() {
  const name = state.grids[+at("which").value];
  at("samples").hidden = !name;
  if (!name) return;
  at("seen").textContent = whole(parseInt(name, 10));
  const source = asked("samples/" + name);
  if (at("picture").getAttribute("src") !== source) at("picture").src = source;
}

function showGrids() {
  const last = Math.max(0, state.grids.length - 1), input = at("which");
  const newest = +input.value >= +input.max; // who looks at an older one goes on doing so
  input.max = last;
  if (newest) input.value = last;
  showSample();
}

function showNotes() {
  at("notes").replaceChildren(...state.notes.toReversed().map(n => {
    const line = element("li");
    element("time", "", new Date(n.time).toLocaleTimeString(), line).dateTime = n.time;
    line.append(n.text);
    return line;
  }));
}

function showAbout() {
  at("about").replaceChildren(...(state.about || []).flatMap(([name, text]) => [element("dt", "", name), element("dd", "", text)]));
}

function link(text, live) {
  at("link").textContent = text;
  at("link").className = live ? "live" : "";
}

function showAll() {
  for (const list of ["loss", "evaluations", "grids", "notes"]) state[list] ||= [];
  at("run").textContent = state.run;
  at("stop").hidden = !token || state.ended;
  link(state.ended ? "ended" : "training", !state.ended);
  showNow(); showLoss(); showEvaluations(); showGrids(); showNotes(); showAbout();
  document.body.dataset.shown = "1";
}

const showLoss = () => curve(at("loss"), "loss", state.loss.map(p => [p.x, p.y]));

const source = new EventSource(asked("events"));
const on = (name, take) => source.addEventListener(name, e => take(JSON.parse(e.data)));
on("state", s => { state = s; showAll(); if (s.ended) source.close(); });
on("now", n => { state.now = n; showNow(); });
on("loss", p => { state.loss.push(p); showLoss(); });
on("evaluation", e => { state.evaluations.push(e); showEvaluations(); });
on("grid", g => { state.grids.push(g); showGrids(); });
on("note", n => { state.notes.push(n); showNotes(); });
on("about", a => { state.about = a; showAbout(); });
on("ended", () => { source.close(); state.ended = true; showNow(); at("stop").hidden = true; link("ended", false); });
source.onerror = () => link(source.readyState === EventSource.CLOSED ? "no longer there" : "lost; asking again", false);

at("which").oninput = showSample;
at("stop").onclick = async () => {
  if (!confirm("Stop this run? It saves a checkpoint first, and the same command goes on from there.")) return;
  at("stop").disabled = true;
  const answer = await fetch("stop", { method: "POST", headers: { Authorization: "Bearer " + token } });
  if (!answer.ok) { at("stop").disabled = false; link("not stopped: " + answer.status, true); }
};
