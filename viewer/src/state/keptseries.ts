/**
 * Which stacks lie in the browser's cache as a whole, and in which state of their series: as long as the
 * server names the same state, their frames need not be asked about one by one.
 */

export interface KeptSeries {
  isKept(stack: string, tag: string | undefined): boolean;
  /** All frames were had, and the series was still in this state afterwards. */
  note(stack: string, tag: string): void;
}

export interface Shelf {
  read(): string | null;
  write(text: string): void;
}

/** More than a browser's cache holds. */
const MOST = 200;

export function createKeptSeries(shelf: Shelf): KeptSeries {
  const all = (): readonly (readonly [string, string])[] => {
    try {
      const found: unknown = JSON.parse(shelf.read() ?? "[]");
      return Array.isArray(found) ? found.filter(isPair) : [];
    } catch {
      return []; // Not ours, or cut: nothing is known then, and each frame is asked about.
    }
  };
  return {
    isKept: (stack, tag) => tag !== undefined && all().some(([name, held]) => name === stack && held === tag),
    note(stack, tag) {
      const others = all().filter(([name]) => name !== stack);
      shelf.write(JSON.stringify([...others, [stack, tag]].slice(-MOST)));
    },
  };
}

function isPair(value: unknown): value is readonly [string, string] {
  return Array.isArray(value) && value.length === 2 && value.every((one) => typeof one === "string");
}
