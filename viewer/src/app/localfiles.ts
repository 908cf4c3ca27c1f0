/** What this page has read from files on this device: one collection, until the page is closed. */
import { createLocalFiles, type FoundFile } from "../state/local";
import { readFiles } from "../state/localworker";
import { openLocalPage } from "./router";
import { sendFiles } from "./uploads";

export const localFiles = createLocalFiles(readFiles);

export function readHere(files: readonly FoundFile[] | Promise<readonly FoundFile[]>): void {
  void localFiles.read(files);
  openLocalPage();
}

export async function store(files: readonly FoundFile[] | Promise<readonly FoundFile[]>): Promise<void> {
  sendFiles((await files).map(({ file }) => file));
}
