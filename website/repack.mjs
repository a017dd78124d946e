// Run repack.py in the Python of the browser, outside of any browser.
//
// node repack.mjs RUNTIME REPACK_PY FOLDER

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [runtime, script, folder] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(`${runtime}/pyodide.mjs`));
const pyodide = await loadPyodide({ indexURL: runtime, env: { MPLBACKEND: "agg" } });
const { packages } = JSON.parse(readFileSync(`${folder}/tasks.json`, "utf8"));
await pyodide.loadPackage(packages, { messageCallback: () => {} });
pyodide.mountNodeFS("/folder", folder);
const own = pyodide.toPy({ __name__: "repack" });
pyodide.runPython(readFileSync(script, "utf8"), { globals: own });
pyodide.runPython('repack_all(Path("/folder"))', { globals: own });
