// Python in a worker of its own, which is given all its files and can ask nobody for more.
//
// It is handed a port to the page and the files of the runtime, as blobs. The page sends
//   {do: "run", id, source}                 -> {id, output}..., then {id, ran: true or false}
//   {do: "needed", id, cells, wanted, ran}  -> {id, cells}
//   {do: "forget", id}                      -> {id}
// and is told {ready: true, snapshot} or {failed: why} once, when Python has started, and
// {id, broken: why} if Python itself breaks down, for example because the memory is full.
//
// The snapshot is the memory of Python as it was when it had started, before it had packages or ran a
// cell. A worker that finds it among its files takes it up, which is ten times as fast.

const NOWHERE = "https://runtime.invalid/";
const IMPORTED_AHEAD = ["numpy", "sympy", "matplotlib.pyplot", "backprop_lib.proof"];

function answerFrom(files) {
  // Pyodide asks for its files by address; here an address is a name in the list, and nothing else.
  self.fetch = async (address) => {
    const name = new URL(address, NOWHERE).pathname.split("/").pop();
    const blob = files.get(name);
    if (!blob) throw new TypeError(`${name} is not among the files of this page`);
    const type = name.endsWith(".wasm") ? "application/wasm" : blob.type;
    return new Response(blob, { headers: { "Content-Type": type } });
  };
}

function runScript(blob) {
  const address = URL.createObjectURL(blob);
  importScripts(address);
  URL.revokeObjectURL(address);
}

async function start(files, packages, send) {
  answerFrom(files);
  runScript(files.get("pyodide.js"));
  runScript(files.get("pyodide.asm.js"));
  const earlier = await files.get("snapshot")?.arrayBuffer();
  const pyodide = await self.loadPyodide({
    indexURL: NOWHERE,
    env: { MPLBACKEND: "agg" },
    ...(earlier ? { _loadSnapshot: earlier } : { _makeSnapshot: true }),
  });
  const snapshot = files.get("snapshot") ?? new Blob([pyodide.makeMemorySnapshot()]);
  pyodide.registerJsModule("js", self); // where a snapshot is made or taken up, it is a stand-in
  await pyodide.loadPackage(packages, { messageCallback: () => {} });
  const own = pyodide.toPy({ __name__: "notebook" });
  pyodide.runPython(await files.get("notebook.py").text(), { globals: own });
  return { pyodide, snapshot, notebook: own.get("Notebook")(send), needed: own.get("needed") };
}

/** Import what nearly every cell needs while the reader reads; what is asked for comes in between. */
function importAhead(pyodide, [name, ...others]) {
  setTimeout(() => {
    try {
      pyodide.pyimport(name).destroy();
    } catch {
      return; // the cell that needs it will say why
    }
    if (others.length) importAhead(pyodide, others);
  });
}

self.onmessage = async ({ data: { files, packages }, ports: [port] }) => {
  let asked; // the request that is being answered
  const send = (output) => {
    port.postMessage({ id: asked, output: output.toJs({ dict_converter: Object.fromEntries }) });
  };
  let python;
  try {
    python = await start(files, packages, send);
  } catch (error) {
    port.postMessage({ failed: String(error?.message ?? error) });
    return;
  }
  const { pyodide, snapshot, notebook, needed } = python;
  const tasks = {
    run: ({ source }) => ({ ran: notebook.run(source) }),
    needed: ({ cells, wanted, ran }) => ({
      cells: needed(pyodide.toPy(cells), wanted, pyodide.toPy(ran)).toJs(),
    }),
    forget: () => notebook.forget(),
  };
  port.onmessage = ({ data }) => {
    asked = data.id;
    try {
      port.postMessage({ id: asked, ...tasks[data.do](data) });
    } catch (error) {
      port.postMessage({ id: asked, broken: String(error?.message ?? error) });
    }
  };
  port.postMessage({ ready: true, snapshot });
  importAhead(pyodide, IMPORTED_AHEAD);
};
