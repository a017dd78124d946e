// Code in the fragment of a link: compressed, in letters that a link may hold, read by nobody else.

const PREFIX = "code=";
const MOST_LETTERS = 50_000; // of a link: mail and chat programs cut longer ones
const MOST_BYTES = 100_000; // of code: some ten thousand letters can hold the text of many books

/** There is more code than a link may carry. */
export class TooLong extends Error {}

/** Send bytes through a stream, and stop as soon as more have come than may. */
async function through(bytes, stream, most) {
  const reader = new Blob([bytes]).stream().pipeThrough(stream).getReader();
  const parts = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return new Uint8Array(await new Blob(parts).arrayBuffer());
    length += value.length;
    if (length > most) {
      await reader.cancel();
      throw new TooLong();
    }
    parts.push(value);
  }
}

/** Pack code and axes into a fragment; throw TooLong if no link may carry them. */
export async function pack({ code, axes }) {
  const text = new TextEncoder().encode(JSON.stringify({ code, axes }));
  if (text.length > MOST_BYTES) throw new TooLong();
  const bytes = await through(text, new CompressionStream("deflate-raw"), MOST_LETTERS);
  const letters = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  const fragment = btoa(letters).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  if (fragment.length > MOST_LETTERS) throw new TooLong();
  return PREFIX + fragment;
}

/**
 * Unpack a fragment with code and axes; nothing if it is another one, or damaged. Throw TooLong if
 * there is too much, which is not unpacked to its end.
 */
export async function unpack(fragment) {
  if (!fragment.startsWith(PREFIX)) return undefined;
  const packed = fragment.slice(PREFIX.length);
  if (packed.length > MOST_LETTERS) throw new TooLong();
  try {
    const letters = atob(packed.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
    const text = await through(bytes, new DecompressionStream("deflate-raw"), MOST_BYTES);
    const { code, axes } = JSON.parse(new TextDecoder().decode(text));
    return typeof code === "string" && typeof axes === "string" ? { code, axes } : undefined;
  } catch (error) {
    if (error instanceof TooLong) throw error;
    return undefined;
  }
}
