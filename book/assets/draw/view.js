// What a page says of a reading: candidates, sentences, and the strokes that can be erased.

export const percent = (probability) => {
  if (probability > 0 && probability < 0.0001) return "< 0.01\u00a0%";
  const digits = probability < 0.01 || probability > 0.999 ? 2 : 1;
  // 99.996 % is not 100.
  const floor = Math.floor(probability * 100 * 10 ** digits) / 10 ** digits;
  return `${floor.toFixed(digits)}\u00a0%`;
};

/** A row for each candidate, once: updated in place, a row that has the focus keeps it. */
export class Candidates {
  constructor(list, length, onChoose) {
    this.rows = Array.from({ length }, () => {
      const item = document.createElement("li");
      item.innerHTML =
        '<button type="button"><span class="draw-glyph" lang="zh-Hans"></span>' +
        '<span class="draw-pinyin" lang="zh-Latn"></span>' +
        '<span class="draw-bar"><span></span></span>' +
        '<span class="draw-percent"></span></button>';
      const row = item.firstChild;
      row.addEventListener("click", () => onChoose(Number(row.dataset.label)));
      list.append(item);
      return row;
    });
  }

  /**
   * `candidates`: {label, symbol, pinyin, probability, before}, at least as many as there are rows;
   * before is undefined if whole.
   */
  show(candidates, chosen) {
    this.rows.forEach((row, i) => {
      const { label, symbol, pinyin, probability, before } = candidates[i];
      const [glyph, sound, bar, number] = row.children;
      row.dataset.label = label;
      row.setAttribute("aria-pressed", label === chosen);
      glyph.textContent = symbol;
      sound.textContent = pinyin;
      bar.firstChild.style.width = `${100 * probability}%`;
      number.textContent = percent(probability);
      if (before !== undefined) {
        const was = document.createElement("small");
        was.textContent = `was ${percent(before)}`;
        number.append(" ", was);
      }
    });
  }
}

/** What is announced, and what a reader who does not see the page hears of it. */
export function sentence(candidates) {
  const [first, second] = candidates;
  const named = ({ symbol, pinyin, probability }) => `${symbol} ${pinyin}, ${percent(probability)}`;
  return `Read as ${named(first)}; then ${named(second)}.`;
}

export function doubt({ probability }) {
  if (probability >= 0.5) return "";
  return (
    `The network is not sure: even its best answer has only ${percent(probability)}. ` +
    "It knows 3,755 characters and must always name one of them, whatever you draw."
  );
}

/** A button for each stroke that was drawn, which erases it or puts it back. */
export function strokeButtons(group, strokes, onToggle) {
  while (group.children.length > strokes.length) group.lastChild.remove();
  while (group.children.length < strokes.length) {
    const button = document.createElement("button");
    const index = group.children.length;
    button.type = "button";
    button.textContent = index + 1;
    button.setAttribute("aria-label", `Erase stroke ${index + 1}`);
    button.addEventListener("click", () => onToggle(index));
    group.append(button);
  }
  strokes.forEach(({ erased }, i) => {
    group.children[i].setAttribute("aria-pressed", erased);
    group.children[i].title = erased ? "put it back" : "erase it";
  });
}
