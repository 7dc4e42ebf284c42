// The page: what the buttons do, and what is shown. Sound is audio.js, the socket connection.js, drawing waterfall.js.
import { audioProblem, openAudio } from "./audio.js";
import { connect } from "./connection.js";
import { $, el, milliseconds } from "./dom.js";
import { turnCard } from "./waterfall.js";

const STATES = {
  listening: "listening", hearing: "listening: I hear you", thinking: "thinking", speaking: "speaking",
  paused: "paused: go on, I listen",
};
const CARDS = 200; // older ones leave the page; the trace has them all
const token = (() => {
  const given = new URLSearchParams(location.search).get("token");
  return given ? `?token=${encodeURIComponent(given)}` : "";
})();

let setup = null;
let conversation = null; // {audio, connection} while connected
let connecting = null;
let holding = false;
const chosen = { llm: null, mode: null };

// ------------------------------------------------------------ connecting

async function begin() {
  showProblem("");
  showState("connecting", "connecting");
  const ended = (problem) => { end(); showProblem(problem); };
  let audio;
  try {
    audio = await openAudio(
      (pcm) => { showLevel(pcm); conversation?.connection.sendAudio(pcm); },
      (first, end_, atMs) => conversation?.connection.sendText({ type: "played", first, end: end_, at_ms: Math.max(0, atMs) }),
      () => ended("The microphone is gone. Plug it in again, then press Talk."),
    );
  } catch (error) {
    showState("", "not connected");
    throw new Error(audioProblem(error));
  }
  try {
    const connection = await connect(token, { onText: show, onAudio: audio.play, onClosed: ended });
    conversation = { audio, connection };
  } catch (error) {
    audio.close();
    showState("", "not connected");
    throw error;
  }
  const { llm, mode } = chosen;
  if (llm !== setup.llm || mode !== setup.mode) conversation.connection.sendText({ type: "switch", llm, mode });
  offerDownloads(conversation.connection.session);
}

function end() {
  conversation?.audio.close();
  conversation?.connection.close();
  conversation = null;
  $("open-mic").checked = false;
  hold(false);
  showState("", "not connected");
  offerDownloads(null);
}

async function connected() {
  if (conversation) return true;
  connecting ??= begin().finally(() => { connecting = null; });
  try {
    await connecting;
    return true;
  } catch (error) {
    showProblem(error.message);
    return false;
  }
}

async function listen() {
  const wanted = () => holding || $("open-mic").checked;
  if (wanted() && !(await connected())) {
    $("open-mic").checked = false;
    hold(false);
  }
  conversation?.audio.setOpen(wanted());
}

function hold(down) {
  if (holding === down) return;
  holding = down;
  $("talk").setAttribute("aria-pressed", String(down));
  listen();
}

// ------------------------------------------------------------ what the server tells

function show(message) {
  switch (message.type) {
    case "now": return showNow(message);
    case "turn": return showTurn(message);
    case "switched": return showSwitched(message);
    case "pause":
    case "resume":
    case "clear": return conversation?.audio.control(message.type);
  }
}

function showNow(now) {
  showState(now.state, STATES[now.state] ?? now.state);
  if (now.stable === undefined) return; // between turns the last one stays to be read
  $("stable").textContent = now.stable;
  $("rest").textContent = now.rest;
  $("said").textContent = now.said;
  $("unsaid").textContent = now.unsaid;
  $("latency").textContent = milliseconds(now.turn_latency_ms);
}

function showTurn(turn) {
  if (!turn.transcript && !turn.error) return;
  $("stable").textContent = turn.transcript;
  $("rest").textContent = "";
  $("said").textContent = turn.heard;
  $("unsaid").textContent = "";
  $("latency").textContent = milliseconds(turn.turn_latency_ms);
  const turns = $("turns");
  if (!turns.querySelector(".turn")) turns.replaceChildren();
  else turns.firstElementChild.open = false;
  turns.prepend(turnCard(turn, setup, true));
  const log = $("log");
  log.append(el("li", {}, el("b", {}, "You "), turn.transcript, el("br"), el("b", {}, "Agent "), turn.error ? `(failed: ${turn.error})` : turn.heard));
  log.scrollTop = log.scrollHeight;
  while (turns.children.length > CARDS) turns.lastElementChild.remove();
  while (log.children.length > CARDS) log.firstElementChild.remove();
  showFigures(turn.figures);
}

function showFigures(rows) {
  const cells = (row) => [row.p50, row.p95, row.n, row.llm_ttft, row.tokens_per_s].map((value) => el("td", { className: "n" }, milliseconds(value)));
  $("figure-rows").replaceChildren(...rows.map((row) => el("tr", {}, el("th", { scope: "row" }, `${row.label}, ${row.mode}`), ...cells(row))));
}

