// Finds sections of the book: what words are one, which sections have them, and where in its text.

import MiniSearch from "./minisearch.js";

const WORD = /[\p{L}\p{N}][\p{L}\p{N}\p{M}]*(?:[./][\p{L}\p{N}]+)*/gu; // 4.12 and 1/N are one, too
const HUMPS = /(?<=[\p{Ll}\p{N}])(?=\p{Lu})/u;
const DIMENSION = /(?<=\p{L}{2})\dd$/u;
const LETTERS = /^\p{L}+$/u;
const UNSAID = new Set(
  "a an and are as at be by can do does for from has how i in is it its my of on or that the their this to was what when where which who why will with you your".split(
    " ",
  ),
);
const SHORTEST_PART = 3;
const SHORTEST_GUESSED = 5; // of shorter words, too many are alike
const SNIPPET = 220;

const FIELDS = ["chapter", "heading", "text", "numbers", "names"];
const BOOST = { chapter: 3, heading: 5, numbers: 10, names: 0.5 };
const OF_PARTS = { chapter: 0.2, heading: 0.5, text: 0.1, numbers: 0, names: 0.1 };

/** Bring a word into the form in which it is looked up. */
function base(word) {
  const small = word.toLowerCase();
  return small.length > SHORTEST_PART ? small.replace(/(?<![su])s$/, "") : small;
}

const known = new Map();

/** Return what a word is found by: BatchNorm1d by batchnorm1d, batchnorm, batch and norm. */
function forms(word) {
  if (!known.has(word)) {
    const parts = word.split(/[./]/);
    const humps = parts.flatMap((part) => part.split(HUMPS));
    const all = [word, ...parts, ...humps];
    const bare = all.map((part) => part.replace(DIMENSION, "")).filter(Boolean);
    known.set(word, [...new Set([...all, ...bare].map(base))]);
  }
  return known.get(word);
}

const wordsOf = (text) => [...text.normalize("NFC").matchAll(WORD)];

function tokenize(text) {
  return wordsOf(text).flatMap(([word]) => forms(word));
}

function leaf(word) {
  const isWord = /^\p{L}/u.test(word);
  return {
    queries: [word],
    prefix: isWord && word.length >= SHORTEST_PART,
    fuzzy: isWord && word.length >= SHORTEST_GUESSED ? 0.2 : false,
  };
}

/** Look for a word that begins so, and not for similar ones. */
function beginning(word) {
  return { queries: [word], prefix: true, fuzzy: false };
}

/** Look for a word: as it is, by its humps, or as two that the book writes apart. */
function waysToWrite(word) {
  const ways = [leaf(base(word))];
  const humps = word.split(HUMPS);
  if (humps.length > 1) ways.push(together(humps));
  if (LETTERS.test(word)) {
    for (let i = SHORTEST_PART; i <= word.length - SHORTEST_PART; i++) {
      const halves = [word.slice(0, i), word.slice(i)];
      if (!halves.some((half) => UNSAID.has(half.toLowerCase()))) ways.push(together(halves));
    }
  }
  return ways;
}

/** Look for parts of one word, the last of which may go on: that tells less than the word itself. */
function together(parts) {
  const queries = parts.map((part, i) => ({
    queries: [base(part)],
    prefix: i === parts.length - 1,
    fuzzy: false,
  }));
  return { combineWith: "AND", queries, boost: OF_PARTS };
}

const OPTIONS = {
  fields: FIELDS,
  tokenize,
  processTerm: (term) => term,
  searchOptions: { tokenize: (term) => [term], combineWith: "OR", boost: BOOST },
};

/** Make the index of all sections, which is done once, when the book is built. */
export function indexed(sections) {
  const index = new MiniSearch(OPTIONS);
  index.addAll(sections.map((section, id) => ({ id, ...section })));
  return index;
}

/** The sections of the book, and what is found in them. */
export class Finder {
  constructor(sections, index) {
    this.sections = sections;
    this.index = MiniSearch.loadJS(index, OPTIONS);
  }

  /** Return what has all the words of a query, or as many as anything has; the best first. */
  find(query) {
    const said = wordsOf(query).map(([word]) => word);
    const telling = said.filter((word) => !UNSAID.has(word.toLowerCase()));
    const words = telling.length ? telling : said;
    const boostDocument = (id) => this.sections[id].weight;
    const found = new Map();
    for (const [place, word] of words.entries()) {
      const neighbours = [words[place - 1] + word, word + words[place + 1]];
      const asOne = neighbours.filter((_, i) => words[place - 1 + 2 * i] !== undefined);
      const ways = [...waysToWrite(word), ...asOne.map((both) => beginning(base(both)))];
      for (const { id, score, match } of this.index.search({ queries: ways }, { boostDocument })) {
        const known = found.get(id) ?? { score: 0, count: 0, match: {} };
        found.set(id, {
          score: known.score + score,
          count: known.count + 1,
          match: { ...known.match, ...match },
        });
      }
    }
    const most = Math.max(...[...found.values()].map(({ count }) => count));
    return [...found]
      .filter(([, { count }]) => count === most)
      .sort(([, one], [, other]) => other.score - one.score)
      .map(([id, { match }]) => ({ ...this.sections[id], match }));
  }
}

/** Cut a text into pieces: what matches, and what is between. */
export function marked(text, match) {
  const pieces = [];
  let end = 0;
  for (const found of text.matchAll(WORD)) {
    if (!forms(found[0]).some((form) => form in match)) continue;
    pieces.push({ text: text.slice(end, found.index), isMatch: false });
    pieces.push({ text: found[0], isMatch: true });
    end = found.index + found[0].length;
  }
  pieces.push({ text: text.slice(end), isMatch: false });
  return pieces.filter((piece) => piece.text);
}

/** Return the part of a text in which most of what matches stands. */
export function snippet(text, match) {
  const places = [...text.matchAll(WORD)].flatMap((found) => {
    const form = forms(found[0]).find((one) => one in match);
    return form ? [{ at: found.index, form }] : [];
  });
  const different = ({ at }) =>
    new Set(places.filter((one) => one.at >= at && one.at < at + SNIPPET).map((one) => one.form))
      .size;
  const best = places.reduce(
    (most, place) => (different(place) > different(most) ? place : most),
    places[0] ?? { at: 0 },
  );
  const begin = best.at < SNIPPET / 4 ? 0 : text.lastIndexOf(" ", best.at - SNIPPET / 8) + 1;
  const isRest = begin + SNIPPET >= text.length;
  const end = isRest ? text.length : text.lastIndexOf(" ", begin + SNIPPET);
  return `${begin ? "… " : ""}${text.slice(begin, end)}${isRest ? "" : " …"}`;
}
