// Starts the network's thread, and asks it.

import { load, manifest } from "./assets.js";
import { SIDE } from "./normalize.js";

const PARTS = ["runtime", "network", "characters", "strokes", "font"];

/** What this browser lacks for the page, by name; empty if nothing. */
export function lacking() {
  return ["WebAssembly", "Worker", "DecompressionStream"].filter((name) => !(name in globalThis));
}

/** Everything the page needs, as {name: Uint8Array}; `onProgress(bytes, of)`. */
export async function fetchAll(onProgress) {
  const files = await manifest();
  const total = PARTS.reduce((sum, name) => sum + files[name].stored, 0);
  const arrived = {};
  let failed = false; // while one download has failed, the others may still go on
  const counting = (name) => (bytes) => {
    arrived[name] = bytes;
    if (!failed) onProgress(Object.values(arrived).reduce((a, b) => a + b), total);
  };
  const contents = await Promise.all(PARTS.map((name) => load(name, counting(name)))).catch(
    (error) => {
      failed = true;
      throw error;
    },
  );
  return Object.fromEntries(PARTS.map((name, i) => [name, contents[i]]));
}

/** A function: images, each Uint8Array of 96 x 96 -> a reading of each. */
export async function startNetwork({ runtime, network }) {
  const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  const waiting = new Map();
  let last = 0;
  const ask = (message, transfer) =>
    new Promise((resolve, reject) => {
      waiting.set(++last, { resolve, reject });
      worker.postMessage({ id: last, ...message }, transfer);
    });
  worker.onmessage = ({ data: { id, answer, error } }) => {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) resolve(answer);
    else reject(new Error(error));
  };
  worker.onerror = (event) => {
    event.preventDefault();
    for (const { reject } of waiting.values())
      reject(new Error(event.message || "the network's thread could not be loaded"));
    waiting.clear();
  };
  try {
    await ask({ runtime, network }, [runtime.buffer, network.buffer]);
  } catch (error) {
    worker.terminate();
    throw error;
  }
  return async (images) => {
    const all = new Uint8Array(images.length * SIDE * SIDE);
    images.forEach((image, i) => all.set(image, i * SIDE * SIDE));
    const { probabilities, classes, maps, mapSide } = await ask(
      { images: all, side: SIDE }, [all.buffer],
    );
    const part = (values, i) => {
      const length = values.length / images.length;
      return values.slice(i * length, (i + 1) * length);
    };
    return images.map((_, i) => {
      const best = part(classes, i);
      const cells = part(maps, i);
      const size = mapSide * mapSide;
      const mapOf = (label) => {
        const place = best.indexOf(label);
        return place < 0 ? null : cells.slice(place * size, (place + 1) * size);
      };
      return { probabilities: part(probabilities, i), best, mapOf, mapSide };
    });
  };
}
