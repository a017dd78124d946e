// Python for one page: its files, and the sandboxed worker that runs it.

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

/** Read an answer to its end, and tell how many bytes have come. */
async function read(answer, onBytes) {
  const reader = answer.body.getReader();
  const parts = [];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return new Blob(parts);
    parts.push(value);
    onBytes(value.length);
  }
}

let files; // of the runtime, once for this page: a second start fetches nothing

async function runtime(onProgress) {
  if (!files) {
    const list = await (
      await fetchFile(new URL("runtime.json", HERE), { cache: "no-cache" })
    ).json();
    const folder = new URL(list.folder, HERE);
    const total = list.files.reduce((sum, file) => sum + file.size, 0);
    let loaded = 0;
    const onBytes = (bytes) => {
      loaded += bytes;
      onProgress(loaded, total);
    };
    const parts = list.files.map(async ({ name, integrity }) => {
      const answer = await fetchFile(new URL(name, folder), { integrity });
      try {
        return [name, await read(answer, onBytes)];
      } catch {
        throw new Problem(`${name} broke off, or arrived damaged. Is there a network?`);
      }
    });
    const own = ["worker.js", "notebook.py"].map(async (name) => [
      name,
      await (await fetchFile(new URL(name, HERE), { cache: "no-cache" })).blob(),
    ]);
    files = { packages: list.packages, blobs: new Map(await Promise.all([...parts, ...own])) };
  }
  return files;
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
    const { packages, blobs } = await runtime(onProgress);
    if (this.#ended) throw new Stopped("stopped");
    onStarting();
    blobs.set("snapshot", await this.#boot(packages, blobs)); // made before any cell had run
  }

  /** Start the worker; return the snapshot that a later one can begin with. */
  #boot(packages, blobs) {
    return new Promise((resolve, reject) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = ({ data }) => {
        // The first one counts: a promise is settled once.
        if (data.ready) resolve(data.snapshot);
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
        const handed = { worker: blobs.get("worker.js"), files: blobs, packages };
        this.#frame.contentWindow.postMessage(handed, "*", [port2]);
      };
      document.body.append(this.#frame);
    });
  }

  #receive({ id, output, ...result }) {
    const request = this.#waiting.get(id);
    if (!request) return;
    if (output) {
      request.onOutput(output);
      return;
    }
    this.#waiting.delete(id);
    if ("broken" in result) request.reject(new Problem(`Python broke down: ${result.broken}`));
    else request.resolve(result);
  }

  #ask(message, onOutput = () => {}) {
    const id = ++this.#count;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, onOutput });
      this.#port.postMessage({ ...message, id });
    });
  }

  /** Run a cell; say whether it ran to its end. */
  async run(source, onOutput) {
    return (await this.#ask({ do: "run", source }, onOutput)).ran;
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
