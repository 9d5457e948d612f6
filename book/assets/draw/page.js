// The page "Draw a character": beside what every page to draw on does, an eraser, the contrast with
// the rival, the drawing as the network gets it, and the taught character with the worth of its
// strokes.

import { LivePage, part, pause } from "./live.js";
import { SIDE } from "./normalize.js";
import { drawTemplate } from "./template.js";
import { percent, strokeButtons } from "./view.js";
import { probabilitiesWithout, worth } from "./worth.js";

const QUIET = 40; // milliseconds between steps of weighing the strokes of a template

class WholePage extends LivePage {
  #drawn = null; // the label of the template that is shown

  constructor() {
    super(5);
    for (const tool of ["pen", "eraser"])
      part(tool).addEventListener("click", () => this.#choose(tool));
    for (const name of ["alone", "against"])
      part(name).addEventListener("change", () => this.explain());
  }

  #choose(tool) {
    this.pad.erasing = tool === "eraser";
    for (const name of ["pen", "eraser"]) part(name).setAttribute("aria-pressed", name === tool);
    part("canvas").classList.toggle("draw-erasing", this.pad.erasing);
  }

  redrawn(time) {
    const { strokes } = this.pad;
    strokeButtons(part("strokes"), strokes, (stroke) => this.toggle(stroke));
    part("own").hidden = strokes.length === 0;
    super.redrawn(time);
  }

  nothing() {
    super.nothing();
    part("pair").hidden = true;
  }

  clear() {
    this.#choose("pen");
    super.clear();
  }

  explained(one, rival) {
    const { reading, image } = this.shown;
    part("pair").hidden = false;
    part("change").textContent = this.#changed();
    part("live").append(" ", part("change").textContent);

    part("alone-label").textContent = `what speaks for ${one.symbol}`;
    part("against-label").textContent = `what speaks for ${one.symbol} rather than ${rival.symbol}`;
    const against = part("against").checked;
    const map = against ? this.contrast(one, rival) : reading.mapOf(one.label);
    part("legend-text").textContent = legend(map, one, rival, against);
    part("canvas").setAttribute("aria-label", this.described(one, against ? rival : null));
    thumbnail(image);
    this.#template(one);
    return map;
  }

  #changed() {
    const { whole } = this.shown;
    if (!whole) return "";
    const gone = this.pad.strokes.flatMap(({ erased }, i) => (erased ? [i + 1] : []));
    const first = this.candidate(whole.best[0]);
    const strokes = `stroke${gone.length > 1 ? "s" : ""} ${gone.join(", ")}`;
    const [before, after] = [percent(first.before), percent(first.probability)];
    return `Without ${strokes}, ${first.symbol} ${first.pinyin} goes from ${before} to ${after}.`;
  }

  async #template({ label, symbol, pinyin }) {
    if (this.#drawn === label) return;
    this.#drawn = label;
    const strokes = this.known.templates[label];
    const svg = part("template");
    const caption = part("template-caption");
    drawTemplate(svg, strokes);
    const taught = `${symbol} ${pinyin} as it is taught, ${strokes.length} strokes`;
    svg.setAttribute("aria-label", taught);
    caption.textContent = `${symbol} ${pinyin} as it is taught; weighing its strokes …`;
    // The pen goes first: strokes are weighed while it rests and nothing waits to be read.
    const wanted = async () => {
      do await pause(QUIET);
      while (this.#drawn === label && (this.busy || this.pad.drawing));
      return this.#drawn === label;
    };
    const found = await probabilitiesWithout(label, strokes, this.network, wanted);
    if (!found) return;
    const notes = found.without.map((left, i) => `without stroke ${i + 1}: ${percent(left)}`);
    drawTemplate(svg, strokes, worth(found), notes);
    svg.setAttribute("aria-label", [taught, ...notes].join("; "));
    const most = found.without.indexOf(Math.min(...found.without));
    caption.textContent =
      `${symbol} ${pinyin} as it is taught: drawn so, the network gives it ${percent(found.whole)}; ` +
      `without stroke ${most + 1}, which it needs most, ${percent(found.without[most])}.`;
  }
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

function thumbnail(image) {
  const context = part("seen").getContext("2d");
  const pixels = new ImageData(SIDE, SIDE);
  image.forEach((ink, i) => pixels.data.set([255 - ink, 255 - ink, 255 - ink, 255], 4 * i));
  context.putImageData(pixels, 0, 0);
}

new WholePage().open(["pointerover", "pointerdown", "focusin"], part("live-page"));
