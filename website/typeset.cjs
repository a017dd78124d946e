// Typesets formulas with MathJax, for website/formulas.py.
//
// Argument: MathJax's folder. Input: {settings, fonts, formulas: [{latex, isDisplayed}, ...]} as
// JSON. Output, as JSON: the formulas in the same order, each as {html} or with an {error}, and the
// stylesheet for them all.

const { readFileSync, writeFileSync } = require("node:fs");

const [folder] = process.argv.slice(2);
const { settings, fonts, formulas } = JSON.parse(readFileSync(0, "utf8"));

function refuse(_jax, error) {
  throw error;
}

/** Return the settings, under which what MathJax cannot read is an error and is not shown in red. */
function strict({ chtml, tex }) {
  return {
    loader: {
      load: ["adaptors/liteDOM", "input/tex", "output/chtml", "a11y/assistive-mml"],
      paths: { mathjax: folder },
      require,
      versionWarnings: false,
    },
    startup: { typeset: false },
    chtml: { ...chtml, adaptiveCSS: true, fontURL: fonts },
    tex: {
      ...tex,
      packages: { "[-]": [...tex.packages["[-]"], "noundefined"] },
      formatError: refuse,
    },
  };
}

/** Leave out what neither a browser nor MathJax's stylesheet looks at, or book.css says for all. */
function lean(html) {
  return html
    .replace(' class="MathJax"', "")
    .replace(' style="position: relative;"', "")
    .replace(' unselectable="on"', "")
    .replace(' display="inline"', "")
    .replace(/ class="mjx-[nib]"| texclass="\w+"/g, "")
    .replace(' xmlns="http://www.w3.org/1998/Math/MathML"', "")
    .replace(/ data-mjx-texclass="\w+"/g, "");
}

async function main() {
  const MathJax = await require(`${folder}/node-main.js`).init(strict(settings));
  const { adaptor } = MathJax.startup;
  const typeset = [];
  for (const { latex, isDisplayed } of formulas) {
    try {
      const element = await MathJax.tex2chtmlPromise(latex, { display: isDisplayed });
      typeset.push({ html: lean(adaptor.outerHTML(element)) });
    } catch ({ message }) {
      typeset.push({ error: message });
    }
  }
  const stylesheet = adaptor.textContent(MathJax.chtmlStylesheet());
  writeFileSync(1, JSON.stringify({ formulas: typeset, stylesheet }));
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
