/** Sends one file to the archive: `POST /api/upload`, a raw DICOM file or a zip of them. */
import { t } from "../i18n/language";
import { ApiError, refused, unreachable } from "./http";

export interface UploadAnswer {
  readonly stored: number;
  readonly failed: number;
  readonly message: string;
}

/**
 * `onProgress` hears the share that has left, from 0 to 1. XMLHttpRequest, because fetch cannot
 * tell how far an upload has come.
 */
export function uploadFile(
  file: File,
  onProgress: (share: number) => void,
  signal: AbortSignal,
): Promise<UploadAnswer> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `/api/upload?name=${encodeURIComponent(file.name)}`);
    request.setRequestHeader("Content-Type", isZip(file) ? "application/zip" : "application/dicom");
    request.setRequestHeader("Accept", "application/json");
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) onProgress(event.loaded / event.total);
    };
    request.onload = () => settle(request, resolve, reject);
    request.onerror = () => reject(unreachable(`POST /api/upload: no answer for ${file.name}`));
    request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(file);
  });
}

function isZip(file: File): boolean {
  return /\.zip$/i.test(file.name) || file.type === "application/zip";
}

function settle(
  request: XMLHttpRequest,
  resolve: (answer: UploadAnswer) => void,
  reject: (error: ApiError) => void,
): void {
  const answer = uploadAnswer(request.responseText);
  const detail = `POST /api/upload: ${request.status} ${request.responseText.slice(0, 400)}`;
  if (request.status >= 200 && request.status < 300 && answer.failed === 0) return resolve(answer);
  const files = request.status < 500 && request.status !== 401 && request.status !== 403;
  reject(
    files && answer.message
      ? new ApiError(() => t().errors.notTaken(sentence(answer.message)), detail, request.status)
      : refused(request.status, detail),
  );
}

function sentence(words: string): string {
  return `${words.charAt(0).toUpperCase()}${words.slice(1).replace(/[.\s]+$/, "")}.`;
}

function uploadAnswer(body: string): UploadAnswer {
  let answer: Record<string, unknown> = {};
  try {
    answer = (JSON.parse(body) ?? {}) as Record<string, unknown>;
  } catch {
    // Not JSON: the status says what happened.
  }
  const amount = (key: string) => (typeof answer[key] === "number" ? answer[key] : 0);
  const message = [answer["message"], answer["error"], answer["detail"]].find(
    (value): value is string => typeof value === "string",
  );
  return { stored: amount("stored"), failed: amount("failed"), message: message ?? "" };
}
