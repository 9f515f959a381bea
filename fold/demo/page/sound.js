// Sound as samples: files, the microphone, pauses.

const HOP_SECONDS = 0.02;
const PAUSE_SECONDS = 0.3;

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

/** Pieces {start, piece} of at most `seconds`, cut where the second half of each is quietest. */
export function* cutAtPauses(samples, sampleRate, seconds) {
  const longest = Math.round(seconds * sampleRate);
  let start = 0;
  while (samples.length - start > longest) {
    const half = Math.floor(longest / 2);
    const cut = half + quietest(samples.subarray(start + half, start + longest), sampleRate);
    yield { start, piece: samples.slice(start, start + cut) };
    start += cut;
  }
  yield { start, piece: samples.slice(start) };
}

/** The middle of the quietest 0.3 s, the last of several. */
export function quietest(samples, sampleRate) {
  const hop = Math.max(Math.round(HOP_SECONDS * sampleRate), 1);
  const count = Math.floor(samples.length / hop);
  const width = Math.min(Math.round(PAUSE_SECONDS / HOP_SECONDS), count);
  if (!width) return samples.length;
  const sums = new Float64Array(count + 1);
  for (let i = 0; i < count; i++) {
    let energy = 0;
    for (let k = i * hop; k < (i + 1) * hop; k++) energy += samples[k] * samples[k];
    sums[i + 1] = sums[i] + energy;
  }
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
