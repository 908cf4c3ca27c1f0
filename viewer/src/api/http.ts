/**
 * The one place that speaks to the server. A failure becomes an `ApiError` with words a physician
 * understands, what to do, and a detail to copy for whoever looks after the server.
 */
import { t } from "../i18n/language";

/** What happened, in words, and what the person can do. */
export interface Said {
  readonly message: string;
  readonly advice: string;
}

export class ApiError extends Error {
  override readonly name = "ApiError";

  constructor(
    /** Asked anew whenever it is shown: the language may have changed. */
    private readonly said: () => Said,
    /** For whoever looks after the server. */
    readonly detail: string,
    readonly status = 0,
  ) {
    super();
  }

  override get message(): string {
    return this.said().message;
  }

  get advice(): string {
    return this.said().advice;
  }
}

export function isCancelled(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

export async function getJson(path: string, signal?: AbortSignal): Promise<unknown> {
  const response = await get(path, "application/json, application/dicom+json;q=0.9", signal);
  if (response.status === 204) return [];
  try {
    return await response.json();
  } catch (error) {
    if (isCancelled(error)) throw error;
    throw new ApiError(() => t().errors.unreadable, `GET ${path}: ${String(error)}`, response.status);
  }
}

export async function getDicomJson(path: string, signal?: AbortSignal): Promise<unknown> {
  return (await getTagged(path, signal)).json;
}

/** An answer and its entity tag, which is another one as soon as what is answered is. */
export async function getTagged(path: string, signal?: AbortSignal): Promise<{ json: unknown; tag: string | null }> {
  const response = await get(path, DICOM_JSON, signal);
  const json: unknown = response.status === 204 ? [] : await response.json();
  return { json, tag: response.headers.get("etag") };
}

/** The entity tag alone; the server is asked whether it still holds. */
export async function currentTag(path: string): Promise<string | null> {
  const response = await fetched(path, { headers: { Accept: DICOM_JSON }, cache: "no-cache" });
  await response.body?.cancel();
  return response.headers.get("etag");
}

const DICOM_JSON = "application/dicom+json";

export async function getBlob(path: string, accept: string, signal?: AbortSignal): Promise<Blob> {
  return await (await get(path, accept, signal)).blob();
}

/** Some bytes of something, and how many it has. */
export interface Piece {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly total: number;
}

/** The first `length` bytes of what is there, or all where it is shorter. */
export async function getBeginning(path: string, accept: string, length: number, signal?: AbortSignal): Promise<Piece> {
  const response = await get(path, accept, signal, { Range: `bytes=0-${length - 1}` });
  const bytes = new Uint8Array(await response.arrayBuffer());
  return { bytes, total: Number(/\/(\d+)$/.exec(response.headers.get("Content-Range") ?? "")?.[1] ?? bytes.length) };
}

/** How many bytes there are, without fetching them; undefined where the server does not know before. */
export async function getSize(path: string, accept: string): Promise<number | undefined> {
  const length = (await get(path, accept, undefined, {}, "HEAD")).headers.get("Content-Length");
  return length === null ? undefined : Number(length);
}

function get(
  path: string,
  accept: string,
  signal?: AbortSignal,
  more: Readonly<Record<string, string>> = {},
  method: "GET" | "HEAD" = "GET",
): Promise<Response> {
  return fetched(path, { method, headers: { Accept: accept, ...more }, signal: signal ?? null });
}

/** The answer to a GET or HEAD. Throws an ApiError for any other than of success. */
export async function fetched(path: string, how: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, how);
  } catch (error) {
    if (isCancelled(error)) throw error;
    throw unreachable(`GET ${path}: ${String(error)}`);
  }
  if (!response.ok) {
    throw refused(response.status, `GET ${path}: ${response.status} ${await shortBody(response)}`);
  }
  return response;
}

export function unreachable(detail: string): ApiError {
  return new ApiError(() => t().errors.unreachable, detail);
}

export function refused(status: number, detail: string): ApiError {
  return new ApiError(() => t().errors[REFUSALS[status] ?? "refused"], detail, status);
}

/** The server has nothing at the address. */
export function isAbsent(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404;
}

type Refusal = "signedOut" | "forbidden" | "absent" | "noForm" | "deleted" | "tooLarge" | "wrongKind" | "busy" | "diskFull";

const REFUSALS: Readonly<Record<number, Refusal>> = {
  401: "signedOut",
  403: "forbidden",
  404: "absent",
  406: "noForm",
  410: "deleted",
  413: "tooLarge",
  415: "wrongKind",
  503: "busy",
  507: "diskFull",
};

const LONGEST_DETAIL = 400;

async function shortBody(response: Response): Promise<string> {
  try {
    return (await response.text()).slice(0, LONGEST_DETAIL);
  } catch {
    return "";
  }
}
