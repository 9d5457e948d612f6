// A page to draw on: the drawing, the network, the candidates and the map. What happens when.
// The page "Draw a character" (page.js) adds to it; the first page of the book (first.js) doesn't.

import { unpack } from "./characters.js";
import { seen } from "./ink.js";
import { picture } from "./map.js";
import { fetchAll, lacking, startNetwork } from "./network.js";
import { Pad } from "./pad.js";
import { Candidates, doubt, sentence } from "./view.js";

const STROKE_BY_STROKE = 180; // milliseconds, when the page writes
const READY = "The network is ready: draw one character.";

/** An element of the page: all that belong to the drawing are named so. */
export const part = (name) => document.getElementById(`draw-${name}`);
export const pause = (milliseconds) => new Promise((go) => setTimeout(go, milliseconds));

/** The status line, which screen readers announce. */
function say(text) {
  part("status").textContent = text;
  part("live").textContent = text;
}

export class LivePage {
  #starting = null;
  #version = 0; // of the drawing: what was computed for an earlier one is not shown
  #lifted = 0; // when the pen left the latest drawing, as events count time

  known; // characters, pinyin, templates
  network; // a function, as soon as it is there
  shown = null; // {reading, whole (if strokes are erased), image, frame, count (of strokes)}
  chosen = null; // the candidate that the reader chose for this drawing, if any
  busy = false;

  /** `rows`: how many candidates are listed. */
  constructor(rows) {
    this.pad = new Pad(part("canvas"), {
      onStroke: (time) => this.redrawn(time),
      onErase: (stroke) => this.toggle(stroke),
    });
    this.candidates = new Candidates(part("candidates"), rows, (label) => {
      this.chosen = label;
      this.explain();
    });
    part("undo").addEventListener("click", () => {
      this.pad.release();
      this.pad.strokes.pop();
      this.redrawn();
    });
    part("clear").addEventListener("click", () => this.clear());
    for (const button of part("samples").querySelectorAll("button"))
      button.addEventListener("click", () => this.#write(button.value));
    part("retry").addEventListener("click", () => this.#start());
  }

  /** Shows the page, or says why it can't run; the network comes with the first of `signs`. */
  open(signs, where) {
    const missing = lacking();
    part("broken").hidden = missing.length === 0;
    part("live-page").hidden = missing.length > 0;
    if (missing.length) {
      part("broken").textContent =
        `This browser lacks ${missing.join(" and ")}, which the network needs to run. ` +
        "Any browser from 2023 or later has it.";
      return;
    }
    this.redrawn();
    say("Draw one character. The network is loaded as soon as you begin.");
    // Nothing is fetched for a reader who only passes by.
    for (const sign of signs) where.addEventListener(sign, () => this.#start(), { once: true });
  }

  // Loading.

  #start() {
    this.#starting ??= this.#load().catch((error) => {
      this.#starting = null;
      part("progress").hidden = true;
      say(`The network could not be loaded (${error.message}).`);
      part("retry").hidden = false;
    });
    return this.#starting;
  }

