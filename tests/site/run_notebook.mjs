// Run notebooks with the site's own Python, outside of any browser, and write what each cell answers.
//
// node run_notebook.mjs RUNTIME NOTEBOOK_PY SOURCES, a file with [[source, ...], ...]
// Each notebook begins with no names; one line of JSON is written for each.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [runtime, notebookFile, sourcesFile] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(`${runtime}/pyodide.mjs`));
const pyodide = await loadPyodide({ indexURL: runtime, env: { MPLBACKEND: "agg" } });
await pyodide.loadPackage("backprop-lib", { messageCallback: () => {} });

const own = pyodide.toPy({ __name__: "notebook" });
pyodide.runPython(readFileSync(notebookFile, "utf8"), { globals: own });
let answers;
const send = (output) => answers.at(-1).push(output.toJs({ dict_converter: Object.fromEntries }));
const notebook = own.get("Notebook")(send);

for (const sources of JSON.parse(readFileSync(sourcesFile, "utf8"))) {
  answers = [];
  notebook.forget();
  for (const source of sources) {
    answers.push([]);
    notebook.run(source);
  }
  console.log(JSON.stringify(answers));
}
