// What the page knows of the 3,755 characters: their reading, and how their strokes are taught.

export function unpack(characters, strokes) {
  const { text, pinyin } = JSON.parse(new TextDecoder().decode(characters));
  const symbols = [...text];
  const templates = templatesOf(strokes, symbols.length);
  return { symbols, pinyin, templates, labelOf: new Map(symbols.map((each, i) => [each, i])) };
}

/** Sets of equally long pieces are packed one after the other; see book/draw.py. */
export function templatesOf(strokes, characters) {
  const perCharacter = strokes.subarray(0, characters);
  const pieces = perCharacter.reduce((a, b) => a + b, 0);
  const perStroke = strokes.subarray(characters, characters + pieces);
  const points = perStroke.reduce((a, b) => a + b, 0);
  const start = characters + pieces;
  const axis = (from) => {
    let at = 0; // each byte is the step from the one before
    return Float32Array.from(strokes.subarray(from, from + points), (step) => {
      at = (at + step) & 255;
      return (at / 255) * 1.2 - 0.1;
    });
  };
  const [x, y] = [axis(start), axis(start + points)];

  const templates = [];
  let [stroke, point] = [0, 0];
  for (const count of perCharacter) {
    const template = [];
    for (let i = 0; i < count; i++) {
      const length = perStroke[stroke++];
      template.push(Array.from({ length }, (_, j) => [x[point + j], y[point + j]]));
      point += length;
    }
    templates.push(template);
  }
  return templates;
}