function showSwitched({ llm, mode, problem }) {
  showProblem(problem ? `Nothing was changed: ${problem}.` : "");
  chosen.llm = llm;
  chosen.mode = mode;
  showChoice();
}

function showState(state, text) {
  $("dot").dataset.state = state;
  if ($("state").textContent !== text) $("state").textContent = text;
}

function showProblem(text) {
  $("problem").textContent = text;
  $("problem").hidden = !text;
}

function showLevel(pcm) {
  let energy = 0;
  for (const sample of pcm) energy += sample * sample;
  const dbfs = 10 * Math.log10(energy / pcm.length / 32768 ** 2 + 1e-9);
  $("level").style.width = `${Math.max(0, Math.min(100, 100 + (dbfs * 100) / 60))}%`;
}

function offerDownloads(session) {
  for (const [id, file] of [["trace", "trace.jsonl"], ["wav", "conversation.wav"]]) {
    const link = $(id);
    link.setAttribute("aria-disabled", String(!session));
    if (session) link.href = `sessions/${session}/${file}${token}`;
    else link.removeAttribute("href");
  }
}

// ------------------------------------------------------------ settings

function choose(change) {
  Object.assign(chosen, change);
  showChoice();
  conversation?.connection.sendText({ type: "switch", ...change });
}

function showChoice() {
  const bySlider = setup.speeds.indexOf(chosen.llm);
  const slid = $("llm").querySelector("option[data-slider]");
  slid.hidden = bySlider < 0;
  if (bySlider >= 0) {
    $("speed").value = bySlider;
    slid.value = chosen.llm;
    slid.textContent = `${chosen.llm} (simulated, from the slider)`;
  }
  $("llm").value = chosen.llm;
  $("mode").value = chosen.mode;
  $("mode-help").textContent = setup.modes[chosen.mode];
  showSpeed(bySlider >= 0);
}

function showSpeed(inUse) {
  const [ttft, rate] = setup.speeds[$("speed").value].replace("sim/", "").split(":");
  const text = `${Number(rate).toLocaleString("en")} tokens/s`;
  $("speed-value").textContent = text;
  $("speed-note").textContent = inUse ? `and ${ttft} ms to the first token, from the next turn on` : "drag to hear what that speed is like";
  $("speed").setAttribute("aria-valuetext", `${text}, simulated`);
}

function prepare() {
  chosen.llm = setup.llm;
  chosen.mode = setup.mode;
  const option = (value, text) => el("option", { value }, text);
  $("llm").replaceChildren(...setup.llms.map((one) => option(one.name, one.label)), el("option", { "data-slider": "", hidden: true }));
  $("mode").replaceChildren(...Object.keys(setup.modes).map((name) => option(name, name)));
  $("speed").max = setup.speeds.length - 1;
  $("speed").value = setup.speeds.length - 1;
  $("engines").textContent = `Quickturn ${setup.version}. ${setup.engines}. Your voice goes to this server only; words go to the LLM chosen above.`;
  $("legend").replaceChildren(...setup.legend.map((key) => el("li", { title: setup.stages[key].meaning }, el("i", { className: "sw", style: { "--c": setup.stages[key].colour } }), setup.stages[key].name)));
  showChoice();
}

// ------------------------------------------------------------ hands

function listenToHands() {
  const talk = $("talk");
  talk.addEventListener("pointerdown", (event) => { talk.setPointerCapture(event.pointerId); hold(true); });
  for (const kind of ["pointerup", "pointercancel", "lostpointercapture"]) talk.addEventListener(kind, () => hold(false));
  talk.addEventListener("contextmenu", (event) => event.preventDefault()); // what a long touch brings up
  const isTalkKey = (event) =>
    event.target === talk ? ["Space", "Enter"].includes(event.code) : event.code === "Space" && !event.target.closest("input, select, a, summary");
  addEventListener("keydown", (event) => {
    if (!isTalkKey(event)) return;
    event.preventDefault();
    hold(true);
  });
  addEventListener("keyup", (event) => {
    if (isTalkKey(event)) event.preventDefault();
    if (["Space", "Enter"].includes(event.code)) hold(false);
  });
  addEventListener("blur", () => hold(false));
  $("open-mic").addEventListener("change", listen);
  $("llm").addEventListener("change", () => choose({ llm: $("llm").value }));
  $("mode").addEventListener("change", () => choose({ mode: $("mode").value }));
  $("speed").addEventListener("input", () => showSpeed(false));
  $("speed").addEventListener("change", () => choose({ llm: setup.speeds[$("speed").value] }));
}

try {
  const answer = await fetch(`setup${token}`);
  if (!answer.ok) throw new Error(await answer.text());
  setup = await answer.json();
  prepare();
  listenToHands();
} catch (error) {
  showProblem(`The page could not be set up: ${error.message}. Reload it; the address must be the one that quickturn web printed.`);
}
