// One finished turn as bars over time. The server has laid it out: positions are percent of the axis.
import { el, milliseconds } from "./dom.js";

export function turnCard(turn, { stages, outcomes }, open) {
  const latency = turn.turn_latency_ms;
  const summary = el(
    "summary", {},
    el("b", { className: "lat" }, milliseconds(latency), el("small", {}, " ms")),
    el("span", { className: "what" }, `${turn.mode}, ${turn.label}`),
    turn.outcome === "completed" ? null : el("span", { className: "outcome" }, outcomes[turn.outcome]),
    strip(turn, stages),
  );
  return el(
    "details", { className: "turn", open, "data-latency": latency ?? "" },
    summary,
    el("p", { className: "quote" }, `“${turn.transcript}”`),
    turn.error ? el("p", { className: "problem" }, `This turn failed: ${turn.error}`) : null,
    lanes(turn.waterfall, stages),
    sum(turn, stages),
  );
}

function strip(turn, stages) {
  const parts = turn.critical_path.filter((one) => one.ms > 0);
  const pieces = parts.map((one) => el("i", { style: { "--c": colour(stages, one.stage), "flex-grow": one.ms } }));
  return el("span", { className: "strip", "aria-hidden": "true" }, ...pieces);
}

function lanes(drawn, stages) {
  const ticks = drawn.ticks.map(([left, label, stays]) =>
    el("span", { style: { left: `${left}%` }, className: stays ? "" : "mid" }, label));
  const head = el("tr", {}, el("th", { scope: "col" }, "work"), el("td", { className: "lane axis", "aria-hidden": "true" }, ...ticks), el("th", { scope: "col", className: "n" }, "ms"));
  const marks = { "--zero": `${drawn.zero}%`, "--end": `${drawn.audible ?? -9}%` };
  const body = drawn.lanes.filter((lane) => lane.bars.length).map((lane) => laneRow(lane, stages)); // the rest lies before the axis
  const path = drawn.segments.filter((one) => one.ms > 0).map((one) =>
    el("i", { className: `bar critical${one.width < 18 ? " tight" : ""}`, title: `${name(stages, one.stage)}: ${one.ms.toFixed(1)} ms`, style: place(one, stages) },
      one.width >= 8 ? milliseconds(one.ms) : ""));
  const foot = el("tr", {}, el("th", { scope: "row" }, "Critical path"), el("td", { className: "lane path" }, ...path), el("td", { className: "n" }, el("b", {}, milliseconds(drawn.sum_ms))));
  return el("table", { className: "wf", style: marks }, el("thead", {}, head), el("tbody", {}, ...body), el("tfoot", {}, foot));
}

function laneRow(lane, stages) {
  const bars = lane.bars.map((bar) => el("i", { className: `bar ${bar.kind}`, title: bar.tip, style: place({ ...bar, stage: lane.stage }, stages) }));
  const times = lane.count > 1 ? ` ×${lane.count}` : "";
  const hidden = { hidden: " (hidden)", discarded: " (discarded)" }[lane.kind] ?? "";
  const detail = lane.label && lane.kind !== "context" ? el("span", { className: "label" }, ` ${lane.label}`) : null;
  const swatch = el("i", { className: `sw ${lane.kind}`, style: { "--c": colour(stages, lane.stage) } });
  return el(
    "tr", { className: lane.kind },
    el("th", { scope: "row" }, swatch, name(stages, lane.stage), detail, times, el("span", { className: "sr" }, hidden)),
    el("td", { className: "lane" }, ...bars),
    el("td", { className: "n" }, lane.critical_ms > 0 ? el("b", {}, milliseconds(lane.critical_ms)) : milliseconds(lane.busy_ms)),
  );
}

function sum(turn, stages) {
  const shares = new Map();
  for (const one of turn.critical_path) shares.set(one.stage, (shares.get(one.stage) ?? 0) + one.ms);
  if (!shares.size) return null;
  const terms = [...shares].filter(([, ms]) => ms > 0).map(([stage, ms]) =>
    el("span", {}, el("i", { className: "sw", style: { "--c": colour(stages, stage) } }), `${name(stages, stage)} `, el("b", {}, ms.toFixed(1))));
  return el("p", { className: "sum" }, ...terms, el("span", {}, "= ", el("b", {}, `${turn.turn_latency_ms.toFixed(1)} ms`)));
}

const place = (bar, stages) => ({ left: `${bar.left}%`, width: `${bar.width}%`, "--c": colour(stages, bar.stage), "--k": stages[bar.stage].ink });
const colour = (stages, key) => stages[key].colour;
const name = (stages, key) => stages[key].name;
