/**
 * The picture that the page began with when it was last at this address, taken from the browser's cache before the
 * program has found out which one it is. Whether it may still be shown is decided by who knows the state of its series.
 */
import { remember, remembered } from "../i18n/kept";

const KEPT = "gantry.first-pictures";
const MOST = 100;

/** In these words always, since the cache holds an answer to the words in which it was asked for. */
export const PICTURES = "image/*";

interface Begun {
  readonly address: string;
  readonly picture: Promise<HTMLImageElement | undefined>;
}

let begun: Begun | undefined;

/** To be called as early as can be, at a page that opens a study. */
export function beginWithPicture(): void {
  const address = all().find(([page]) => page === here())?.[1];
  if (address !== undefined) begun = { address, picture: cached(address) };
}

/** What was begun with, once; undefined if it is another picture, or the cache had none. */
export async function begunPicture(address: string): Promise<HTMLImageElement | undefined> {
  const first = begun;
  begun = undefined;
  return first?.address === address ? await first.picture : undefined;
}

/** The page, at its address, begins with this one. */
export function noteFirstPicture(address: string): void {
  const page = here();
  if (all().some(([one, picture]) => one === page && picture === address)) return;
  const others = all().filter(([one]) => one !== page);
  remember(KEPT, JSON.stringify([...others, [page, address]].slice(-MOST)));
}

async function cached(address: string): Promise<HTMLImageElement | undefined> {
  try {
    const response = await fetch(address, { headers: { Accept: PICTURES }, cache: "only-if-cached", mode: "same-origin" });
    return response.ok ? await decodedPicture(await response.blob()) : undefined;
  } catch {
    return undefined; // It is asked for when it is needed
  }
}

/** An element that waits for nothing but a place on the page. Fails where these bytes are no picture. */
export async function decodedPicture(bytes: Blob): Promise<HTMLImageElement> {
  const picture = new Image();
  picture.src = URL.createObjectURL(bytes);
  try {
    await picture.decode();
  } finally {
    URL.revokeObjectURL(picture.src);
  }
  return picture;
}

function here(): string {
  return location.pathname + location.search;
}

function all(): readonly (readonly [string, string])[] {
  try {
    const found: unknown = JSON.parse(remembered(KEPT) ?? "[]");
    return Array.isArray(found) ? found.filter(isPair) : [];
  } catch {
    return []; // Not ours, or cut
  }
}

function isPair(value: unknown): value is readonly [string, string] {
  return Array.isArray(value) && value.length === 2 && value.every((one) => typeof one === "string");
}
