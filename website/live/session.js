// Python for one page: its files, and the sandboxed worker that runs it.

// What one cell may send, well above what notebook.py lets through.
const MOST_OUTPUTS = 20_000;
const LETTERS_OF_AN_OUTPUT = 1_000;

const HERE = new URL(".", import.meta.url);

/** What is told to the reader, as it stands. */
export class Problem extends Error {}

/** What a request ends with when Python was ended. */
export class Stopped extends Error {}

/** Fetch a file below this script, or say in words which one cannot be had. */
async function fetchFile(address, options = {}) {
  const name = address.pathname.split("/").pop();
  let answer;
  try {
    answer = await fetch(address, options);
  } catch {
    throw new Problem(`${name} could not be loaded, or arrived damaged. Is there a network?`);
  }
  if (!answer.ok) throw new Problem(`${name} could not be loaded (status ${answer.status}).`);
  return answer;
}

/** Read an answer to its end as a blob of a type, and tell how many bytes have come. */
async function read(answer, type, onBytes) {
  const reader = answer.body.getReader();
  const parts = [];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return new Blob(parts, { type });
    parts.push(value);
    onBytes(value.length);
  }
}

/** Return the type of a file. Firefox and WebKit run no script of another, whatever a host says. */
function typeOf(name) {
  if (name.endsWith(".js")) return "text/javascript";
  return name.endsWith(".wasm") ? "application/wasm" : "application/octet-stream";
}

function sizeOf(output) {
  return Object.values(output).reduce((sum, part) => sum + (part?.length ?? 0), 0);
}

async function listed() {
  const list = await (await fetchFile(new URL("runtime.json", HERE), { cache: "no-cache" })).json();
  return { ...list, folder: new URL(list.folder, HERE) };
}

async function fetchListed(folder, { name, integrity }, onBytes) {
  const answer = await fetchFile(new URL(name, folder), { integrity });
  try {
    return await read(answer, typeOf(name), onBytes);
  } catch {
    throw new Problem(`${name} broke off, or arrived damaged. Is there a network?`);
  }
}

async function fetchOwn(name) {
  const answer = await fetchFile(new URL(name, HERE), { cache: "no-cache" });
  return await read(answer, typeOf(name), () => {});
}

/** Begin to fetch all files of the runtime; return the packages, and for each file its blob to be. */
async function fetchAll(onProgress) {
  const { folder, packages, files } = await listed();
  const total = files.reduce((sum, file) => sum + file.size, 0);
  let loaded = 0;
  const onBytes = (bytes) => {
    loaded += bytes;
    onProgress(loaded, total);
  };
  const blobs = new Map(files.map((file) => [file.name, fetchListed(folder, file, onBytes)]));
  for (const name of ["worker.js", "notebook.py"]) blobs.set(name, fetchOwn(name));
  return { packages, blobs, all: Promise.all(blobs.values()) };
}

let fetched; // of this page: once all has come, a second start fetches nothing

async function runtime(onProgress) {
  if (!fetched) {
    const begun = await fetchAll(onProgress);
    begun.all.then(
      () => (fetched = begun),
      () => {}, // told to whoever waits for it; the next start asks anew
    );
    return begun;
  }
  return fetched;
}

/**
 * A Python of its own. It has no access to this page, to what other pages keep, or to any network:
 * its frame has an origin of its own, and a policy that lets it connect to nothing.
 */
export class Session {
  #frame;
  #port;
  #waiting = new Map();
  #count = 0;
  #ended = false;

  /** Load and start Python; tell the bytes that are there and those there will be. */
  async start(onProgress, onStarting) {
    if (typeof WebAssembly !== "object" || typeof Worker !== "function") {
      throw new Problem(
        "This browser cannot run Python: it has no WebAssembly, or it is switched off. " +
          "Try another browser, or download the notebook.",
      );
    }
    const { packages, blobs, all } = await runtime(onProgress);
    const worker = await blobs.get("worker.js");
    if (this.#ended) throw new Stopped("stopped");
    const started = this.#boot(worker, { packages, names: [...blobs.keys()] });
    for (const [file, blob] of blobs) {
      blob.then((come) => this.#port.postMessage({ file, blob: come })).catch(() => {});
    }
    try {
      await Promise.race([all, started]);
      onStarting();
      await Promise.all([all, started]);
    } catch (error) {
      this.end();
      throw error;
    }
    if (this.#ended) throw new Stopped("stopped");
  }

  /** Start the worker, which will wait for its files. */
  #boot(worker, told) {
    return new Promise((resolve, reject) => {
      this.#waiting.set("start", { reject });
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = ({ data }) => {
        // The first one counts: a promise is settled once.
        if (data.ready) resolve();
        else if (data.failed) reject(new Problem(`Python did not start: ${data.failed}`));
        else this.#receive(data);
      };
      this.#port = port1;
      this.#frame = document.createElement("iframe");
      this.#frame.sandbox = "allow-scripts";
      this.#frame.hidden = true;
      this.#frame.title = "Python";
      this.#frame.src = new URL("sandbox.html", HERE);
      this.#frame.onload = () => {
        this.#frame.contentWindow.postMessage({ worker, told }, "*", [port2]);
      };
      document.body.append(this.#frame);
    });
  }

  #receive({ id, output, ...result }) {
    const request = this.#waiting.get(id);
    if (!request) return;
    if (output) {
      request.left -= 1 + sizeOf(output) / LETTERS_OF_AN_OUTPUT;
      if (request.left < 0) {
        this.#flood(request, id);
      } else {
        request.onOutput(output);
      }
      return;
    }
    this.#waiting.delete(id);
    if ("broken" in result) request.reject(new Problem(`Python broke down: ${result.broken}`));
    else request.resolve(result);
  }

  /** Python itself sends less: code has found its way to the port, and will not stop by itself. */
  #flood(request, id) {
    this.#waiting.delete(id);
    this.end();
    request.reject(new Problem("The code sent more than a page can show. Python was ended."));
  }

  #ask(message, onOutput = () => {}) {
    const id = ++this.#count;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, onOutput, left: MOST_OUTPUTS });
      this.#port.postMessage({ ...message, id });
    });
  }

  /** Run a cell, which tracebacks call by its name; say whether it ran to its end. */
  async run(source, onOutput, name) {
    return (await this.#ask({ do: "run", source, name }, onOutput)).ran;
  }

  /** Forget all names, as if nothing had run. */
  async forget() {
    await this.#ask({ do: "forget" });
  }

  /** Return which cells above a cell must run before it. */
  async needed(cells, wanted, ran) {
    return (await this.#ask({ do: "needed", cells, wanted, ran })).cells;
  }

  /** End Python at once, whatever it is doing. */
  end() {
    this.#ended = true;
    this.#frame?.remove();
    this.#port?.close();
    for (const { reject } of this.#waiting.values()) reject(new Stopped("stopped"));
    this.#waiting.clear();
  }
}
