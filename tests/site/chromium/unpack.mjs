// node unpack.mjs FROM TO: decompress what the npm package carries; tar archives stay archives.
import { createReadStream, createWriteStream } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createBrotliDecompress } from "node:zlib";

const [from, to] = process.argv.slice(2);
for (const name of await readdir(from)) {
  await pipeline(
    createReadStream(join(from, name)),
    createBrotliDecompress(),
    createWriteStream(join(to, basename(name, ".br"))),
  );
}
