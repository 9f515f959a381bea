// Sound as samples: files, the microphone, pauses.

// How utterances are found: see fold_device/cutting.py.
const HOP_SECONDS = 0.02;
const EMPHASIS = 0.5;
const SMOOTH_HOPS = 3;
const NOTHING = -80;
const SPEECH = 6;
const FLOOR_SECONDS = 5;
const AROUND_SECONDS = 0.3;
const QUIET_SHARE = 0.02;
const FAINT = 15;
const SHORTEST_SECONDS = 0.1;
const LULL_SECONDS = 0.3;
const LONGEST_SECONDS = 30;

/** Seconds of quiet that end an utterance, and seconds that are heard before it is told what is speech. */
export const RECORDED = { pause: 0.3, ahead: 5 }, LIVE = { pause: 0.6, ahead: 0 };

/** The samples of an audio file, channels averaged, at a rate in Hz. */
export async function decode(bytes, sampleRate) {
  const context = new OfflineAudioContext(1, 1, sampleRate);
  let sound;
  try {
    sound = await context.decodeAudioData(bytes);
  } catch {
    throw new Error("this file is no audio that this browser can read");
  }
  const samples = new Float32Array(sound.length);
  for (let channel = 0; channel < sound.numberOfChannels; channel++) {
    const values = sound.getChannelData(channel);
    for (let i = 0; i < samples.length; i++) samples[i] += values[i] / sound.numberOfChannels;
  }
  return samples;
}

/** Samples at another rate. */
export async function resample(samples, before, after) {
  const length = Math.round((samples.length * after) / before);
  if (before === after || !length) return before === after ? samples : new Float32Array(0);
  const context = new OfflineAudioContext(1, length, after);
  const buffer = context.createBuffer(1, samples.length, before);
  buffer.copyToChannel(samples, 0);
  const source = new AudioBufferSourceNode(context, { buffer });
  source.connect(context.destination);
  source.start();
  return (await context.startRendering()).getChannelData(0);
}

/** The microphone, from `start` to `stop`; `samples` is what was heard so far, at the rate of the hardware. */
export class Microphone {
  constructor() { this.blocks = []; this.length = 0; }

  async start() {
    const constraints = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    this.stream = await navigator.mediaDevices.getUserMedia({ audio: constraints });
    this.context = new AudioContext();
    this.sampleRate = this.context.sampleRate;
    await this.context.audioWorklet.addModule("capture.js");
    this.node = new AudioWorkletNode(this.context, "capture", { numberOfOutputs: 0 });
    this.node.port.onmessage = ({ data }) => { this.blocks.push(data); this.length += data.length; };
    this.context.createMediaStreamSource(this.stream).connect(this.node);
    await this.context.resume();
  }

  /** What was heard from a place on, in samples of the hardware. */
  since(place) {
    const heard = new Float32Array(Math.max(this.length - place, 0));
    let at = -place;
    for (const block of this.blocks) {
      if (at + block.length > 0) heard.set(at < 0 ? block.subarray(-at) : block, Math.max(at, 0));
      at += block.length;
    }
    return heard;
  }

  async stop() {
    this.node?.port.close();
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    await this.context?.close();
  }
}

