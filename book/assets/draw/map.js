// A class activation map in colour: orange speaks for the class, purple against it, white is 0.

// The colours of the book's figures (DIVERGING in hccr_lib/viz/figures.py), which a test compares.
export const COLOURS = [
  "#644395", "#7967a6", "#8e82b6", "#a59dc8", "#bab5d7", "#cbc9e2", "#dcddec", "#e9eaf2", "#f7f7f6",
  "#faedda", "#fde2bb", "#fed095", "#fdbf72", "#f4a84c", "#e8912a", "#d77a11", "#c4680b",
];
const RGB = COLOURS.map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));

/** The colour of a value from -1 to 1, as [red, green, blue]. */
export function colour(value) {
  const at = ((Math.min(Math.max(value, -1), 1) + 1) / 2) * (RGB.length - 1);
  const low = Math.min(Math.floor(at), RGB.length - 2);
  return RGB[low].map((each, i) => Math.round(each + (at - low) * (RGB[low + 1][i] - each)));
}

/** A map of few cells made larger, bilinear, as the book's figures are. */
export function stretched(map, side, to) {
  const out = new Float32Array(to * to);
  const taps = Array.from({ length: to }, (_, i) => {
    const at = Math.min(Math.max(((i + 0.5) * side) / to - 0.5, 0), side - 1);
    const low = Math.min(Math.floor(at), side - 2);
    return [low, at - low];
  });
  taps.forEach(([row, down], y) =>
    taps.forEach(([column, right], x) => {
      const value = (r, c) => map[(row + r) * side + column + c];
      const above = value(0, 0) * (1 - right) + value(0, 1) * right;
      const below = value(1, 0) * (1 - right) + value(1, 1) * right;
      out[y * to + x] = above * (1 - down) + below * down;
    }),
  );
  return out;
}

/** A canvas with the map in colour; the deepest colour is the largest value of any sign. */
export function picture(map, side, to = 96) {
  const limit = map.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = to;
  const pixels = new ImageData(to, to);
  stretched(map, side, to).forEach((value, i) =>
    pixels.data.set([...colour(value / limit), 255], 4 * i),
  );
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas;
}
