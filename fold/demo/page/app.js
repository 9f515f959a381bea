// What the page does: sound in, words out, at the depth of the slider.

import { Recogniser } from "./recogniser.js";
import { decode, LIVE, Microphone, RECORDED, resample, utterances, wav } from "./sound.js";
import { draw } from "./wave.js";

const LOOK_EVERY_MS = 400; // while recording
const DOUBTFUL = 0.6; // confidence below which a word is marked

const $ = (id) => document.getElementById(id);
const page = { samples: new Float32Array(0), how: RECORDED, words: [], rate: 16000, microphone: null };
let recogniser, sentences = [], asked = 0;

async function begin() {
  window.addEventListener("resize", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  $("another").addEventListener("click", another);
  $("depth").addEventListener("input", () => { showDepth(); rerun(); });
  $("precision").addEventListener("change", () => guarded(async () => { await load(); await rerun(); }));
  $("record").addEventListener("click", () => guarded(page.microphone ? stop : record));
  $("file").addEventListener("change", () => guarded(openFile));
  $("compare").addEventListener("click", () => guarded(compare));
  redraw();
  await guarded(async () => {
    sentences = await (await fetch("sentences.json")).json();
    another();
    recogniser = await Recogniser.open();
    page.rate = recogniser.sampleRate;
    offer();
    await load();
    for (const id of ["depth", "record", "file"]) $(id).disabled = false;
    document.body.dataset.ready = "true";
  });
}

/** Runs something; what goes wrong is said. */
async function guarded(action) {
  $("alert").textContent = "";
  try {
    await action();
  } catch (error) {
    $("alert").textContent = `${error.message ?? error}`;
  }
}

function another() {
  $("sentence").textContent = sentences.length ? sentences[Math.floor(Math.random() * sentences.length)] : "anything";
}

/** Fills in what there is to choose. */
function offer() {
  const depths = recogniser.depths;
  Object.assign($("depth"), { min: depths[0], max: depths.at(-1), value: depths.at(-1) });
  for (const name of recogniser.precisions) $("precision").add(new Option(name, name, false, name === recogniser.favourite));
  $("precision-choice").hidden = recogniser.precisions.length < 2;
  showDepth();
}

async function load() {
  const name = $("precision").value, { max_repeats: limits, models } = recogniser.description;
  $("facts").textContent = "Loading the model …";
  await recogniser.use(name);
  const [first, last] = [recogniser.depths[0], recogniser.depths.at(-1)];
  $("facts").textContent =
    `${limits.length} layers of weights, depth ${first} to ${last}, ${(models[name].bytes / 1e6).toFixed(1)} MB in ${name}`;
}

function depth() {
  return recogniser.depths.reduce((a, b) => (Math.abs(b - $("depth").value) < Math.abs(a - $("depth").value) ? b : a));
}

function showDepth() {
  const repeats = recogniser.repeats(depth());
  const calls = repeats.flatMap((times, layer) => Array(times).fill(layer));
  $("depth-value").textContent = `${depth()} of ${recogniser.depths.at(-1)}`;
  $("depth").setAttribute("aria-valuetext", `${depth()} layers deep, ${repeats.length} of them with weights of their own`);
  $("path").setAttribute("aria-label", `Layers in the order in which they run: ${calls.map((layer) => layer + 1).join(", ")}`);
  $("path").replaceChildren(...calls.map((layer) => {
    const box = document.createElement("span");
    box.textContent = layer + 1;
    box.style.background = `var(--layer-${layer % 6})`;
    return box;
  }));
}

/** Recognises what is there anew. Of several calls in a row the last one counts. */
async function rerun() {
  if (!page.samples.length || page.microphone) return;
  const mine = ++asked, chosen = depth();
  $("state").textContent = "computing …";
  const said = await recogniser.transcribe(page.samples, chosen, page.how);
  if (mine !== asked) return;
  show(said);
  $("state").textContent = `at depth ${chosen}`;
  $("spoken").textContent = said.text ? `Heard at depth ${chosen}: ${said.text}` : "Heard nothing";
}

function show({ text, words, seconds, took }) {
  page.words = words;
  $("words").dataset.text = text;
  const shown = words.flatMap((word) => [wordButton(word), " "]);
  $("words").replaceChildren(...(words.length ? shown : [quiet("nothing was understood")]));
  $("seconds").textContent = `${seconds.toFixed(1)} s`;
  $("took").textContent = `${(took * 1000).toFixed(0)} ms`;
  $("factor").textContent = page.microphone ? "–" : (took / Math.max(seconds, 1e-3)).toFixed(4);
  redraw();
}

function wordButton({ text, start, end, confidence }) {
  const button = document.createElement("button");
  const sure = `${Math.round(confidence * 100)} % sure`;
  button.textContent = text;
  button.className = confidence < DOUBTFUL ? "doubtful" : "";
  button.title = `${start.toFixed(2)} to ${end.toFixed(2)} s, ${sure}`;
  button.setAttribute("aria-label", `${text}, at ${start.toFixed(1)} seconds, ${sure}: play from here`);
  Object.assign(button.dataset, { start, end, confidence });
  button.addEventListener("click", () => { $("player").currentTime = start; $("player").play(); });
  return button;
}

function quiet(text) {
  const span = document.createElement("span");
  span.className = "quiet";
  span.textContent = text;
  return span;
}

function redraw() {
  draw($("wave"), page.samples, page.rate, page.words);
}

/** Takes a finished recording. how: its utterances are found. */
async function take(samples, how) {
  if (!samples.length) throw new Error("there is no sound in it");
  Object.assign(page, { samples, how, words: [] });
  URL.revokeObjectURL($("player").src);
  Object.assign($("player"), { src: URL.createObjectURL(wav(samples, page.rate)), hidden: false });
  $("compare").disabled = false;
  $("table").hidden = true;
  await rerun();
}

async function openFile() {
  const [file] = $("file").files;
  if (!file) return;
  await take(await decode(await file.arrayBuffer(), page.rate), RECORDED);
  $("file").value = ""; // so that the same file can be opened again
}

async function record() {
  const microphone = new Microphone();
  try {
    await microphone.start();
  } catch (error) {
    await microphone.stop();
    throw new Error(`the microphone cannot be heard: ${error.message}`);
  }
  page.microphone = microphone;
  Object.assign($("record"), { textContent: "Stop", ariaPressed: "true" });
  $("file").disabled = true;
  $("state").textContent = "listening …";
  look(microphone, { settled: [], place: 0 });
}

/** Shows what was heard so far, again and again. settled: words of utterances that a pause has ended; place: where the
 * rest begins, in samples of the hardware. */
async function look(microphone, { settled, place }) {
  if (page.microphone !== microphone) return;
  const before = microphone.sampleRate, ratio = before / page.rate, from = place;
  try {
    const open = await resample(microphone.since(from), before, page.rate), words = [];
    let took = 0;
    for (const { start, piece, ended } of utterances(open, page.rate, LIVE)) {
      const said = await recogniser.transcribe(piece, depth());
      const offset = from / before + start / page.rate;
      words.push(...said.words.map((word) => ({ ...word, start: word.start + offset, end: word.end + offset })));
      took += said.took;
      if (ended) [settled, place] = [[...settled, ...words.splice(0)], from + Math.round((start + piece.length) * ratio)];
    }
    if (page.microphone !== microphone) return;
    page.samples = await resample(microphone.since(0), before, page.rate);
    const all = [...settled, ...words];
    show({ words: all, text: all.map((word) => word.text).join(" "), seconds: page.samples.length / page.rate, took });
  } catch (error) {
    $("alert").textContent = error.message;
  }
  setTimeout(() => look(microphone, { settled, place }), LOOK_EVERY_MS);
}

async function stop() {
  const microphone = page.microphone;
  page.microphone = null;
  Object.assign($("record"), { textContent: "Record", ariaPressed: "false" });
  $("file").disabled = false;
  $("state").textContent = "";
  await microphone.stop();
  await take(await resample(microphone.since(0), microphone.sampleRate, page.rate), LIVE);
}

/** What each depth makes of the recording. */
async function compare() {
  const { samples, how } = page, rows = [];
  $("compare").disabled = true;
  try {
    for (const each of recogniser.depths) {
      const said = await recogniser.transcribe(samples, each, how);
      const row = document.createElement("tr");
      for (const text of [each, said.text || "–", (said.took / said.seconds).toFixed(4)]) row.insertCell().textContent = text;
      rows.push(row);
    }
  } finally {
    $("compare").disabled = false;
  }
  $("table").tBodies[0].replaceChildren(...rows);
  $("table").hidden = false;
}

begin();
