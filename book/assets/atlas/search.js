// Finding characters: by themselves, by pinyin, by GB code, by their number of strokes.

const CODE = /^[b-d][0-9a-f][a-f][0-9a-f]$/;
const CHINESE = /\p{Script=Han}/u;
const MARKS = "\u0304\u0301\u030c\u0300"; // of the first to the fourth tone

/** The code of a character in GB2312, as four hexadecimal digits; labels run through its rows. */
export function codeOf(label) {
  const byte = (value) => (0xa1 + value).toString(16).toUpperCase();
  return byte(15 + Math.floor(label / 94)) + byte(label % 94);
}

/** A syllable in lower case as letters without tone, and its tone: 1 to 4, or 0 for none. */
function sounds(syllable) {
  let tone = 0;
  const letters = [...syllable.normalize("NFD")].filter((each) => {
    if (!MARKS.includes(each)) return true;
    tone = MARKS.indexOf(each) + 1;
    return false;
  });
  return [letters.join("").normalize("NFC"), tone];
}

/** What a word of a query asks for: {kind, ...}; several kinds where it can be read both ways. */
function meaning(word) {
  if (CHINESE.test(word)) return { kind: "characters", symbols: [...word] };
  if (/^\d+$/.test(word)) return { kind: "strokes", count: Number(word) };
  if (CODE.test(word)) return { kind: "code", code: word.toUpperCase() };
  const [letters, mark] = sounds(word.replace(/u:|v/, "ü"));
  const [, syllable, digit] = /^(.*?)([1-5]?)$/.exec(letters);
  return { kind: "pinyin", syllable, tone: mark || (digit ? Number(digit) % 5 : null) };
}

export class Index {
  constructor({ text, readings, strokes, shelf, side }) {
    this.symbols = [...text];
    this.readings = readings.map((each) => each.split("/"));
    this.strokes = strokes;
    this.shelf = shelf;
    this.side = side;
    this.labelOf = new Map(this.symbols.map((symbol, label) => [symbol, label]));
    this.sounds = this.readings.map((each) => each.map(sounds));
  }

  /**
   * The labels of the characters that have all that is asked for, in the order of GB2312; those
   * that are rarely read as is asked come last.
   */
  find(query) {
    const text = query.toLowerCase().replace(/\b([b-d][0-9a-f]) ([a-f][0-9a-f])\b/, "$1$2");
    const words = text.split(/[\s,;·]+/).filter((word) => word && !/^strokes?$/.test(word));
    const all = this.symbols.map((_, label) => label);
    return words.length
      ? words.reduce((labels, word) => this.#having(labels, meaning(word)), all)
      : [];
  }

  #having(labels, { kind, symbols, count, code, syllable, tone }) {
    if (kind === "characters") return labels.filter((i) => symbols.includes(this.symbols[i]));
    if (kind === "strokes") return labels.filter((i) => this.strokes[i] === count);
    if (kind === "code") return labels.filter((i) => codeOf(i) === code);
    const read = (fits) => {
      const asked = ([letters, its]) => fits(letters) && (tone === null || its === tone);
      const usual = labels.filter((i) => asked(this.sounds[i][0]));
      const rarer = labels.filter((i) => !asked(this.sounds[i][0]) && this.sounds[i].some(asked));
      return [...usual, ...rarer];
    };
    const whole = read((letters) => letters === syllable);
    return whole.length ? whole : read((letters) => letters.startsWith(syllable));
  }
}
