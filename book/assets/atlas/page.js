// The page "The atlas": look a character up, and show what the network sees in it.

import { load } from "../draw/assets.js";
import { templatesOf } from "../draw/characters.js";
import { Card } from "./card.js";
import { Index } from "./search.js";

const FOLDER = new URL("../atlas-data/", import.meta.url);
const AT_ONCE = 96; // characters that a search lists before it is asked for more

const part = (name) => document.getElementById(`atlas-${name}`);
const title = document.title;

/** A function that makes its value once; what failed is tried again by the next call. */
function once(make) {
  let made;
  return () => (made ??= make().catch((error) => ((made = undefined), Promise.reject(error))));
}

async function fetched(name) {
  const answer = await fetch(new URL(name, FOLDER));
  if (!answer.ok) throw new Error(`${name}: ${answer.status} ${answer.statusText}`);
  return answer;
}

const index = once(async () => new Index(await (await fetched("index.json")).json()));

// All characters in one font: the pages' own has only those in their text.
const font = once(async () => {
  document.fonts.add(await new FontFace("HCCR Level 1", await load("font")).load());
});

const card = once(async () => {
  const [known, strokes] = await Promise.all([index(), load("strokes")]);
  return new Card(known, templatesOf(strokes, known.symbols.length));
});

const shelves = new Map();

/** What is known of SHELF characters, and an image of their handwriting. */
function shelf(number) {
  const name = String(number).padStart(3, "0");
  const get = async () => {
    const image = new Image();
    image.src = new URL(`${name}.webp`, FOLDER);
    const [entries] = await Promise.all([fetched(`${name}.json`), image.decode()]);
    return { entries: await entries.json(), image };
  };
  if (!shelves.has(number)) shelves.set(number, once(get));
  return shelves.get(number)();
}

function failed(error) {
  part("found").textContent = `The atlas could not be loaded (${error.message}). Try again.`;
}

// Searching.

let asked = 0; // searches so far: an answer that comes too late is not shown

async function search(all = false) {
  const query = part("query").value.trim();
  const mine = ++asked;
  part("more").hidden = true;
  if (!query) {
    part("list").replaceChildren();
    part("found").textContent = "";
    return [];
  }
  const known = await index();
  if (mine !== asked) return [];
  font().catch(() => {}); // without it the reader's own font serves
  const labels = known.find(query);
  const shown = all ? labels : labels.slice(0, AT_ONCE);
  const items = shown.map((label) => {
    const link = document.createElement("a");
    link.href = `#${known.symbols[label]}`;
    link.innerHTML = '<span lang="zh-Hans"></span> <span lang="zh-Latn"></span>';
    link.firstChild.textContent = known.symbols[label];
    link.lastChild.textContent = known.readings[label][0];
    const item = document.createElement("li");
    item.append(link);
    return item;
  });
  part("list").replaceChildren(...items);
  const count = labels.length === 1 ? "One character" : `${labels.length} characters`;
  part("found").textContent = labels.length
    ? `${count} found.`
    : `None of the 3,755 characters of GB2312 level 1 is found by “${query}”. (Meanings can't be searched.)`;
  part("more").hidden = shown.length === labels.length;
  part("more").textContent = `Show all ${labels.length}`;
  return labels;
}

const searched = (all) => search(all).catch(failed);

part("query").addEventListener("input", () => searched());
part("more").addEventListener("click", () => {
  const before = part("list").children.length;
  searched(true).then(() => part("list").children[before]?.firstChild.focus());
});
part("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const [first] = (await searched()) ?? [];
  if (first !== undefined) location.hash = (await index()).symbols[first];
});
part("any").addEventListener("click", async () => {
  try {
    const { symbols } = await index();
    location.hash = symbols[Math.floor(Math.random() * symbols.length)];
  } catch (error) {
    failed(error);
  }
});

for (const button of part("begin").querySelectorAll("button"))
  button.addEventListener("click", () => (location.hash = button.value));

// One character, which the address names: atlas.html#鲍.

let latest = ""; // the character that was asked for last

async function open(symbol) {
  latest = symbol;
  const known = await index();
  const label = known.labelOf.get(symbol);
  if (label === undefined) {
    part("found").textContent = `${symbol} is not one of the 3,755 characters of GB2312 level 1.`;
    return;
  }
  part("card").setAttribute("aria-busy", "true");
  const number = Math.floor(label / known.shelf);
  const [shown, { entries, image }] = await Promise.all([card(), shelf(number)]);
  font().catch(() => {});
  if (latest !== symbol) return;
  shown.show(label, entries[label % known.shelf], image);
  part("card").hidden = false;
  part("card").removeAttribute("aria-busy");
  document.title = `${shown.name(label)} · ${title}`;
  part("card").scrollIntoView({ block: "start" });
  part("name").focus({ preventScroll: true });
}

function close() {
  latest = "";
  part("card").hidden = true;
  document.title = title;
}

function follow() {
  const wanted = new URLSearchParams(`at=${location.hash.slice(1)}`).get("at");
  // Other addresses on this page are those of its sections; without one nothing is open.
  if (/^\p{Script=Han}$/u.test(wanted)) open(wanted).catch(failed);
  else if (!wanted) close();
}

addEventListener("hashchange", follow);
document.getElementById("atlas-page").hidden = false;
follow();
