// Writes the index of the search: node index.mjs FOLDER, which has finder.js and sections.json.

import { readFile, writeFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";

const folder = pathToFileURL(`${process.argv[2]}/`);
const { indexed } = await import(new URL("finder.js", folder));
const sections = JSON.parse(await readFile(new URL("sections.json", folder), "utf8"));
await writeFile(new URL("index.json", folder), JSON.stringify(indexed(sections)));
