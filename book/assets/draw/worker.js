// The network, in a thread of its own: the pen never waits for it.

import * as ort from "../draw-data/ort.js";

let session;

async function start({ runtime, network }) {
  ort.env.wasm.wasmBinary = runtime;
  ort.env.wasm.numThreads = 1; // several would need headers that a simple server does not send
  session = await ort.InferenceSession.create(network, { executionProviders: ["wasm"] });
}

async function read({ images, side }) {
  const n = images.length / (side * side);
  const input = new ort.Tensor("float32", Float32Array.from(images), [n, side, side, 1]);
  const { probabilities, classes, maps } = await session.run({ images: input });
  return {
    probabilities: probabilities.data,
    classes: Array.from(classes.data, Number),
    maps: maps.data,
    mapSide: maps.dims[3],
  };
}

onmessage = async ({ data }) => {
  try {
    postMessage({ id: data.id, answer: await (data.images ? read(data) : start(data)) });
  } catch (error) {
    postMessage({ id: data.id, error: String(error?.message ?? error) });
  }
};
