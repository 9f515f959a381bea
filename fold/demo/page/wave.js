// The waveform, with the words where they were heard.

const HEIGHT = 120, LABELS = 26; // of the picture and of its words, in CSS pixels

/** Draws samples and words on a canvas of any width. */
export function draw(canvas, samples, sampleRate, words) {
  const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth;
  canvas.width = width * ratio;
  canvas.height = HEIGHT * ratio;
  const context = canvas.getContext("2d"), style = getComputedStyle(canvas);
  const colour = (name) => style.getPropertyValue(name);
  context.scale(ratio, ratio);
  const seconds = Math.max(samples.length / sampleRate, 1e-3);
  drawWords(context, words, (time) => (time / seconds) * width, colour, style.fontFamily);
  drawSamples(context, samples, width, colour("--wave"));
  const told = `${seconds.toFixed(1)} seconds, ${words.length} ${words.length === 1 ? "word" : "words"}`;
  canvas.setAttribute("aria-label", samples.length ? `Waveform: ${told}` : "Waveform: nothing yet");
}

function drawSamples(context, samples, width, colour) {
  const middle = (HEIGHT - LABELS) / 2;
  let peak = 0.05;
  for (const value of samples) peak = Math.max(peak, Math.abs(value));
  context.fillStyle = colour;
  for (let x = 0; x < width; x++) {
    const [begin, end] = [x, x + 1].map((place) => Math.floor((place * samples.length) / width));
    let low = 0, high = 0;
    for (let i = begin; i < end; i++) { low = Math.min(low, samples[i]); high = Math.max(high, samples[i]); }
    const top = middle - (high / peak) * middle * 0.95, bottom = middle - (low / peak) * middle * 0.95;
    context.fillRect(x, top, 1, Math.max(bottom - top, 1));
  }
}

function drawWords(context, words, place, colour, font) {
  context.font = `600 12px ${font}`;
  context.textAlign = "center";
  let free = 0; // where the next word has room
  for (const { text, start, end } of words) {
    const [left, right] = [place(start), place(end)];
    context.fillStyle = colour("--band");
    context.fillRect(left, 0, Math.max(right - left, 2), HEIGHT - LABELS);
    const middle = (left + right) / 2, half = context.measureText(text).width / 2;
    if (middle - half < free) continue;
    context.fillStyle = colour("--ink");
    context.fillText(text, middle, HEIGHT - 9);
    free = middle + half + 6;
  }
}
