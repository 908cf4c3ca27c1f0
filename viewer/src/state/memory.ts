/** How much memory decoded images may take on a device. */

export const MEBIBYTE = 1 << 20;

/** As a share of the device's memory: the rest is for what else the browser, other tabs and the system keep. */
const PER_GIBIBYTE = 256 * MEBIBYTE;
/** In GiB, where a browser does not tell. Phones and tablets end a page that takes too much without a word. */
const [OF_A_DESK, OF_A_HAND] = [4, 2];
/** In MiB: below, not even small images are seen; above, browsers give a page no more. */
const [LEAST, MOST] = [1, 8192];

export interface DeviceMemory {
  /** In GiB, rounded, 8 at most; not every browser tells it, and none to a page without encryption. */
  readonly deviceMemory: number | undefined;
  /** It is held in a hand: touched, without a mouse. */
  readonly isHandheld: boolean;
  /** In MiB, as somebody wrote it. */
  readonly chosen: string | null;
}

/** In bytes. */
export function memoryBudget({ deviceMemory, isHandheld, chosen }: DeviceMemory): number {
  const mebibytes = Number(chosen ?? NaN);
  if (mebibytes > 0) return Math.min(MOST, Math.max(LEAST, mebibytes)) * MEBIBYTE;
  return Math.max(1, deviceMemory ?? (isHandheld ? OF_A_HAND : OF_A_DESK)) * PER_GIBIBYTE;
}

const NO_MEMORY = /alloc|invalid (typed )?array( buffer)? length|array buffer length|out of memory|\boom\b|enlarge memory|cache_?size_?exceeded|fill the memory/i;

/** Whether something failed because memory was not to be had, here or in a worker. */
export function isOutOfMemory(error: unknown): boolean {
  return error instanceof Error && NO_MEMORY.test(error.message);
}
