// From strokes to a bitmap. A stroke is a list of [x, y] in units of the drawing area's side.

import { BORDER, INNER, SIDE, normalize, padding } from "./normalize.js";

// Pen and ink of the scans: 4 % of the character's longer side, dark grey. The width follows the
// size of the character: a small drawing is enlarged, and must not get fat strokes by that.
const PEN = 0.04;
const INK = 200;
// The longer side of the bitmap, that of a usual scan. A dot has no size: it counts as a tenth.
const LONGER = 80;
const SMALLEST = 0.1;

function extent(strokes) {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const stroke of strokes)
    for (const [x, y] of stroke) {
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y);
    }
  return { left, top, width: right - left, height: bottom - top };
}

/** Ink of one segment: all pixels within the radius, smooth at the rim. The darkest stays. */
function segment(bitmap, [x0, y0], [x1, y1], radius) {
  const { data, width, height } = bitmap;
  const [dx, dy] = [x1 - x0, y1 - y0];
  const square = dx * dx + dy * dy || 1;
  const reach = radius + 1;
  const [xFrom, xTo] = [Math.floor(Math.min(x0, x1) - reach), Math.max(x0, x1) + reach];
  const [yFrom, yTo] = [Math.floor(Math.min(y0, y1) - reach), Math.max(y0, y1) + reach];
  for (let y = Math.max(yFrom, 0); y < Math.min(yTo, height); y++)
    for (let x = Math.max(xFrom, 0); x < Math.min(xTo, width); x++) {
      const [px, py] = [x + 0.5 - x0, y + 0.5 - y0];
      const along = Math.min(Math.max((px * dx + py * dy) / square, 0), 1);
      const distance = Math.hypot(px - along * dx, py - along * dy);
      const covered = Math.min(Math.max(radius + 0.5 - distance, 0), 1);
      const at = y * width + x;
      data[at] = Math.min(data[at], Math.round(255 - INK * covered));
    }
}

/**
 * The strokes as the network reads them.
 *
 * `all` are the strokes that size and place are taken from: where some are erased, the others stay
 * where they were.
 * Returns the image, Uint8Array of 96 x 96, bright on 0, and the frame {left, top, width, height}:
 * where in the drawing area its 96 x 96 pixels lie.
 */
export function seen(strokes, all = strokes) {
  const box = extent(all);
  const longer = Math.max(box.width, box.height, SMALLEST);
  const radius = (PEN * LONGER) / 2;
  const scale = (LONGER - 2 * radius) / longer;
  const size = (length) => Math.ceil(length * scale + 2 * radius);
  const bitmap = { width: size(box.width), height: size(box.height) };
  bitmap.data = new Uint8Array(bitmap.width * bitmap.height).fill(255);
  const place = ([x, y]) => [(x - box.left) * scale + radius, (y - box.top) * scale + radius];
  for (const stroke of strokes) {
    const path = stroke.map(place);
    if (path.length === 1) segment(bitmap, path[0], path[0], radius);
    for (let i = 1; i < path.length; i++) segment(bitmap, path[i - 1], path[i], radius);
  }

  const pad = padding(bitmap);
  const framed = (start, length, before) => {
    const pixel = (length + 2 * before) / INNER; // a pixel of the image, in pixels of the bitmap
    const first = -before - BORDER * pixel - radius;
    return [start + first / scale, (SIDE * pixel) / scale];
  };
  const [left, width] = framed(box.left, bitmap.width, pad.left);
  const [top, height] = framed(box.top, bitmap.height, pad.top);
  return { image: normalize(bitmap), frame: { left, top, width, height } };
}
