/**
 * What this page has read from files on this device: one collection, until the page is closed. Its code comes when
 * files are opened.
 */
import { createSignal } from "solid-js";
import type { FoundFile, LocalFiles } from "../state/local";
import { openLocalPage } from "./router";
import { sendFiles } from "./uploads";

const [localFiles, setLocalFiles] = createSignal<LocalFiles | null>(null);

/** Null before any file was opened. */
export { localFiles };

export async function readHere(files: readonly FoundFile[] | Promise<readonly FoundFile[]>): Promise<void> {
  openLocalPage();
  const [{ createLocalFiles }, { readFiles }] = await Promise.all([
    import("../state/local"),
    import("../state/localworker"),
  ]);
  const held = localFiles() ?? createLocalFiles(readFiles);
  setLocalFiles(held);
  await held.read(files);
}

export async function store(files: readonly FoundFile[] | Promise<readonly FoundFile[]>): Promise<void> {
  await sendFiles((await files).map(({ file }) => file));
}
