/** Drafts of measurements: `/api/studies/{StudyInstanceUID}/draft`, in versions, one for each person and study. */
import { isCancelled, refused, unreachable } from "./http";

export interface DraftValue {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What defines a name that is not one of those that all know. */
  readonly code?: { readonly value: string; readonly scheme: string; readonly meaning: string };
}

/** With `points` in its image, or `points3d` in mm of the image's Frame of Reference. */
export interface DraftMeasurement {
  readonly id: string;
  readonly kind: string;
  readonly image: {
    readonly seriesInstanceUid: string;
    readonly sopInstanceUid: string;
    readonly sopClassUid: string;
    readonly frame?: number;
    readonly frameOfReferenceUid?: string;
  };
  readonly points?: readonly (readonly [column: number, row: number])[];
  readonly label?: string;
  readonly text?: string;
  readonly values?: readonly DraftValue[];
  readonly points3d?: readonly (readonly [x: number, y: number, z: number])[];
}

export interface Draft {
  readonly version: number;
  readonly measurements: readonly DraftMeasurement[];
}

/** A version was written; or somebody else had written one, which is then there (null for none at all). */
export type Written = { readonly version: number } | { readonly current: Draft | null };

/** Browsers allow 64 KiB, in bytes; letters may take more than one. */
const MOST_KEPT_ALIVE = 20_000;

const path = (study: string) => `/api/studies/${study}/draft`;

/** Null where there is none. */
export async function readDraft(study: string, signal?: AbortSignal): Promise<Draft | null> {
  const answer = await ask("GET", path(study), {}, undefined, signal);
  if (answer.status === 204) return null;
  if (!answer.ok) throw await refusal("GET", path(study), answer);
  return (await answer.json()) as Draft;
}

/** Write what follows `version`, which is null for the first. */
export async function writeDraft(
  study: string,
  version: number | null,
  measurements: readonly DraftMeasurement[],
): Promise<Written> {
  const condition: Record<string, string> = version === null ? { "If-None-Match": "*" } : { "If-Match": `"${version}"` };
  const answer = await ask("PUT", path(study), condition, { measurements });
  if (answer.status === 412) return { current: ((await answer.json()) as { current: Draft | null }).current };
  if (!answer.ok) throw await refusal("PUT", path(study), answer);
  return { version: ((await answer.json()) as { version: number }).version };
}

/** Make a report of the draft; the same `key` never makes a second one. Answers the version that follows. */
export async function reportDraft(study: string, key: string): Promise<number> {
  const answer = await ask("POST", `${path(study)}/report`, {}, { key });
  if (!answer.ok) throw await refusal("POST", `${path(study)}/report`, answer);
  return ((await answer.json()) as { version: number }).version;
}

async function ask(
  method: string,
  address: string,
  headers: Readonly<Record<string, string>>,
  body?: unknown,
  signal?: AbortSignal,
): Promise<Response> {
  const text = body === undefined ? undefined : JSON.stringify(body);
  // A page that is being left may still send so much.
  const sent = text === undefined ? {} : { body: text, keepalive: text.length < MOST_KEPT_ALIVE };
  const kind: Record<string, string> = body === undefined ? {} : { "Content-Type": "application/json" };
  try {
    return await fetch(address, { method, headers: { ...headers, ...kind }, signal: signal ?? null, ...sent });
  } catch (error) {
    if (isCancelled(error)) throw error;
    throw unreachable(`${method} ${address}: ${String(error)}`);
  }
}

async function refusal(method: string, address: string, answer: Response): Promise<Error> {
  const said = await answer.text().catch(() => "");
  return refused(answer.status, `${method} ${address}: ${answer.status} ${said.slice(0, 400)}`);
}
