// What each stroke of a taught character is worth to the network: the character is drawn from its
// template and read, whole and without each of its strokes in turn.

import { seen } from "./ink.js";

const AT_ONCE = 2; // images in one go: a new drawing never waits long for its turn
const LEAST = 1e-12; // probabilities below are as good as 0
const known = new Map();

/**
 * {whole, without: [...]}: the probability of `label`, with all strokes and without each.
 * Before each step it awaits `wanted()`; null if that says false.
 */
export async function probabilitiesWithout(label, strokes, network, wanted) {
  if (!known.has(label)) {
    const images = [seen(strokes).image];
    strokes.forEach((_, i) => images.push(seen(strokes.filter((_, j) => j !== i), strokes).image));
    const found = [];
    while (found.length < images.length) {
      if (!(await wanted())) return null;
      const readings = await network(images.slice(found.length, found.length + AT_ONCE));
      found.push(...readings.map(({ probabilities }) => probabilities[label]));
    }
    known.set(label, { whole: found[0], without: found.slice(1) });
  }
  return (await wanted()) ? known.get(label) : null;
}

/** By how much the logarithm of the probability falls, on a scale on which the most is 1. */
export function worth({ whole, without }) {
  const log = (probability) => Math.log(Math.max(probability, LEAST));
  const falls = without.map((probability) => log(whole) - log(probability));
  // Where no stroke halves the probability, none gets the deepest colour.
  const most = Math.max(Math.log(2), ...falls.map(Math.abs));
  return falls.map((fall) => fall / most);
}
