// Python in a worker of its own, which is given all its files and can ask nobody for more.
//
// It is told which packages to load, and handed a port to the page, which sends the files of the
// runtime, each as soon as it has come, and then asks:
//   {file, blob}
//   {do: "run", id, source, name}           -> {id, output}..., then {id, ran: true or false}
//   {do: "needed", id, cells, wanted, ran}  -> {id, cells}
//   {do: "forget", id}                      -> {id}
// The page is told {ready: true} or {failed: why} once, when Python has started and has imported what
// nearly every cell needs; and {id, broken: why} if Python itself breaks down, for example because the
// memory is full.

const NOWHERE = "https://runtime.invalid/";
const IMPORTED_AHEAD = [
  "numpy",
  "sympy",
  "matplotlib.pyplot",
  "backprop_lib.gradcheck",
  "backprop_lib.proof.prover",
];

/** The files by name, each there or still to come. */
class Files {
  #known = new Map();

  #entry(name) {
    if (!this.#known.has(name)) {
      const entry = {};
      entry.blob = new Promise((resolve) => (entry.arrive = resolve));
      this.#known.set(name, entry);
    }
    return this.#known.get(name);
  }

  arrive(name, blob) {
    this.#entry(name).arrive(blob);
  }

  get(name) {
    return this.#entry(name).blob;
  }
}

function answerFrom(files, names) {
  // Pyodide asks for its files by address; here an address is a name in the list, and nothing else.
  self.fetch = async (address) => {
    const name = new URL(address, NOWHERE).pathname.split("/").pop();
    if (!names.includes(name)) throw new TypeError(`${name} is not among the files of this page`);
    const blob = await files.get(name);
    return new Response(blob, { headers: { "Content-Type": blob.type } });
  };
}

async function runScript(blob) {
  const address = URL.createObjectURL(await blob);
  importScripts(address);
  URL.revokeObjectURL(address);
}

async function start(files, { packages, names }, send) {
  answerFrom(files, names);
  await runScript(files.get("pyodide.js"));
  await runScript(files.get("pyodide.asm.js"));
  const pyodide = await self.loadPyodide({ indexURL: NOWHERE, env: { MPLBACKEND: "agg" } });
  await pyodide.loadPackage(packages, { messageCallback: () => {} });
  const own = pyodide.toPy({ __name__: "notebook" });
  pyodide.runPython(await (await files.get("notebook.py")).text(), { globals: own });
  const notebook = own.get("Notebook")(send); // first, for it keeps matplotlib quiet
  for (const name of IMPORTED_AHEAD) {
    try {
      pyodide.pyimport(name).destroy();
    } catch {
      // The cell that needs it will say why.
    }
  }
  return { pyodide, notebook, needed: own.get("needed") };
}

self.onmessage = async ({ data: told, ports: [port] }) => {
  const files = new Files();
  let asked; // the request that is being answered
  let tasks; // once Python has started; before, only files come
  port.onmessage = ({ data }) => {
    if (data.file) {
      files.arrive(data.file, data.blob);
      return;
    }
    asked = data.id;
    try {
      port.postMessage({ id: asked, ...tasks[data.do](data) });
    } catch (error) {
      port.postMessage({ id: asked, broken: String(error?.message ?? error) });
    }
  };
  const send = (output) => {
    port.postMessage({ id: asked, output: output.toJs({ dict_converter: Object.fromEntries }) });
  };
  try {
    const { pyodide, notebook, needed } = await start(files, told, send);
    tasks = {
      run: ({ source, name }) => ({ ran: notebook.run(source, name) }),
      needed: ({ cells, wanted, ran }) => ({
        cells: needed(pyodide.toPy(cells), wanted, pyodide.toPy(ran)).toJs(),
      }),
      forget: () => notebook.forget(),
    };
    port.postMessage({ ready: true });
  } catch (error) {
    port.postMessage({ failed: String(error?.message ?? error) });
  }
};
