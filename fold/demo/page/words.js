// From log-probabilities to text and words with times, as fold_device/words.py does it.

const BLANK = 0;
const SILENT = new Set(["<blank>", "<sos/eos>"]);
const WORD_START = "▁";
const UNKNOWN = "⁇";

/** The best unit of each frame, repeats merged, blanks dropped: {unit, first, last, logProb}. */
export function bestPath(logProbs, frames, units) {
  const symbols = [];
  let before = -1;
  for (let frame = 0; frame < frames; frame++) {
    const row = frame * units;
    let best = 0;
    for (let unit = 1; unit < units; unit++) if (logProbs[row + unit] > logProbs[row + best]) best = unit;
    const logProb = logProbs[row + best];
    if (best !== before && best !== BLANK) symbols.push({ unit: best, first: frame, last: frame, logProb });
    if (best === before && best !== BLANK) {
      const symbol = symbols.at(-1);
      symbol.last = frame;
      symbol.logProb = Math.max(symbol.logProb, logProb);
    }
    before = best;
  }
  return symbols;
}

export class Units {
  /** texts: of each output of the model; joiner: "characters" or "sentencepiece". */
  constructor(texts, joiner) {
    this.texts = texts.map((text) => (SILENT.has(text) ? "" : text));
    this.joiner = joiner;
  }

  /** The text of symbols. */
  text(symbols) {
    let texts = symbols.map(({ unit }) => this.texts[unit]);
    if (this.joiner === "sentencepiece")
      texts = texts.map((text) => (text === UNKNOWN ? ` ${text} ` : text.replaceAll(WORD_START, " ")));
    return texts.join("").split(/\s+/).join(" ").trim();
  }

  /** Words: {text, start, end, confidence}, times in seconds; offset: that of the first frame. */
  words(symbols, frameSeconds, offset) {
    const groups = [[]];
    for (const symbol of symbols) {
      const text = this.texts[symbol.unit];
      if (text.startsWith(" ") || text.startsWith(WORD_START)) groups.push([]);
      if (text.replaceAll(WORD_START, "").trim()) groups.at(-1).push(symbol);
      if (text.endsWith(" ")) groups.push([]);
    }
    return groups.filter((group) => group.length).map((group) => ({
      text: group.map(({ unit }) => this.texts[unit]).join("").replaceAll(WORD_START, "").trim(),
      start: offset + group[0].first * frameSeconds,
      end: offset + (group.at(-1).last + 1) * frameSeconds,
      confidence: Math.exp(group.reduce((sum, { logProb }) => sum + logProb, 0) / group.length),
    }));
  }
}
