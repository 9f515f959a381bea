// ONNX Runtime in a thread of its own, so that the page stays awake. One session at a time.

import * as ort from "./runtime/ort.wasm.bundle.min.mjs";

ort.env.logLevel = "error";
ort.env.wasm.numThreads = 1; // more need headers that not every static server can send
ort.env.wasm.wasmPaths = { wasm: new URL("./runtime/ort-wasm-simd-threaded.wasm", import.meta.url).href };

let session = null;

const bytes = async (file) => {
  const answer = await fetch(new URL(file, import.meta.url));
  if (!answer.ok) throw new Error(`${file}: ${answer.status} ${answer.statusText}`);
  return new Uint8Array(await answer.arrayBuffer());
};

const open = async ({ file, data }) => {
  const [graph, weights] = await Promise.all([bytes(`model/${file}`), data ? bytes(`model/${data}`) : null]);
  await session?.release();
  const externalData = weights ? [{ path: data, data: weights }] : [];
  session = await ort.InferenceSession.create(graph, { externalData, executionProviders: ["wasm"] });
  return {};
};

const int64 = (values) => new ort.Tensor("int64", BigInt64Array.from(values, BigInt), [values.length]);

const run = async ({ samples, repeats }) => {
  const waveforms = new ort.Tensor("float32", samples, [1, samples.length]);
  const begun = performance.now();
  const output = await session.run({ waveforms, num_samples: int64([samples.length]), repeats: int64(repeats) });
  const took = (performance.now() - begun) / 1000;
  const [, , units] = output.log_probs.dims;
  return { logProbs: output.log_probs.data, frames: Number(output.num_frames.data[0]), units, took };
};

self.onmessage = async ({ data: { id, ask, what } }) => {
  try {
    self.postMessage({ id, answer: await { open, run }[ask](what) });
  } catch (error) {
    self.postMessage({ id, error: String(error.message ?? error).split("\n")[0] });
  }
};