  async #load() {
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
    this.known ??= unpack(files.characters, files.strokes);
    document.fonts.add(await new FontFace("HCCR Level 1", files.font).load());
    this.network = await startNetwork(files);
    bar.hidden = true;
    this.redrawn();
  }

  // The drawing.

  /** After every change of the drawing; `time`: when it was made. */
  redrawn(time = performance.now()) {
    const { strokes } = this.pad;
    this.#version += 1;
    this.#lifted = time;
    this.chosen = null;
    part("hint").hidden = strokes.length > 0;
    for (const name of ["undo", "clear"]) part(name).disabled = strokes.length === 0;
    if (!strokes.some(({ erased }) => !erased)) this.nothing();
    this.pad.paint();
    this.#read();
  }

  /** There is nothing to read. */
  nothing() {
    this.shown = null;
    this.pad.map = null;
    part("result").hidden = true;
    if (this.network) say(this.pad.strokes.length ? "Every stroke is erased." : READY);
  }

  clear() {
    this.pad.release();
    this.pad.strokes = [];
    this.redrawn();
  }

  toggle(stroke) {
    // What was read with all strokes stays chosen, so that before and after can be compared.
    const { shown } = this;
    const compared = this.chosen ?? (shown ? (shown.whole ?? shown.reading).best[0] : null);
    this.pad.strokes[stroke].erased = !this.pad.strokes[stroke].erased;
    this.redrawn();
    this.chosen = compared;
  }

  async #write(text) {
    const { pad } = this;
    pad.release();
    pad.strokes = [];
    this.redrawn();
    const mine = this.#version;
    await this.#start();
    // Loading ends with one change of version; any other is the reader's, who drew meanwhile.
    if (!this.network || this.#version > mine + 1 || pad.drawing) return;
    const strokes = this.known.templates[this.known.labelOf.get(text)];
    const hurry = matchMedia("(prefers-reduced-motion: reduce)").matches;
    let expected;
    for (const [i, points] of strokes.entries()) {
      if (expected !== undefined && (this.#version !== expected || pad.drawing)) return;
      pad.strokes.push({ points: points.map((point) => [...point]), erased: false });
      if (hurry && i < strokes.length - 1) continue;
      this.redrawn();
      expected = this.#version;
      await pause(STROKE_BY_STROKE);
    }
  }

  // Reading.

  // While the network reads, the drawing may change several times: only the last one is read next.
  async #read() {
    if (this.busy || !this.network) return;
    this.busy = true;
    try {
      for (let done = -1; done !== this.#version; ) {
        done = this.#version;
        const finished = [...this.pad.finished];
        const strokes = finished.map(({ points }) => points);
        const left = strokes.filter((_, i) => !finished[i].erased);
        if (left.length === 0) continue;
        const { image, frame } = seen(left, strokes);
        const erased = left.length < strokes.length;
        const images = erased ? [image, seen(strokes).image] : [image];
        const [reading, whole] = await this.network(images);
        if (done !== this.#version) continue;
        this.shown = { reading, whole, image, frame, count: strokes.length };
        this.explain();
        requestAnimationFrame(() => this.#timed());
      }
    } catch (error) {
      say(`The network failed (${error.message}). Reload the page to start it again.`);
    } finally {
      this.busy = false;
    }
  }

  #timed() {
    if (!this.shown) return;
    const took = Math.round(performance.now() - this.#lifted);
    part("status").dataset.milliseconds = took;
    part("status").textContent = `Read and shown in ${took} ms.`;
  }

  // Showing.

  candidate(label) {
    const { reading, whole } = this.shown;
    return {
      label,
      symbol: this.known.symbols[label],
      pinyin: this.known.pinyin[label],
      probability: reading.probabilities[label],
      before: whole?.probabilities[label],
    };
  }

  /** Shows what was read, and the map of the chosen candidate: `one`; `rival` is its strongest. */
  explain() {
    if (!this.shown) return;
    const { reading, frame } = this.shown;
    const five = reading.best.map((label) => this.candidate(label));
    const one = five.find(({ label }) => label === this.chosen) ?? five[0];
    const rival = five.find(({ label }) => label !== one.label);
    this.candidates.show(five, one.label);
    part("result").hidden = false;
    part("doubt").textContent = doubt(five[0]);
    part("live").textContent = sentence(five);
    const map = this.explained(one, rival);
    this.pad.map = { picture: picture(map, reading.mapSide), frame };
    this.pad.paint();
  }

  /** Shows what belongs to `one`, and returns the map to be drawn. */
  explained(one, rival) {
    part("canvas").setAttribute("aria-label", this.described(one, rival));
    part("legend-text").textContent =
      `Orange speaks for ${one.symbol} rather than ${rival.symbol}, purple for ${rival.symbol}.`;
    return this.contrast(one, rival);
  }

  /** The map of one minus that of another. */
  contrast(one, other) {
    const theirs = this.shown.reading.mapOf(other.label);
    return this.shown.reading.mapOf(one.label).map((value, i) => value - theirs[i]);
  }

  /** The drawing in words; `rival` is null where the map is of one class alone. */
  described(one, rival) {
    const { count } = this.shown;
    const drawing = `Your drawing of ${count} ${count === 1 ? "stroke" : "strokes"}`;
    return `${drawing}, with the map of ${one.symbol}${rival ? ` against ${rival.symbol}` : ""}`;
  }
}
