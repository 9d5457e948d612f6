// The page "Draw a character": what happens when.

import { unpack } from "./characters.js";
import { seen } from "./ink.js";
import { picture } from "./map.js";
import { fetchAll, lacking, startNetwork } from "./network.js";
import { SIDE } from "./normalize.js";
import { Pad } from "./pad.js";
import { drawTemplate } from "./template.js";
import { Candidates, doubt, percent, sentence, strokeButtons } from "./view.js";
import { probabilitiesWithout, worth } from "./worth.js";

const STROKE_BY_STROKE = 180; // milliseconds, when the page writes
const QUIET = 40; // milliseconds between steps of weighing the strokes of a template
const READY = "The network is ready: draw one character.";

const part = (name) => document.getElementById(`draw-${name}`);
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

let known; // characters, pinyin, templates
let network; // a function, as soon as it is there
let starting = null;
let shown = null; // {reading, whole (if strokes are erased), image, frame, count (of strokes)}
let chosen = null; // the candidate that the reader chose for this drawing, if any
let version = 0; // of the drawing: what was computed for an earlier one is not shown
let lifted = 0; // when the pen left the latest drawing, as events count time
let busy = false;

const pad = new Pad(part("canvas"), {
  onStroke: (time) => redrawn(time),
  onErase: (stroke) => toggle(stroke),
});
const candidates = new Candidates(part("candidates"), (label) => {
  chosen = label;
  explain();
});

// Loading.

function start() {
  starting ??= load().catch((error) => {
    starting = null;
    part("progress").hidden = true;
    say(`The network could not be loaded (${error.message}).`);
    part("retry").hidden = false;
  });
  return starting;
}

async function load() {
  part("retry").hidden = true;
  const bar = part("progress");
  bar.hidden = false;
  say("Loading the network …");
  const megabytes = (bytes) => (bytes / 1e6).toFixed(1);
  const files = await fetchAll((bytes, of) => {
    bar.max = of;
    bar.value = bytes;
    part("status").textContent = `Loading the network: ${megabytes(bytes)} of ${megabytes(of)} MB`;
  });
  part("status").textContent = "Starting the network …";
  known ??= unpack(files.characters, files.strokes);
  document.fonts.add(await new FontFace("HCCR Level 1", files.font).load());
  network = await startNetwork(files);
  bar.hidden = true;
  redrawn();
}

/** The status line, which screen readers announce. */
function say(text) {
  part("status").textContent = text;
  part("live").textContent = text;
}

// The drawing.

/** After every change of the drawing; `time`: when it was made. */
function redrawn(time = performance.now()) {
  version += 1;
  lifted = time;
  chosen = null;
  strokeButtons(part("strokes"), pad.strokes, toggle);
  part("own").hidden = pad.strokes.length === 0;
  part("hint").hidden = pad.strokes.length > 0;
  for (const name of ["undo", "clear"]) part(name).disabled = pad.strokes.length === 0;
  if (!pad.strokes.some(({ erased }) => !erased)) nothing();
  pad.paint();
  read();
}

function nothing() {
  shown = null;
  pad.map = null;
  part("result").hidden = part("pair").hidden = true;
  if (network) say(pad.strokes.length ? "Every stroke is erased." : READY);
}

function toggle(stroke) {
  // What was read with all strokes stays chosen, so that before and after can be compared.
  const compared = chosen ?? (shown ? (shown.whole ?? shown.reading).best[0] : null);
  pad.strokes[stroke].erased = !pad.strokes[stroke].erased;
  redrawn();
  chosen = compared;
}

async function write(text) {
  pad.release();
  pad.strokes = [];
  redrawn();
  const mine = version;
  await start();
  // Loading ends with one change of version; any other is the reader's, who drew meanwhile.
  if (!network || version > mine + 1 || pad.drawing) return;
  const strokes = known.templates[known.labelOf.get(text)];
  const hurry = matchMedia("(prefers-reduced-motion: reduce)").matches;
  let expected;
  for (const [i, points] of strokes.entries()) {
    if (expected !== undefined && (version !== expected || pad.drawing)) return;
    pad.strokes.push({ points: points.map((point) => [...point]), erased: false });
    if (hurry && i < strokes.length - 1) continue;
    redrawn();
    expected = version;
    await pause(STROKE_BY_STROKE);
  }
}

// Reading.

// While the network reads, the drawing may change several times: only the last one is read next.
async function read() {
  if (busy || !network) return;
  busy = true;
  try {
    for (let done = -1; done !== version; ) {
      done = version;
      const finished = [...pad.finished];
      const strokes = finished.map(({ points }) => points);
      const left = strokes.filter((_, i) => !finished[i].erased);
      if (left.length === 0) continue;
      const { image, frame } = seen(left, strokes);
      const erased = left.length < strokes.length;
      const images = erased ? [image, seen(strokes).image] : [image];
      const [reading, whole] = await network(images);
      if (done !== version) continue;
      shown = { reading, whole, image, frame, count: strokes.length };
      explain();
      requestAnimationFrame(timed);
    }
  } catch (error) {
    say(`The network failed (${error.message}). Reload the page to start it again.`);
  } finally {
    busy = false;
  }
}

function timed() {
  if (!shown) return;
  const took = Math.round(performance.now() - lifted);
  part("status").dataset.milliseconds = took;
  part("status").textContent = `Read and shown in ${took} ms.`;
}

// Showing.

function candidate(label) {
  const { reading, whole } = shown;
  return {
    label,
    symbol: known.symbols[label],
    pinyin: known.pinyin[label],
    probability: reading.probabilities[label],
    before: whole?.probabilities[label],
  };
}

