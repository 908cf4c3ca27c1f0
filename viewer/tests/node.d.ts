/** The little of Node that the tests use; its own types would be one more package to fetch. */
declare module "node:test" {
  export function test(name: string, run: () => void | Promise<void>): void;
  export const mock: {
    timers: { enable(options: { apis: readonly string[] }): void; tick(milliseconds: number): void; reset(): void };
  };
}

declare module "node:assert/strict" {
  const assert: {
    equal(actual: unknown, expected: unknown, message?: string): void;
    deepEqual(actual: unknown, expected: unknown, message?: string): void;
    rejects(work: Promise<unknown>, message?: string): Promise<void>;
    throws(run: () => unknown, kind: abstract new (...values: never[]) => Error, message?: string): void;
    ok(value: unknown, message?: string): asserts value;
  };
  export default assert;
}
