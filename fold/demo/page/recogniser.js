// The model of the folder `model/`: any depth, at each call; recordings of any length, an utterance at a time.

import { bestPath, Units } from "./words.js";
import { RECORDED, utterances } from "./sound.js";

const FAVOURITE = "int8";

export class Recogniser {
  /** Reads the description; `use` loads weights. */
  static async open() {
    const answer = await fetch("model/model.json");
    if (!answer.ok) throw new Error(`model/model.json: ${answer.status} ${answer.statusText}`);
    return new Recogniser(await answer.json());
  }

  constructor(description) {
    this.description = description;
    this.units = new Units(description.units, description.joiner);
    this.worker = new Worker("worker.js", { type: "module" });
    this.waiting = new Map();
    this.worker.onmessage = ({ data: { id, answer, error } }) => {
      const { resolve, reject } = this.waiting.get(id);
      this.waiting.delete(id);
      if (error === undefined) resolve(answer);
      else reject(new Error(error));
    };
    this.worker.onerror = ({ message }) => {
      for (const { reject } of this.waiting.values()) reject(new Error(message ?? "the worker failed"));
      this.waiting.clear();
    };
  }

  get sampleRate() { return this.description.sample_rate; }
  get depths() { return Object.keys(this.description.depths).map(Number).sort((a, b) => a - b); }
  get precisions() { return Object.keys(this.description.models); }
  get favourite() { return this.precisions.includes(FAVOURITE) ? FAVOURITE : this.precisions[0]; }

  /** How often each layer runs at a depth. */
  repeats(depth) { return this.description.depths[depth]; }

  /** Loads the weights of a precision, and runs them once: a browser compiles well only what it has seen run. */
  async use(precision) {
    await this.ask("open", this.description.models[precision]);
    await this.ask("run", { samples: new Float32Array(this.sampleRate), repeats: this.repeats(this.depths.at(-1)) });
  }

  /** What is said in samples, at the model's rate, in [-1, 1]: {text, words, seconds, took}. how: `RECORDED`, `LIVE`. */
  async transcribe(samples, depth, how = RECORDED) {
    const texts = [], words = [];
    let took = 0;
    for (const { start, piece } of utterances(samples, this.sampleRate, how)) {
      const run = await this.ask("run", { samples: piece, repeats: this.repeats(depth) });
      const symbols = bestPath(run.logProbs, run.frames, run.units);
      texts.push(this.units.text(symbols));
      words.push(...this.units.words(symbols, this.description.frame_seconds, start / this.sampleRate));
      took += run.took;
    }
    const text = texts.filter(Boolean).join(" ");
    return { text, words, seconds: samples.length / this.sampleRate, took };
  }

  ask(ask, what) {
    const id = crypto.randomUUID();
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, ask, what });
    });
  }
}
