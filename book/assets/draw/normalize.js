// From a bitmap to what the network reads: the same steps as hccr_lib/datasets/normalize.py.
// A test feeds the same bitmaps to both.

export const SIDE = 96;
export const BORDER = 4;
export const INNER = SIDE - 2 * BORDER;
const LARGEST_INTERPOLATED = (3 * INNER) / 2;
const LARGEST_SIDE = 2048;

// Both kinds of resizing are weighted sums along each axis. For every output pixel: which input
// pixels, and how much of each.

function linearTaps(from, to) {
  return Array.from({ length: to }, (_, i) => {
    const at = ((i + 0.5) * from) / to - 0.5;
    const low = Math.floor(at);
    const inside = (x) => Math.min(Math.max(x, 0), from - 1);
    return [
      [inside(low), 1 - (at - low)],
      [inside(low + 1), at - low],
    ];
  });
}

function areaTaps(from, to) {
  const scale = from / to;
  return Array.from({ length: to }, (_, i) => {
    const start = i * scale;
    const end = Math.min(start + scale, from);
    const taps = [];
    for (let x = Math.floor(start); x < end; x++) {
      const covered = Math.min(x + 1, end) - Math.max(x, start);
      taps.push([x, covered / (end - start)]);
    }
    return taps;
  });
}

function resize({ data, width, height }, toWidth, toHeight, taps) {
  const columns = taps(width, toWidth);
  const narrow = new Float64Array(height * toWidth);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < toWidth; x++)
      for (const [from, share] of columns[x])
        narrow[y * toWidth + x] += share * data[y * width + from];
  const out = new Uint8ClampedArray(toHeight * toWidth); // rounds what is assigned
  taps(height, toHeight).forEach((row, y) => {
    for (let x = 0; x < toWidth; x++) {
      let sum = 0;
      for (const [from, share] of row) sum += share * narrow[from * toWidth + x];
      out[y * toWidth + x] = sum;
    }
  });
  return { data: out, width: toWidth, height: toHeight };
}

/** How much a bitmap is padded on both sides of each axis; an odd pixel stays missing. */
export function padding({ width, height }) {
  const pad = Math.floor(Math.abs(height - width) / 2);
  return width > height ? { left: 0, top: pad } : { left: pad, top: 0 };
}

function padded(bitmap) {
  const { left, top } = padding(bitmap);
  if (!left && !top) return bitmap;
  const width = bitmap.width + 2 * left;
  const height = bitmap.height + 2 * top;
  const data = new Uint8Array(width * height).fill(255);
  for (let y = 0; y < bitmap.height; y++) {
    const row = bitmap.data.subarray(y * bitmap.width, (y + 1) * bitmap.width);
    data.set(row, (y + top) * width + left);
  }
  return { data, width, height };
}

/** {data: Uint8Array, width, height}, ink dark on 255 -> Uint8Array of 96 x 96, bright on 0. */
export function normalize(bitmap) {
  let longer = Math.max(bitmap.width, bitmap.height);
  if (longer > LARGEST_SIDE) {
    const size = (side) => Math.max(1, Math.round((side * LARGEST_SIDE) / longer));
    bitmap = resize(bitmap, size(bitmap.width), size(bitmap.height), areaTaps);
    longer = LARGEST_SIDE;
  }
  const taps = longer > LARGEST_INTERPOLATED ? areaTaps : linearTaps;
  const inner = resize(padded(bitmap), INNER, INNER, taps).data;
  const out = new Uint8Array(SIDE * SIDE);
  for (let y = 0; y < INNER; y++)
    for (let x = 0; x < INNER; x++)
      out[(y + BORDER) * SIDE + x + BORDER] = 255 - inner[y * INNER + x];
  return out;
}
