// Formulas are typeset a few at a time, so that the page answers to its reader in between.
//
// This runs when MathJax has its settings and before it starts; pages without formulas have none.

const AT_A_TIME = 8;

function pause() {
  return new Promise((resolve) => setTimeout(resolve));
}

async function typesetPage() {
  const formulas = [...document.querySelectorAll(".math")];
  while (formulas.length) {
    await window.MathJax.typesetPromise(formulas.splice(0, AT_A_TIME));
    await pause();
  }
}

if (window.MathJax) window.MathJax.startup = { pageReady: typesetPage };
