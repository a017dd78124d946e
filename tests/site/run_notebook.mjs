// Run notebooks with the site's own Python, outside of any browser, and write what each cell answers.
//
// node run_notebook.mjs RUNTIME NOTEBOOK_PY
// Each line of standard input is a notebook, [source, ...] as JSON. It begins with no names, and is
// answered by one line of JSON, which begins with a word that nothing else writes.

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [runtime, notebookFile] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(`${runtime}/pyodide.mjs`));
const pyodide = await loadPyodide({ indexURL: runtime, env: { MPLBACKEND: "agg" } });
await pyodide.loadPackage("backpropagation-by-hand", { messageCallback: () => {} });

const own = pyodide.toPy({ __name__: "notebook" });
pyodide.runPython(readFileSync(notebookFile, "utf8"), { globals: own });
let answers;
const send = (output) => answers.at(-1).push(output.toJs({ dict_converter: Object.fromEntries }));
const notebook = own.get("Notebook")(send);

for await (const line of createInterface({ input: process.stdin })) {
  answers = [];
  notebook.forget();
  for (const source of JSON.parse(line)) {
    answers.push([]);
    notebook.run(source);
  }
  console.log(`answers ${JSON.stringify(answers)}`);
}
