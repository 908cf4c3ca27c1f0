/** Pixels as they are stored: which bits are the value (PS3.5 8.1.1). */

export interface StoredBits {
  readonly bitsAllocated: number;
  readonly bitsStored: number;
  readonly highBit: number;
  readonly pixelRepresentation: number;
}

/** The value in Bits Stored below High Bit, sign extended; what lies in the other bits is left out. */
export function storedValue({ bitsStored, highBit, pixelRepresentation }: StoredBits, word: number): number {
  const high = highBit >= bitsStored - 1 ? highBit : bitsStored - 1;
  const raised = word << (31 - high);
  return pixelRepresentation === 1 ? raised >> (32 - bitsStored) : raised >>> (32 - bitsStored);
}

/** The least and the greatest value that the bits can hold. */
export function storedRange({ bitsStored, pixelRepresentation }: StoredBits): readonly [least: number, greatest: number] {
  if (pixelRepresentation === 1) return [-(2 ** (bitsStored - 1)), 2 ** (bitsStored - 1) - 1];
  return [0, 2 ** bitsStored - 1];
}
