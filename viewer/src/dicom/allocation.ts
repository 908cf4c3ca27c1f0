/** Lack of memory, where a browser does not name it: a fetch has "failed" then, a file "could not be read", a picture not be decoded. */

/** Why so many bytes were not given: that they are not to be had, where this device refuses them right now; else `error`. */
export function whyNotGiven(bytes: number, error: unknown): unknown {
  try {
    void new ArrayBuffer(bytes);
  } catch (refusal) {
    return refusal;
  }
  return error;
}
