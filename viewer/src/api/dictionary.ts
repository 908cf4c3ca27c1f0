/** The data dictionary: fetched once for the page, when somebody first wants to read names. */
import { dictionaryOf, type Dictionary, type DictionaryRows } from "../dicom/attributes";
import { getJson } from "./http";

let known: Promise<Dictionary> | undefined;

export function dictionary(): Promise<Dictionary> {
  known ??= getJson("/api/dictionary").then(
    (rows) => dictionaryOf(rows as DictionaryRows),
    (error: unknown) => {
      known = undefined; // asked for again with the next look
      throw error;
    },
  );
  return known;
}