function explain() {
  if (!shown) return;
  const { reading, whole, frame, image } = shown;
  const five = reading.best.map(candidate);
  const label = chosen !== null && reading.best.includes(chosen) ? chosen : reading.best[0];
  const one = candidate(label);
  const rival = candidate(reading.best.find((each) => each !== label));
  candidates.show(five, label);
  part("result").hidden = part("pair").hidden = false;
  part("doubt").textContent = doubt(five[0]);
  part("change").textContent = whole ? changed(whole) : "";
  part("live").textContent = [sentence(five), part("change").textContent].join(" ");

  part("alone-label").textContent = `what speaks for ${one.symbol}`;
  part("against-label").textContent = `what speaks for ${one.symbol} rather than ${rival.symbol}`;
  const against = part("against").checked;
  let map = reading.mapOf(label);
  if (against) map = map.map((value, i) => value - reading.mapOf(rival.label)[i]);
  pad.map = { picture: picture(map, reading.mapSide), frame };
  pad.paint();
  part("legend-text").textContent = legend(map, one, rival, against);
  part("canvas").setAttribute("aria-label", described(one, rival, against));
  thumbnail(image);
  template(one);
}

function changed(whole) {
  const gone = pad.strokes.flatMap(({ erased }, i) => (erased ? [i + 1] : []));
  const first = candidate(whole.best[0]);
  const strokes = `stroke${gone.length > 1 ? "s" : ""} ${gone.join(", ")}`;
  const [before, after] = [percent(first.before), percent(first.probability)];
  return `Without ${strokes}, ${first.symbol} ${first.pinyin} goes from ${before} to ${after}.`;
}

function legend(map, one, rival, against) {
  const sum = map.reduce((a, b) => a + b, 0).toFixed(1);
  const deepest = map.reduce((most, value) => Math.max(most, Math.abs(value)), 0).toPrecision(2);
  if (!against)
    return (
      `Orange speaks for ${one.symbol}, purple against it; the deepest colour is ±${deepest}. ` +
      `The map adds up to ${sum}, which is the logit of ${one.symbol} but for its bias.`
    );
  const odds = Math.log(Math.max(one.probability, 1e-30) / Math.max(rival.probability, 1e-30));
  return (
    `Orange speaks for ${one.symbol} rather than ${rival.symbol}, purple for ${rival.symbol}; the ` +
    `deepest colour is ±${deepest}. The map adds up to ${sum}; with the difference of the two ` +
    `biases that is ${odds.toFixed(1)}, the logarithm of their odds.`
  );
}

function described(one, rival, against) {
  const { count } = shown;
  const drawing = `Your drawing of ${count} ${count === 1 ? "stroke" : "strokes"}`;
  return `${drawing}, with the map of ${one.symbol}${against ? ` against ${rival.symbol}` : ""}`;
}

function thumbnail(image) {
  const context = part("seen").getContext("2d");
  const pixels = new ImageData(SIDE, SIDE);
  image.forEach((ink, i) => pixels.data.set([255 - ink, 255 - ink, 255 - ink, 255], 4 * i));
  context.putImageData(pixels, 0, 0);
}

let drawn = null; // the label of the template that is shown

async function template({ label, symbol, pinyin }) {
  if (drawn === label) return;
  drawn = label;
  const strokes = known.templates[label];
  const svg = part("template");
  const caption = part("template-caption");
  drawTemplate(svg, strokes);
  const taught = `${symbol} ${pinyin} as it is taught, ${strokes.length} strokes`;
  svg.setAttribute("aria-label", taught);
  caption.textContent = `${symbol} ${pinyin} as it is taught; weighing its strokes …`;
  // The pen goes first: strokes are weighed while it rests and nothing waits to be read.
  const wanted = async () => {
    do await pause(QUIET);
    while (drawn === label && (busy || pad.drawing));
    return drawn === label;
  };
  const found = await probabilitiesWithout(label, strokes, network, wanted);
  if (!found) return;
  const notes = found.without.map((left, i) => `without stroke ${i + 1}: ${percent(left)}`);
  drawTemplate(svg, strokes, worth(found), notes);
  svg.setAttribute("aria-label", [taught, ...notes].join("; "));
  const most = found.without.indexOf(Math.min(...found.without));
  caption.textContent =
    `${symbol} ${pinyin} as it is taught: drawn so, the network gives it ${percent(found.whole)}; ` +
    `without stroke ${most + 1}, which it needs most, ${percent(found.without[most])}.`;
}

// The controls.

function choose(tool) {
  pad.erasing = tool === "eraser";
  for (const name of ["pen", "eraser"]) part(name).setAttribute("aria-pressed", name === tool);
  part("canvas").classList.toggle("draw-erasing", pad.erasing);
}

for (const tool of ["pen", "eraser"]) part(tool).addEventListener("click", () => choose(tool));
part("undo").addEventListener("click", () => {
  pad.release();
  pad.strokes.pop();
  redrawn();
});
part("clear").addEventListener("click", () => {
  pad.release();
  pad.strokes = [];
  choose("pen");
  redrawn();
});
for (const button of part("samples").querySelectorAll("button"))
  button.addEventListener("click", () => write(button.value));
for (const name of ["alone", "against"]) part(name).addEventListener("change", explain);
part("retry").addEventListener("click", start);

const missing = lacking();
part("broken").hidden = missing.length === 0;
part("live-page").hidden = missing.length > 0;
if (missing.length) {
  part("broken").textContent =
    `This browser lacks ${missing.join(" and ")}, which the network needs to run. ` +
    "Any browser from 2023 or later has it.";
} else {
  redrawn();
  say("Draw one character. The network is loaded as soon as you begin.");
  // Nothing is fetched for a reader who only passes by.
  for (const sign of ["pointerover", "pointerdown", "focusin"])
    part("live-page").addEventListener(sign, start, { once: true });
}
