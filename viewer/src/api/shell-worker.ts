/**
 * The service worker: gives the program's files from this device, and the page when there is no network.
 *
 * Files with a digest in their names never change, and are taken from the cache for ever. The page is taken
 * from the cache as well, with what it says of the study's first questions, and asked for meanwhile, for the
 * next time: on a far link it is there one round trip earlier. So a new program is seen the second time.
 * What the archive holds (`/api`, `/dicom-web`) never passes through here. A new version waits until all pages
 * of the old one are closed, so that a page finds all its own parts.
 */

/** Of the service worker's global scope, what is used here; DOM's types and its own exclude each other. */
interface Scope {
  addEventListener(type: "install" | "activate", listener: (event: Extendable) => void): void;
  addEventListener(type: "fetch", listener: (event: Fetching) => void): void;
  readonly clients: { claim(): Promise<void> };
}

interface Extendable {
  waitUntil(work: Promise<unknown>): void;
}

interface Fetching extends Extendable {
  readonly request: Request;
  respondWith(answer: Promise<Response>): void;
}

/** All files of the program but what hardly anybody needs; the build puts them in. */
declare const PROGRAM_FILES: readonly string[];
declare const PROGRAM_VERSION: string;

const PAGE = "/";
/** Addresses of studies whose page is kept, a kilobyte each. */
const MOST_PAGES = 200;
const CACHE = `shell-${PROGRAM_VERSION}`;
/** One file is in one form here, whatever else the server says that it depends on. */
const ANY_FORM = { ignoreVary: true };
const scope = globalThis as unknown as Scope;

scope.addEventListener("install", (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll([PAGE, ...PROGRAM_FILES])));
});

scope.addEventListener("activate", (event) => {
  event.waitUntil(
    caches
      .keys()
      .then((names) => Promise.all(names.filter((name) => name !== CACHE).map((name) => caches.delete(name))))
      .then(() => scope.clients.claim()),
  );
});

scope.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== "GET" || origin !== location.origin) return;
  if (request.mode === "navigate" && isPage(pathname)) event.respondWith(page(event));
  else if (pathname.startsWith("/assets/")) event.respondWith(file(request));
});

function isPage(path: string): boolean {
  return path === PAGE || /^\/(?:studies|view|local)\/|^\/local$/.test(path);
}

async function page(event: Fetching): Promise<Response> {
  const { request } = event;
  const cache = await caches.open(CACHE);
  const kept = await cache.match(request, ANY_FORM);
  const answer = fetch(request);
  const keeping = answer.then((fresh) => keepPage(cache, request, fresh.clone())).catch(() => undefined);
  event.waitUntil(keeping);
  if (kept) return kept;
  try {
    return await answer;
  } catch (error) {
    const other = await cache.match(PAGE, ANY_FORM);
    if (!other) throw error;
    return other;
  }
}

/** Each address has its own, since the server says in it what that study asks for first. */
async function keepPage(cache: Cache, request: Request, fresh: Response): Promise<void> {
  if (!fresh.ok || fresh.redirected) return;
  await cache.put(request, fresh);
  const pages = (await cache.keys()).filter(({ url }) => isPage(new URL(url).pathname) && new URL(url).pathname !== PAGE);
  await Promise.all(pages.slice(0, -MOST_PAGES).map((one) => cache.delete(one)));
}

async function file(request: Request): Promise<Response> {
  const kept = await caches.match(request, ANY_FORM);
  if (kept) return kept;
  const answer = await fetch(request);
  if (answer.ok) await (await caches.open(CACHE)).put(request, answer.clone());
  return answer;
}
export {};
