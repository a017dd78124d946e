// Reports of the prover at a glance: boxes and badges, and one line that says the worst first.
//
// The book's pages get their boxes when they are built, from verdicts.py.

/** For each word of a verdict, the class of its box. */
const KINDS = {
  proven: "proven",
  "proven at": "proven-at",
  refuted: "refuted",
  "shape error": "refuted",
  undecided: "undecided",
  "not answered yet": "open",
};
const WORST_FIRST = [
  "refuted",
  "shape error",
  "undecided",
  "not answered yet",
  "proven at",
  "proven",
];
const SIGNS = { proven: "✓", "proven-at": "✓", refuted: "✗", undecided: "?", open: "?" };
const SIGN = /^([✓✗?]) /;
const CONTINUED = /^(?:The gradient is|A counterexample,)/;
const VERDICT = new RegExp(`^(?:steps? )?(\\S[^:]*): (${WORST_FIRST.join("|")})(?![-\\w])`, "gm");

/** Make a badge of the sign and the word of a verdict; return its kind, or nothing if it is none. */
function mark(paragraph) {
  const sign = SIGN.exec(paragraph.firstChild?.nodeValue ?? "");
  const word = paragraph.querySelector(":scope > strong");
  if (!sign || !word || !Object.hasOwn(KINDS, word.textContent)) return undefined;
  const kind = KINDS[word.textContent];
  paragraph.firstChild.nodeValue = paragraph.firstChild.nodeValue.slice(sign[0].length);
  word.className = "verdict-badge";
  word.textContent = `${sign[1]} ${word.textContent}`;
  return kind;
}

function belongs(element) {
  if (element?.localName === "p") return CONTINUED.test(element.textContent);
  return element?.matches("div.math") ?? false;
}

/** Put every verdict in a fragment into a box; return the fragment. */
export function withBoxes(fragment) {
  for (const paragraph of fragment.querySelectorAll("p")) {
    const kind = mark(paragraph);
    if (!kind) continue;
    const box = document.createElement("div");
    box.className = `verdict verdict-${kind}`;
    paragraph.before(box);
    box.append(paragraph);
    while (belongs(box.nextElementSibling)) box.append(box.nextElementSibling);
  }
  return fragment;
}

/** Return the verdicts of a report that is a text: the gradients of each word, the worst first. */
function verdicts(report) {
  const found = new Map(WORST_FIRST.map((word) => [word, []]));
  for (const [, gradients, word] of report.matchAll(VERDICT)) found.get(word).push(gradients);
  return [...found].filter(([, gradients]) => gradients.length);
}

function say([word, gradients]) {
  return `${SIGNS[KINDS[word]]} ${word}: ${gradients.join(", ")}`;
}

/** Say a report in one line, as "✗ refuted: dW; ✓ proven: dx, db"; nothing if it is no report. */
export function inShort(report) {
  return verdicts(report).map(say).join("; ");
}

/** Say in one line what a report says of all that was asked. */
export function judgement(report) {
  const found = verdicts(report);
  const [worst] = found;
  if (!worst) return "Not all is proven; see below.";
  if (worst[0] === "proven at") return "✓ Proven at some sizes or values; see below.";
  if (worst[0] !== "proven") {
    const bad = found.filter(([word]) => !word.startsWith("proven"));
    return `${bad.map(say).join("; ")}. See below.`;
  }
  const isLimited = /^ {2}where /m.test(report);
  return isLimited ? "✓ All is proven, where the report says." : "✓ All is proven.";
}
