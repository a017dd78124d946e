/* Brings what a reader saved in an earlier edition of the book into this one.

Each edition keeps the reader's files in a database of its own, so that a saved copy never hides a
new edition. Before Jupyter starts, the files of the other editions are copied into a folder where
the reader finds them. Nothing is deleted, and nothing leaves the browser. */

const FOLDER = "Earlier editions";
const STORE = "files";

try {
  await bringEarlierWork();
} catch (error) {
  // Jupyter must open in any case, and the databases are as they were.
  console.warn("Files saved in an earlier edition were not copied:", error);
}

async function bringEarlierWork() {
  if (!indexedDB.databases) {
    return;
  }
  const current = await currentDatabase();
  const book = current.slice(0, current.lastIndexOf(" ") + 1);
  const databases = (await indexedDB.databases()).map((database) => database.name);
  for (const name of databases) {
    const done = `${current} has the files of ${name}`;
    if (name.startsWith(book) && name !== current && !localStorage.getItem(done)) {
      await write(current, copies(await read(name), name.slice(book.length)));
      localStorage.setItem(done, "yes");
    }
  }
}

async function currentDatabase() {
  const answer = await fetch(new URL("jupyter-lite.json", import.meta.url));
  return (await answer.json())["jupyter-config-data"].contentsStorageName;
}

/* The copies of an edition's files, and the folders that they are in. */
function copies(models, edition) {
  const files = models.filter(
    (model) => model.type !== "directory" && !model.path.startsWith(`${FOLDER}/`),
  );
  const days = files.map((model) => new Date(model.last_modified).toISOString().slice(0, 10));
  const place = `${FOLDER}/saved until ${days.sort().at(-1)} (${edition})`;
  const copied = new Map();
  for (const model of files) {
    const path = `${place}/${model.path}`;
    const parts = path.split("/");
    for (let depth = 1; depth < parts.length; depth++) {
      const folder = parts.slice(0, depth).join("/");
      copied.set(folder, folderModel(folder));
    }
    copied.set(path, { ...model, path });
  }
  return copied;
}

function folderModel(path) {
  const now = new Date().toISOString();
  return {
    name: path.split("/").at(-1),
    path,
    type: "directory",
    format: "json",
    mimetype: "",
    content: null,
    size: 0,
    writable: true,
    created: now,
    last_modified: now,
  };
}

async function read(name) {
  const database = await open(name);
  try {
    if (!database.objectStoreNames.contains(STORE)) {
      return [];
    }
    return await resultOf(database.transaction(STORE).objectStore(STORE).getAll());
  } finally {
    database.close();
  }
}

async function write(name, models) {
  if (models.size === 0) {
    return;
  }
  let database = await open(name);
  if (!database.objectStoreNames.contains(STORE)) {
    const version = database.version + 1;
    database.close();
    database = await open(name, version);
  }
  try {
    const transaction = database.transaction(STORE, "readwrite");
    const store = transaction.objectStore(STORE);
    for (const [path, model] of models) store.put(model, path);
    await new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = () => reject(transaction.error);
    });
  } finally {
    database.close();
  }
}

/* Open a database, which gets the store for files if it is new or opened with a new version. */
function open(name, version) {
  const request = indexedDB.open(name, version);
  request.onupgradeneeded = () => {
    if (!request.result.objectStoreNames.contains(STORE)) {
      request.result.createObjectStore(STORE);
    }
  };
  return resultOf(request);
}

function resultOf(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error("another tab is using the database"));
  });
}
