// What the atlas shows of one character.

import { seen } from "../draw/ink.js";
import { picture } from "../draw/map.js";
import { drawTemplate } from "../draw/template.js";
import { percent } from "../draw/view.js";
import { codeOf } from "./search.js";

const SVG = "http://www.w3.org/2000/svg";
const STEPS = 127; // in which the values of a map are stored

const part = (name) => document.getElementById(`atlas-${name}`);

function html(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function svg(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

const times = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

export class Card {
  /** `index`: an `Index`; `templates`: the strokes of all characters, as they are taught. */
  constructor(index, templates) {
    this.index = index;
    this.templates = templates;
  }

  name(label) {
    return `${this.index.symbols[label]} ${this.index.readings[label][0]}`;
  }

  link(label, ...children) {
    const symbol = this.index.symbols[label];
    const link = html("a", { href: `#${symbol}` }, html("span", { lang: "zh-Hans" }, symbol));
    link.append(" ", html("span", { lang: "zh-Latn" }, this.index.readings[label][0]), ...children);
    return link;
  }

  /** `entry`: as book/atlas.py writes it; `handwriting`: an image of its shelf. */
  show(label, entry, handwriting) {
    this.label = label;
    this.entry = entry;
    const symbol = this.index.symbols[label];
    part("name").replaceChildren(
      html("span", { lang: "zh-Hans" }, symbol),
      " ",
      html("span", { lang: "zh-Latn" }, this.index.readings[label].join(", ")),
    );
    part("facts").textContent =
      `${times(this.index.strokes[label], "stroke")} · GB code ${codeOf(label)} · label ${label} · ` +
      `read from ${entry.right} of ${entry.hands} hands`;
    this.#neighbour("before", label - 1, "←");
    this.#neighbour("after", label + 1, "→");
    this.#hands(handwriting);
    this.#choices();
    this.#strokes();
    this.#rivals();
  }

  #neighbour(name, label, arrow) {
    const link = part(name);
    link.hidden = !(label in this.index.symbols);
    if (link.hidden) return;
    link.href = `#${this.index.symbols[label]}`;
    link.setAttribute("aria-label", `${name}: ${this.name(label)}`);
    link.textContent = name === "before" ? `${arrow} ${this.name(label)}` : `${this.name(label)} ${arrow}`;
  }

  #hands(handwriting) {
    const { shelf, side } = this.index;
    const row = this.label % shelf;
    part("hands").replaceChildren(
      ...this.entry.read.map((read, hand) => {
        const right = read === this.label;
        const canvas = html("canvas", {
          width: side,
          height: side,
          role: "img",
          "aria-label": `${this.name(this.label)} by hand ${hand + 1}`,
        });
        canvas
          .getContext("2d")
          .drawImage(handwriting, hand * side, row * side, side, side, 0, 0, side, side);
        const caption = html("figcaption", {}, right ? "✓ read" : "✗ read as ");
        if (!right) caption.append(this.link(read));
        return html("figure", right ? {} : { class: "atlas-wrong" }, canvas, caption);
      }),
    );
  }

  /** The maps one can choose from: the character's own, and that against each rival. */
  #choices() {
    const symbol = this.index.symbols[this.label];
    const names = [`what speaks for ${symbol}`].concat(
      this.entry.rivals.map(([rival]) => `rather than ${this.name(rival)}`),
    );
    part("choices").replaceChildren(
      ...names.map((name, i) => {
        const input = html("input", { type: "radio", name: "atlas-map", id: `atlas-map-${i}` });
        input.checked = i === 0;
        input.addEventListener("change", () => this.#map(i));
        return html("label", {}, input, ` ${name}`);
      }),
    );
    this.#map(0);
  }

  #map(i) {
    const { limits, maps, rivals, hands } = this.entry;
    const cells = maps[i].map((step) => (step * limits[i]) / STEPS);
    const strokes = this.templates[this.label];
    const { left, top, width, height } = seen(strokes).frame;
    const frame = { x: 100 * left, y: 100 * top, width: 100 * width, height: 100 * height };
    const canvas = part("map");
    canvas.setAttribute("viewBox", Object.values(frame).join(" "));
    canvas.replaceChildren(
      svg("image", { ...frame, href: picture(cells, Math.sqrt(cells.length)).toDataURL() }),
      ...strokes.map((points) =>
        svg("polyline", { points: points.map(([x, y]) => `${100 * x},${100 * y}`).join(" ") }),
      ),
    );
    const symbol = this.index.symbols[this.label];
    const rival = i ? this.name(rivals[i - 1][0]) : null;
    const sum = cells.reduce((a, b) => a + b, 0).toFixed(1);
    const shown = rival ? `The map of ${symbol} minus that of ${rival}` : `The map of ${symbol}`;
    const orange = rival ? `for ${symbol}, purple for ${rival.split(" ")[0]}` : "for it, purple against it";
    canvas.setAttribute("aria-label", `${shown}, mean of ${hands} hands, on its taught strokes`);
    part("map-caption").textContent =
      `${shown}, mean of ${hands} hands, on the strokes as they are taught. Orange speaks ${orange}; ` +
      `the deepest colour is ±${limits[i].toPrecision(2)}, the sum ${sum}.`;
  }

  #strokes() {
    const { strokes, erasing } = this.entry;
    const falls = strokes.map(([fall]) => fall);
    // Where no stroke halves the probability, none gets the deepest colour: as on the drawing page.
    const most = Math.max(Math.log(2), ...falls.map(Math.abs));
    const notes = falls.map((fall, i) => `stroke ${i + 1}: ${fall.toFixed(1)}`);
    const template = part("template");
    drawTemplate(template, this.templates[this.label], falls.map((fall) => fall / most), notes);
    const needed = falls.indexOf(Math.max(...falls));
    const taught = `${this.name(this.label)} as it is taught, ${times(falls.length, "stroke")}`;
    template.setAttribute("aria-label", `${taught}; stroke ${needed + 1} is missed most`);
    part("template-caption").textContent =
      `What each stroke is worth: the deeper the orange, the more the probability falls without it, ` +
      `mean of ${erasing} hands. Stroke ${needed + 1} is missed most.`;
    part("strokes").replaceChildren(
      ...strokes.map(([fall, still, instead, so], i) => {
        const cell = (...content) => html("td", {}, ...content);
        const other = instead === this.label ? "" : cell(this.link(instead, ` (${so} of ${erasing})`));
        return html(
          "tr",
          {},
          html("th", { scope: "row" }, String(i + 1)),
          cell(fall.toFixed(1).replace("-", "−")),
          cell(`${still} of ${erasing}`),
          other || cell("itself"),
        );
      }),
    );
  }

  #rivals() {
    const symbol = this.index.symbols[this.label];
    part("rivals").replaceChildren(
      ...this.entry.rivals.map(([rival, chance, ours, theirs]) => {
        const pair = [
          [this.label, ours],
          [rival, theirs],
        ].map(([label, marked]) => {
          const strokes = this.templates[label];
          const drawn = svg("svg", { viewBox: "-4 -4 108 108", role: "img" });
          const numbers = marked.map((stroke) => stroke + 1).join(", ");
          drawn.setAttribute(
            "aria-label",
            marked.length
              ? `${this.name(label)}: ${marked.length === 1 ? "stroke" : "strokes"} ${numbers} differ`
              : `${this.name(label)}: no stroke that differs`,
          );
          drawTemplate(drawn, strokes, strokes.map((_, i) => Number(marked.includes(i))));
          return drawn;
        });
        const text = html("p", {}, this.link(rival), ` gets ${percent(chance)} where ${symbol} is written.`);
        if (!ours.length && !theirs.length)
          text.append(" As taught, their strokes lie too near each other for one to be marked.");
        return html("li", {}, text, html("div", { class: "atlas-pair" }, ...pair));
      }),
    );
  }
}
