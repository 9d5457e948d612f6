// The page's large files: fetched when first needed, with progress, and kept for the next visit.
// Their names contain a hash of their content (book/draw.py), so what is kept is never stale.

const CACHE = "hccr-draw";
const FOLDER = new URL("../draw-data/", import.meta.url);

let listed;

/** {name: {file, bytes, stored}}: sizes unpacked and as they are transferred. */
export function manifest() {
  listed ??= fetch(new URL("manifest.json", FOLDER), { cache: "no-cache" })
    .then((answer) => {
      if (!answer.ok) throw new Error(`manifest.json: ${answer.status} ${answer.statusText}`);
      return answer.json();
    })
    .catch((error) => {
      listed = undefined; // the next call asks again
      throw error;
    });
  return listed;
}

// Without a cache (private windows, http without TLS) everything works, and is fetched each time.
async function openCache() {
  try {
    return await caches.open(CACHE);
  } catch {
    return null;
  }
}

async function unpacked(bytes) {
  // Some servers unpack .gz files on the way: what arrives tells, not the name.
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function received(answer, onBytes) {
  const parts = [];
  let length = 0;
  for (const reader = answer.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    onBytes((length += value.length));
  }
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** The content of a file of the manifest; `onBytes` hears how many bytes have arrived. */
export async function load(name, onBytes = () => {}) {
  const files = await manifest();
  const { file, bytes, stored } = files[name];
  const address = new URL(file, FOLDER);
  const cache = await openCache();
  const kept = await cache?.match(address);
  if (kept) {
    onBytes(stored);
    return unpacked(new Uint8Array(await kept.arrayBuffer()));
  }
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${file}: ${answer.status} ${answer.statusText}`);
  const data = await received(answer, (length) => onBytes(Math.min(length, stored)));
  const content = await unpacked(data);
  if (content.length !== bytes)
    throw new Error(`${file}: ${content.length} bytes instead of ${bytes}`);
  onBytes(stored);
  await keep(cache, address, data, files);
  return content;
}

async function keep(cache, address, data, files) {
  try {
    await cache?.put(address, new Response(data));
    const current = Object.values(files).map(({ file }) => new URL(file, FOLDER).href);
    for (const request of (await cache?.keys()) ?? [])
      if (request.url.startsWith(FOLDER.href) && !current.includes(request.url))
        await cache.delete(request); // of an earlier edition of the book
  } catch {
    // No room: it is fetched again next time.
  }
}
