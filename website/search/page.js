// The page of the search: what is typed is found at once, and stands in the address.

import { Finder, marked, snippet } from "./finder.js";

const MOST = 30;
const input = document.querySelector(".bd-search-container input[name=q]");
const count = document.querySelector(".search-count");
const help = document.querySelector(".search-help");
const list = document.getElementById("search-results");
const top = new URL(document.documentElement.dataset.content_root, location);

function element(tag, classes, ...children) {
  const made = document.createElement(tag);
  made.className = classes;
  made.append(...children);
  return made;
}

function withMarks(text, match) {
  return marked(text, match).map((piece) =>
    piece.isMatch ? element("mark", "", piece.text) : piece.text,
  );
}

/** Say what of a section matches: its equation, its text, or names in its code. */
function reasons({ text, numbers, names, match }) {
  const matches = (field, word) =>
    match[word.toLowerCase()]?.includes(field) || marked(word, match).some((one) => one.isMatch);
  const equations = numbers.split(" ").filter((number) => match[number]?.includes("numbers"));
  const inText = Object.values(match).some((fields) => fields.includes("text"));
  const inCode = inText ? [] : names.split(" ").filter((name) => name && matches("names", name));
  return [
    ...equations.map((number) => element("p", "", "Equation ", element("mark", "", `(${number})`))),
    ...(inCode.length
      ? [element("p", "", "In code: ", element("code", "", inCode.slice(0, 5).join(", ")))]
      : []),
    element("p", "", ...withMarks(snippet(text, match), match)),
  ];
}

function entry(section) {
  const { address, chapter, heading, weight, match } = section;
  const link = element("a", "", ...withMarks(chapter, match));
  if (address.includes("#")) link.append(" › ", ...withMarks(heading, match));
  link.href = new URL(address, top);
  return element("li", weight > 1 ? "search-chapter" : "", link, ...reasons(section));
}

function say(found, query) {
  if (!found.length) return `Nothing was found for “${query}”. Try fewer words, or other ones.`;
  const sections = found.length === 1 ? "1 section" : `${found.length} sections`;
  const shown = found.length > MOST ? `; the best ${MOST} are listed` : "";
  return `${sections} found for “${query}”${shown}.`;
}

function show(finder) {
  const query = input.value.trim();
  const found = query ? finder.find(query) : [];
  count.textContent = query ? say(found, query) : "";
  help.hidden = found.length > 0;
  list.replaceChildren(...found.slice(0, MOST).map(entry));
}

function keepInAddress() {
  const here = new URL(location);
  here.search = input.value.trim() ? new URLSearchParams({ q: input.value.trim() }) : "";
  history.replaceState(null, "", here);
}

async function load(name) {
  const answer = await fetch(new URL(name, import.meta.url));
  if (!answer.ok) throw new Error(`${name}: status ${answer.status}`);
  return answer.json();
}

async function begin() {
  input.value = new URLSearchParams(location.search).get("q") ?? "";
  input.focus();
  count.textContent = input.value ? "Searching …" : "";
  let finder;
  try {
    finder = new Finder(...(await Promise.all(["sections.json", "index.json"].map(load))));
  } catch (error) {
    count.textContent = "What is searched could not be loaded. Is there a network?";
    throw error;
  }
  input.form.addEventListener("submit", (event) => event.preventDefault());
  input.addEventListener("input", () => {
    show(finder);
    keepInAddress();
  });
  show(finder);
}

await begin();
