// Formulas that running code answers. MathJax is loaded with the first of them: those of the page
// were typeset when the site was built.

import settings from "./mathjax.json";

const FOLDER = new URL("../_static/mathjax/", import.meta.url);
/** Formulas come from code of anybody: no addresses, no classes, no styles of their own. */
const NOTHING = { URLs: "none", classes: "none", cssIDs: "none", styles: "none" };

const BRACKETS = /^\s*\\([([])(.*)\\[)\]]\s*$/s;

let started;

function start() {
  window.MathJax = {
    ...settings,
    loader: { load: ["core", "input/tex", "output/chtml", "a11y/assistive-mml", "ui/safe"] },
    options: { safeOptions: { allow: NOTHING } },
    startup: { typeset: false },
  };
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL("startup.js", FOLDER);
    script.onload = () => resolve(window.MathJax.startup.promise);
    script.onerror = () => reject(new Error("MathJax did not arrive"));
    document.head.append(script);
  });
}

async function loaded() {
  started ??= start();
  try {
    await started;
  } catch (error) {
    started = undefined; // so that the next formula tries again
    throw error;
  }
}

/** Typeset a formula; one that MathJax cannot cope with stays as it was written. */
async function typesetOne(formula) {
  const [, open, latex] = formula.textContent.match(BRACKETS) ?? [];
  if (!open) return; // the class alone, given by code from anywhere, makes no formula
  try {
    const display = open === "[";
    formula.replaceChildren(await window.MathJax.tex2chtmlPromise(latex, { display }));
    formula.dataset.tex = latex.trim();
  } catch (error) {
    console.info(`MathJax: ${error.message}: ${latex}`);
  }
}

/** Typeset the formulas in an element, which are marked up as Sphinx does it. */
export async function typeset(element) {
  const formulas = [...element.querySelectorAll(".math:not([data-tex])")];
  if (!formulas.length) return;
  await loaded();
  for (const formula of formulas) await typesetOne(formula);
  const { document: whole } = window.MathJax.startup;
  whole.clear();
  whole.updateDocument(); // its stylesheet has what is new
}
