// Charts of a page: draw(figure, place) adds one, with a legend that hides curves.
const colours = ["#0b62c4","#d1495b","#2a9d5c","#e08e0b","#7a4fbf","#0a9396","#b5179e","#6c757d","#8d6e3f","#3a5a40","#ff7f50","#5390d9"];
const make = (name, attributes = {}, parent) => {
  const e = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  if (parent) parent.append(e);
  return e;
};
const element = (name, cls, text, parent) => {
  const e = document.createElement(name);
  if (cls) e.className = cls;
  if (text) e.textContent = text;
  if (parent) parent.append(e);
  return e;
};
const short = x => (x === 0 ? "0" : Math.abs(x) >= 1e5 || Math.abs(x) < 1e-3 ? x.toExponential(1) : String(+x.toPrecision(4))).replace(/^-/, "−");

// ticks at multiples of 1, 2 or 5, or at powers of ten.
function ticks(a, b, log) {
  const out = [];
  if (log) {
    const from = Math.log10(a), to = Math.log10(b), step = Math.max(1, Math.ceil((to - from) / 8));
    for (let e = Math.floor(from); e <= to; e += step)
      for (const m of to - from < 3 ? [1, 2, 5] : [1]) {
        const v = m * 10 ** e;
        if (v >= a * (1 - 1e-9) && v <= b * (1 + 1e-9)) out.push(v);
      }
    return out;
  }
  const raw = (b - a) / 6, base = 10 ** Math.floor(Math.log10(raw));
  const step = base * [1, 2, 5, 10].find(m => m * base >= raw);
  for (let i = Math.ceil(a / step - 1e-9); i * step <= b + 1e-9 * step; i++) out.push(i * step);
  return out;
}

// range of all frames, so that the axes stand still while a slider moves.
function range(figure, axis, log) {
  let a = Infinity, b = -Infinity;
  for (const f of figure.frames) for (const p of f.panels) for (const s of p.series) for (const v of s[axis])
    if (v !== null && (!log || v > 0)) { a = Math.min(a, v); b = Math.max(b, v); }
  if (a === b) { a -= 1; b += 1; }
  if (axis === "y" && !log) { const margin = (b - a) * .04; a -= margin; b += margin; }
  return [a, b];
}

// chart draws axes in a place, and returns what draws series between them.
function chart(figure, place, id, x, y, size, outer) {
  const { W, H, L, R, T, B } = size;
  const svg = make("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": figure.title }, place);
  const scale = ([a, b], log, from, to) => {
    const f = log ? Math.log10 : v => v;
    return v => from + (f(v) - f(a)) / (f(b) - f(a)) * (to - from);
  };
  const sx = scale(x, figure.logX, L, W - R), sy = scale(y, figure.logY, H - B, T);
  for (const v of ticks(...x, figure.logX)) {
    make("line", { class: "rule", x1: sx(v), x2: sx(v), y1: T, y2: H - B }, svg);
    make("text", { x: sx(v), y: H - B + 15, "text-anchor": "middle" }, svg).textContent = short(v);
  }
  for (const v of ticks(...y, figure.logY)) {
    make("line", { class: "rule", x1: L, x2: W - R, y1: sy(v), y2: sy(v) }, svg);
    make("text", { x: L - 6, y: sy(v) + 4, "text-anchor": "end" }, svg).textContent = short(v);
  }
  make("line", { class: "axis", x1: L, x2: W - R, y1: H - B, y2: H - B }, svg);
  make("line", { class: "axis", x1: L, x2: L, y1: T, y2: H - B }, svg);
  if (outer.x) make("text", { x: (L + W - R) / 2, y: H - 6, "text-anchor": "middle" }, svg).textContent = figure.xLabel;
  if (outer.y) make("text", { transform: `translate(13 ${(T + H - B) / 2}) rotate(-90)`, "text-anchor": "middle" }, svg).textContent = figure.yLabel;
  make("rect", { x: L, y: T - 2, width: W - R - L, height: H - B - T + 4 }, make("clipPath", { id }, make("defs", {}, svg)));
  const curves = make("g", { "clip-path": `url(#${id})`, class: "curves" }, svg);
  return (series, colour) => {
    curves.replaceChildren();
    for (const s of series) {
      const g = make("g", { stroke: colour(s.name), fill: colour(s.name) }, curves);
      make("title", {}, g).textContent = s.name;
      if (s.kind !== "points" && s.kind !== "cloud") {
        let d = "", pen = "M";
        s.x.forEach((v, k) => {
          const w = s.y[k];
          if (w === null || v === null || figure.logY && w <= 0) { pen = "M"; return; }
          d += `${pen}${sx(v).toFixed(2)} ${sy(w).toFixed(2)}`; pen = "L";
        });
        make("path", { d, fill: "none", "stroke-width": s.kind === "threads" ? .8 : 1.8, "stroke-linejoin": "round", ...(s.kind === "threads" ? { "stroke-opacity": .6 } : {}), ...(s.kind === "dashed" ? { "stroke-dasharray": "6 4" } : {}) }, g);
      }
      if (s.kind === "points" || s.kind === "cloud" || s.kind === "marked")
        s.x.forEach((v, k) => { if (v !== null && s.y[k] !== null) make("circle", { cx: sx(v).toFixed(1), cy: sy(s.y[k]).toFixed(1), r: s.kind === "cloud" ? 1.3 : 2.6, stroke: "none", ...(s.kind === "cloud" ? { "fill-opacity": .6 } : {}) }, g); });
    }
  };
}

