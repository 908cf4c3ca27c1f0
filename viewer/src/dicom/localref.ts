/**
 * How metadata of a file on this device names what is left out: `local:{file}/{offset}/{length}`.
 *
 * `file` is the number under which the page keeps the file. An undefined length is `u`; `/i{offset}` at the end says
 * that the Data Set is deflated from there on, and the other offset counts in what it inflates to.
 */

export interface LocalReference {
  readonly file: number;
  readonly offset: number;
  /** Undefined where fragments follow until a delimiter. */
  readonly length: number | undefined;
  /** Where a deflated Data Set begins. */
  readonly deflatedFrom?: number | undefined;
}

const SCHEME = "local:";
const SHAPE = /^local:(\d+)\/(\d+)\/(\d+|u)(?:\/i(\d+))?$/;

export function writeLocalReference({ file, offset, length, deflatedFrom }: LocalReference): string {
  return `${SCHEME}${file}/${offset}/${length ?? "u"}${deflatedFrom === undefined ? "" : `/i${deflatedFrom}`}`;
}

/** Undefined for what names nothing on this device. */
export function readLocalReference(uri: string | undefined): LocalReference | undefined {
  const [, file, offset, length, deflatedFrom] = SHAPE.exec(uri ?? "") ?? [];
  if (file === undefined) return undefined;
  return {
    file: Number(file),
    offset: Number(offset),
    length: length === "u" ? undefined : Number(length),
    deflatedFrom: deflatedFrom === undefined ? undefined : Number(deflatedFrom),
  };
}
