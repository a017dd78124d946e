// Who copies a formula gets its TeX: the letters on the page are drawn by the stylesheet.

const FORMULA = ".math[data-tex]";

function formulaAround(node) {
  return (node.parentElement ?? node).closest(FORMULA);
}

/** Return what is selected, with formulas that are selected in part as a whole. */
function selected(selection) {
  const range = selection.getRangeAt(0).cloneRange();
  const first = formulaAround(range.startContainer);
  const last = formulaAround(range.endContainer);
  if (first) range.setStartBefore(first);
  if (last) range.setEndAfter(last);
  return range.cloneContents();
}

function withDollars(formula) {
  const sign = formula.localName === "div" ? "$$" : "$";
  return `${sign}${formula.dataset.tex}${sign}`;
}

document.addEventListener("copy", (event) => {
  const selection = document.getSelection();
  if (!selection.rangeCount || selection.isCollapsed) return;
  const part = selected(selection);
  const formulas = [...part.querySelectorAll(FORMULA)];
  if (!formulas.length) return;
  for (const formula of formulas) formula.replaceChildren(withDollars(formula));
  const place = document.createElement("div"); // laid out, so that its text has the page's lines
  place.append(part);
  document.body.append(place);
  // biome-ignore lint/performance/useDomNodeTextContent: the text as it looks, with its lines
  event.clipboardData.setData("text/plain", place.innerText);
  event.clipboardData.setData("text/html", place.innerHTML);
  place.remove();
  event.preventDefault();
});
