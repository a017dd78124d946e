// Evaluate Python with the site's own, and write the value as JSON.
//
// node evaluate.mjs RUNTIME SOURCE

import { pathToFileURL } from "node:url";

const [runtime, source] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(`${runtime}/pyodide.mjs`));
const pyodide = await loadPyodide({ indexURL: runtime, env: { MPLBACKEND: "agg" } });
await pyodide.loadPackage("backpropagation-by-hand", { messageCallback: () => {} });
console.log(JSON.stringify(pyodide.runPython(source).toJs()));
