/** What was edited of a study: `/api/edits`. */
import { getJson, isCancelled, refused, unreachable } from "./http";

export interface EditedAttribute {
  /** Eight hexadecimal digits. */
  readonly tag: string;
  readonly keyword: string;
  readonly name: string;
  /** Empty where there was none, or is none any more. */
  readonly before: string;
  readonly after: string;
  readonly objects: number;
}

export interface Edit {
  readonly edit: number;
  readonly kind: string;
  /** ISO 8601. */
  readonly at: string;
  readonly who: string;
  readonly why: string;
  readonly objects: number;
  readonly reverts: number | null;
  readonly revertedBy: number | null;
  readonly changes: readonly EditedAttribute[];
}

/** Newest first. */
export interface History {
  readonly edits: readonly Edit[];
}

/** As many as one reads; the command line has all of them. */
const MOST = 30;

export async function readHistory(study: string): Promise<History> {
  const list = (await getJson(`/api/edits?study=${study}&limit=${MOST}`)) as { edits: readonly { edit: number }[] };
  const edits = await Promise.all(list.edits.map(({ edit }) => getJson(`/api/edits/${edit}`)));
  return { edits: edits as readonly Edit[] };
}

/** Null where it was undone; else what stands against it, in the server's words. Throws an ApiError. */
export async function undoEdit(edit: number, why: string): Promise<string | null> {
  const path = `/api/edits/${edit}/revert`;
  let answer: Response;
  try {
    answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ why }),
    });
  } catch (error) {
    if (isCancelled(error)) throw error;
    throw unreachable(`POST ${path}: ${String(error)}`);
  }
  if (answer.ok) return null;
  const said = (await answer.json().catch(() => ({}))) as { error?: string };
  if (answer.status === 409) return said.error ?? "";
  throw refused(answer.status, `POST ${path}: ${answer.status} ${said.error ?? ""}`);
}
