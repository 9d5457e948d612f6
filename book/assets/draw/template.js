// A character as it is taught: its strokes with their numbers, coloured by what each is worth.

import { colour } from "./map.js";

const SVG = "http://www.w3.org/2000/svg";

function element(name, attributes, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

/**
 * Draws into `svg`; `worth`: for each stroke a number from -1 to 1, or null while unknown; `notes`:
 * what a stroke says under the mouse.
 */
export function drawTemplate(svg, strokes, worth = null, notes = []) {
  const line = (points) => points.map(([x, y]) => `${100 * x},${100 * y}`).join(" ");
  const shapes = strokes.flatMap((points, i) => [
    element("polyline", { points: line(points), stroke: "#555", "stroke-width": 6.5 }),
    element("polyline", {
      points: line(points),
      stroke: worth ? `rgb(${colour(worth[i])})` : "white",
      "stroke-width": 5,
    }),
  ]);
  notes.forEach((note, i) => shapes[2 * i + 1].append(element("title", {}, note)));
  const numbers = strokes.map((points, i) => {
    const [[x, y], next] = [points[0], points[1] ?? points[0]];
    // Before the stroke's beginning, where its own line is not.
    const length = Math.hypot(next[0] - x, next[1] - y) || 1;
    const at = [x - (0.045 * (next[0] - x)) / length, y - (0.045 * (next[1] - y)) / length];
    return element("text", { x: 100 * at[0], y: 100 * at[1] }, i + 1);
  });
  svg.classList.add("taught");
  svg.replaceChildren(...shapes, ...numbers);
}
