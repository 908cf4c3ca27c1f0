/**
 * The one place that speaks to the server. A failure becomes an `ApiError` with words a physician
 * understands, what to do, and a detail to copy for whoever looks after the server.
 */

export class ApiError extends Error {
  override readonly name = "ApiError";

  constructor(
    /** What happened, in words. */
    message: string,
    /** What the person can do. */
    readonly advice: string,
    /** For whoever looks after the server. */
    readonly detail: string,
    readonly status = 0,
  ) {
    super(message);
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
    throw new ApiError(
      "The server's answer could not be read.",
      "Try again. If it stays so, tell whoever looks after this server.",
      `GET ${path}: ${String(error)}`,
      response.status,
    );
  }
}

export async function getDicomJson(path: string, signal?: AbortSignal): Promise<unknown> {
  const response = await get(path, "application/dicom+json", signal);
  return response.status === 204 ? [] : await response.json();
}

export async function getBlob(path: string, accept: string, signal?: AbortSignal): Promise<Blob> {
  return await (await get(path, accept, signal)).blob();
}

async function get(path: string, accept: string, signal?: AbortSignal): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { headers: { Accept: accept }, signal: signal ?? null });
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
  return new ApiError(
    "The server cannot be reached.",
    "Check the network connection; this page tries again when you do.",
    detail,
  );
}

export function refused(status: number, detail: string): ApiError {
  const [message, advice] = REFUSALS[status] ?? OTHER_REFUSAL;
  return new ApiError(message, advice, detail, status);
}

const OTHER_REFUSAL = [
  "The server could not do this.",
  "Try again. If it stays so, tell whoever looks after this server.",
] as const;

const REFUSALS: Readonly<Record<number, readonly [string, string]>> = {
  401: ["You are not signed in.", "Sign in and try again."],
  403: ["You may not see this.", "Ask whoever looks after this server for access."],
  404: ["This is not in the archive.", "It may have been deleted, or the link is from another server."],
  406: ["The server cannot give this in a form the page can show.", "Download it instead."],
  410: ["This was deleted.", "Whoever looks after this server can bring it back."],
  413: ["The file is larger than the server accepts.", "Send it over DICOM instead."],
  415: ["The file is not of a kind the archive keeps.", "Choose DICOM files, or a zip of them."],
  503: ["The server is busy.", "Wait a moment and try again."],
  507: ["The archive's disk is full.", "Tell whoever looks after this server; nothing was lost."],
};

const LONGEST_DETAIL = 400;

async function shortBody(response: Response): Promise<string> {
  try {
    return (await response.text()).slice(0, LONGEST_DETAIL);
  } catch {
    return "";
  }
}
