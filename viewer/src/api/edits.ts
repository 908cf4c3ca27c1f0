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
  /** Whether there are earlier ones. */
  readonly more: boolean;
}

/** As many as one reads at a time. */
const PAGE = 30;

/** `count` edits at least, where there are as many, before edit number `before` (0: the newest). */
export async function readHistory(study: string, before = 0, count = PAGE): Promise<History> {
  const edits: Edit[] = [];
  let last: number | null = before;
  do {
    const path = `/api/edits?study=${study}&limit=${PAGE}${last ? `&before=${last}` : ""}`;
    const list = (await getJson(path)) as { edits: readonly { edit: number }[]; next: number | null };
    edits.push(...((await Promise.all(list.edits.map(({ edit }) => getJson(`/api/edits/${edit}`)))) as Edit[]));
    last = list.next;
  } while (last !== null && edits.length < count);
  return { edits, more: last !== null };
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
