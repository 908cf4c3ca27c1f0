/**
 * The letters at the edges of an image: towards Left, Right, Anterior, Posterior, Head, Feet.
 *
 * Patient coordinates grow to the Left, Posterior and Head (PS3.3 C.7.6.2.1.1). A direction gets
 * the letters of its components in order of size, so an oblique edge reads "LA" or "HL".
 */
import type { Vector3 } from "./model";

const AXES = [
  ["L", "R"],
  ["P", "A"],
  ["H", "F"],
] as const;

/** Smaller components than this (about 17 degrees off axis) are not worth a letter. */
const SEEN = 0.3;

export function directionLetters(direction: Vector3): string {
  return direction
    .map((size, axis) => ({ size: Math.abs(size), letter: AXES[axis]![size >= 0 ? 0 : 1] }))
    .filter(({ size }) => size > SEEN)
    .sort((a, b) => b.size - a.size)
    .map(({ letter }) => letter)
    .join("");
}

export interface EdgeLetters {
  readonly top: string;
  readonly right: string;
  readonly bottom: string;
  readonly left: string;
}

const negated = (v: Vector3): Vector3 => [-v[0], -v[1], -v[2]];

/** The four edges of a screen of which `right` and `down` are given in patient coordinates. */
export function edgeLetters(right: Vector3, down: Vector3): EdgeLetters {
  return {
    top: directionLetters(negated(down)),
    right: directionLetters(right),
    bottom: directionLetters(down),
    left: directionLetters(negated(right)),
  };
}

const OPPOSITE: Readonly<Record<string, string>> = {
  L: "R", R: "L", A: "P", P: "A", H: "F", F: "H",
};

export function oppositeLetters(letters: string): string {
  return [...letters].map((letter) => OPPOSITE[letter] ?? letter).join("");
}

/**
 * Edges of an image without geometry that names the directions of its row and column (Patient
 * Orientation, PS3.3 C.7.6.1.1.1). `right` and `down` are in image coordinates: x along the row.
 */
export function edgeLettersFromNames(
  row: string,
  column: string,
  right: Vector3,
  down: Vector3,
): EdgeLetters {
  const towards = ([x, y]: Vector3): string => {
    if (Math.abs(x) >= Math.abs(y)) return x >= 0 ? row : oppositeLetters(row);
    return y >= 0 ? column : oppositeLetters(column);
  };
  return {
    top: towards(negated(down)),
    right: towards(right),
    bottom: towards(down),
    left: towards(negated(right)),
  };
}

export function cross(a: Vector3, b: Vector3): Vector3 {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}

export function dot(a: Vector3, b: Vector3): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}