function draw(figure, place) {
  const box = element("figure", (figure.across > 1 ? "wide " : "") + (figure.plane ? "plane" : ""), "", place);
  box.id = figure.name;
  element("h2", "", figure.title, box);
  const panels = element("div", "panels", "", box), legend = element("div", "legend", "", box), note = element("div", "note");
  const across = figure.across || 1, count = figure.frames[0].panels.length;
  panels.style.gridTemplateColumns = `repeat(${across}, minmax(0, 1fr))`;
  const size = across > 1 || figure.plane ? { W: 280, H: figure.plane ? 280 : 220, L: 46, R: 6, T: 6, B: 36 } : { W: 560, H: 340, L: 58, R: 14, T: 10, B: 42 };
  if (figure.plane) size.H = size.W - size.L - size.R + size.T + size.B;
  const x = figure.xRange || range(figure, "x", figure.logX), y = figure.yRange || range(figure, "y", figure.logY);
  const titles = [], charts = [], names = [], kinds = {}, hidden = new Set();
  for (let i = 0; i < count; i++) {
    const cell = element("div", "", "", panels);
    titles.push(element("h3", "", "", cell));
    charts.push(chart(figure, cell, `clip-${figure.name}-${i}`, x, y, size, { x: i + across >= count, y: i % across === 0 }));
  }
  for (const f of figure.frames) for (const p of f.panels) for (const s of p.series) if (!names.includes(s.name)) { names.push(s.name); kinds[s.name] = s.kind; }
  const turns = names.filter(n => kinds[n] !== "threads");
  const colour = name => kinds[name] === "threads" ? "#8a93a0" : colours[turns.indexOf(name) % colours.length];

  const show = at => {
    const frame = figure.frames[at];
    legend.replaceChildren();
    legend.hidden = names.length === 1 && names[0] === figure.title;
    frame.panels.forEach((p, i) => {
      titles[i].textContent = p.title || "";
      titles[i].parentNode.style.visibility = count > 1 && p.series.length === 0 ? "hidden" : "visible";
      charts[i](p.series.filter(s => !hidden.has(s.name)), colour);
    });
    for (const name of names.filter(n => frame.panels.some(p => p.series.some(s => s.name === n)))) {
      const b = element("button", "", "", legend);
      b.setAttribute("aria-pressed", !hidden.has(name));
      element("i", kinds[name], "", b).style.borderColor = colour(name);
      element("span", "", name, b);
      b.onclick = () => { hidden.has(name) ? hidden.delete(name) : hidden.add(name); show(at); };
    }
    note.textContent = frame.note || "";
  };
  if (figure.slider) {
    const row = element("label", "slider", "", box);
    element("span", "", figure.slider.name, row);
    const input = element("input", "", "", row), value = element("output", "", "", row);
    Object.assign(input, { type: "range", min: 0, max: figure.slider.values.length - 1, step: 1 });
    input.value = figure.slider.default;
    input.oninput = () => { value.textContent = short(figure.slider.values[input.value]); show(+input.value); };
    input.oninput();
  } else show(0);
  box.append(note);
  element("figcaption", "", figure.caption, box);
}
