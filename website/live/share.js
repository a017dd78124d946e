// Code in the fragment of a link: compressed, in letters that a link may hold, read by nobody else.

const PREFIX = "code=";

async function through(bytes, stream) {
  return new Uint8Array(
    await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer(),
  );
}

/** Pack a thing into a fragment. */
export async function pack(thing) {
  const text = new TextEncoder().encode(JSON.stringify(thing));
  const bytes = await through(text, new CompressionStream("deflate-raw"));
  const letters = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  return PREFIX + btoa(letters).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Unpack a fragment with code and axes; nothing if it is another one, or damaged. */
export async function unpack(fragment) {
  if (!fragment.startsWith(PREFIX)) return undefined;
  try {
    const letters = atob(fragment.slice(PREFIX.length).replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
    const text = await through(bytes, new DecompressionStream("deflate-raw"));
    const { code, axes } = JSON.parse(new TextDecoder().decode(text));
    return typeof code === "string" && typeof axes === "string" ? { code, axes } : undefined;
  } catch {
    return undefined;
  }
}