/** Speech between pauses, as fold_device/cutting.py finds it: {start, piece, ended}; the last may not have ended. */
export function* utterances(samples, sampleRate, { pause, ahead }) {
  const hop = Math.max(Math.round(HOP_SECONDS * sampleRate), 1), around = hops(AROUND_SECONDS);
  const { levels, loud } = judged(samples, hop, hops(ahead));
  const utterance = function* (begin, end, ended) {
    let [first, last] = [begin, end - 1];
    while (first <= last && !loud[first]) first++;
    while (first <= last && !loud[last]) last--;
    if (first > last) return;
    const faint = quantile(levels.slice(first, last + 1), QUIET_SHARE) - FAINT;
    [first, last] = [begin, end - 1];
    while (levels[first] < faint) first++;
    while (levels[last] < faint) last--;
    const piece = samples.slice(first * hop, (last + 1) * hop);
    if (piece.length >= SHORTEST_SECONDS * sampleRate) yield { start: first * hop, piece, ended };
  };
  let begin = 0, quiet = 0;
  for (let i = 0; i < levels.length; i++) {
    quiet = loud[i] ? 0 : quiet + 1;
    const held = i + 1 - begin;
    let end;
    if (quiet === held) end = Math.max(held - around, 0);
    else if ((quiet + 1) * HOP_SECONDS >= pause) end = held - Math.max(quiet - around, 0);
    else if (held * HOP_SECONDS >= LONGEST_SECONDS) end = lull(levels.slice(begin, i + 1));
    else continue;
    yield* utterance(begin, begin + end, true);
    [begin, quiet] = [begin + end, Math.min(quiet, held - end)];
  }
  yield* utterance(begin, levels.length - Math.max(quiet - around, 0), false);
}

const hops = (seconds) => Math.round(seconds / HOP_SECONDS);
const decibels = (energy) => 10 * Math.log10(energy + 1e-12);

/** The level of each hop, and whether it is speech. */
function judged(samples, hop, ahead) {
  const energies = [], smooth = [], floors = [];
  for (let begin = 0; begin < samples.length; begin += hop) {
    energies.push(energy(samples.subarray(begin, begin + hop)));
    const recent = energies.slice(-SMOOTH_HOPS);
    smooth.push(decibels(recent.reduce((sum, value) => sum + value) / recent.length));
    const sounds = recent.length === SMOOTH_HOPS && decibels(Math.min(...recent)) > NOTHING;
    floors.push(sounds ? smooth.at(-1) : Infinity);
  }
  const levels = energies.map(decibels);
  const loud = levels.map((level, i) => {
    const floor = Math.min(...floors.slice(Math.max(i - hops(FLOOR_SECONDS), 0), i + ahead + 1));
    return Math.min(level, smooth[i]) >= floor + SPEECH;
  });
  return { levels, loud };
}

function energy(samples) {
  const mean = samples.reduce((sum, value) => sum + value, 0) / samples.length;
  let sum = 0;
  for (let i = 1; i < samples.length; i++) sum += (samples[i] - mean - EMPHASIS * (samples[i - 1] - mean)) ** 2;
  return sum / samples.length;
}

function quantile(values, share) {
  const sorted = values.sort((a, b) => a - b), place = (sorted.length - 1) * share, below = Math.floor(place);
  return sorted[below] + (place - below) * (sorted[Math.min(below + 1, sorted.length - 1)] - sorted[below]);
}

/** Where to cut in the second half of some hops: the middle of the quietest 0.3 s, the last of several. */
function lull(levels) {
  const half = Math.floor(levels.length / 2), width = Math.min(hops(LULL_SECONDS), levels.length - half);
  let best = half, least = Infinity;
  for (let i = half; i + width <= levels.length; i++) {
    const sum = levels.slice(i, i + width).reduce((total, level) => total + level, 0);
    if (sum <= least) [best, least] = [i, sum];
  }
  return best + Math.floor(width / 2);
}

/** Samples as a WAV file of 16 bits. */
export function wav(samples, sampleRate) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (place, letters) => [...letters].forEach((letter, i) => view.setUint8(place + i, letter.charCodeAt(0)));
  text(0, "RIFF"); view.setUint32(4, 36 + 2 * samples.length, true); text(8, "WAVEfmt ");
  view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
  view.setUint32(24, sampleRate, true); view.setUint32(28, 2 * sampleRate, true);
  view.setUint16(32, 2, true); view.setUint16(34, 16, true); text(36, "data"); view.setUint32(40, 2 * samples.length, true);
  samples.forEach((value, i) => view.setInt16(44 + 2 * i, Math.max(-1, Math.min(1, value)) * 32767, true));
  return new Blob([view], { type: "audio/wav" });
}
