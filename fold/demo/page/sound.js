// Sound as samples: files, the microphone, pauses.

const HOP_SECONDS = 0.02;
const PAUSE_SECONDS = 0.3; // over which the quietest place of a long recording is sought
const END_SECONDS = 0.6; // of quiet that end an utterance
const AROUND_SECONDS = 0.2; // of quiet kept before and after
const FLOOR_SECONDS = 5; // in which the quietest tells how loud speech must be
const LONGEST_SECONDS = 30;

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

/** Pieces {start, piece} of at most 30 s, cut where the second half of each is quietest. */
export function* cutAtPauses(samples, sampleRate) {
  const longest = Math.round(LONGEST_SECONDS * sampleRate);
  let start = 0;
  while (samples.length - start > longest) {
    const half = Math.floor(longest / 2);
    const cut = half + quietest(samples.subarray(start + half, start + longest), sampleRate);
    yield { start, piece: samples.slice(start, start + cut) };
    start += cut;
  }
  yield { start, piece: samples.slice(start) };
}

/** Speech between pauses, as fold_device/cutting.py finds it: {start, piece, ended}; the last may not have ended. */
export function* utterances(samples, sampleRate) {
  const hop = Math.round(HOP_SECONDS * sampleRate), hops = (seconds) => Math.round(seconds / HOP_SECONDS);
  const levels = [];
  let begin = 0, quiet = 0, spoken = false;
  for (let i = 0; (i + 1) * hop <= samples.length; i++) {
    levels.push(10 * Math.log10(energy(samples, i * hop, hop) / hop + 1e-12));
    const floor = Math.min(...levels.slice(-hops(FLOOR_SECONDS) - 1));
    const loud = levels[i] > Math.max(floor + 10, -60);
    quiet = loud ? 0 : quiet + 1;
    spoken ||= loud;
    if (!spoken) begin = Math.max(begin, i + 1 - hops(AROUND_SECONDS));
    else if (quiet >= hops(END_SECONDS) || i + 1 - begin >= hops(LONGEST_SECONDS)) {
      const end = i + 1 - Math.max(quiet - hops(AROUND_SECONDS), 0);
      yield { start: begin * hop, piece: samples.slice(begin * hop, end * hop), ended: true };
      [begin, quiet, spoken] = [Math.max(end, i + 1 - hops(AROUND_SECONDS)), 0, false];
    }
  }
  const end = levels.length - Math.max(quiet - hops(AROUND_SECONDS), 0);
  if (spoken) yield { start: begin * hop, piece: samples.slice(begin * hop, end * hop), ended: false };
}

function energy(samples, begin, count) {
  let sum = 0;
  for (let i = begin; i < begin + count; i++) sum += samples[i] * samples[i];
  return sum;
}

/** The middle of the quietest 0.3 s, the last of several. */
function quietest(samples, sampleRate) {
  const hop = Math.max(Math.round(HOP_SECONDS * sampleRate), 1);
  const count = Math.floor(samples.length / hop);
  const width = Math.min(Math.round(PAUSE_SECONDS / HOP_SECONDS), count);
  if (!width) return samples.length;
  const sums = new Float64Array(count + 1);
  for (let i = 0; i < count; i++) sums[i + 1] = sums[i] + energy(samples, i * hop, hop);
  let last = 0;
  for (let i = 0; i + width <= count; i++) if (sums[i + width] - sums[i] <= sums[last + width] - sums[last]) last = i;
  return (last + Math.floor(width / 2)) * hop;
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
