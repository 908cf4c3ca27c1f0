/** Files dropped anywhere on the page, or chosen, and what becomes of them. */
import { For, Show, createSignal, type JSX } from "solid-js";
import { numberInWords, t } from "../i18n/language";
import type { Uploads } from "../state/uploads";
import { CopyButton, Progress } from "./controls";
import { Icon } from "./icons";

export interface FilesProps {
  readonly onFiles: (files: readonly File[]) => void;
}

export function DropZone(props: FilesProps & { readonly children: JSX.Element }): JSX.Element {
  const [over, setOver] = createSignal(false);
  let depth = 0;
  const carriesFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
  const enter = (event: DragEvent) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    depth += 1;
    setOver(true);
  };
  const leave = () => {
    depth = Math.max(0, depth - 1);
    setOver(depth > 0);
  };
  const drop = async (event: DragEvent) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    depth = 0;
    setOver(false);
    props.onFiles(await droppedFiles(event.dataTransfer!));
  };
  return (
    <div
      class="list-page"
      onDragEnter={enter}
      onDragOver={(event) => carriesFiles(event) && event.preventDefault()}
      onDragLeave={leave}
      onDrop={(event) => void drop(event)}
    >
      {props.children}
      <Show when={over()}>
        <div class="drop-here">
          <Icon name="upload" />
          <p>{t().upload.drop}</p>
        </div>
      </Show>
    </div>
  );
}

/** Folders are walked. Entries must be taken from the event before anything is awaited. */
async function droppedFiles(transfer: DataTransfer): Promise<readonly File[]> {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry());
  const plain = [...transfer.files];
  const walked: File[] = [];
  for (const entry of entries) if (entry) await walk(entry, walked);
  return walked.length > 0 ? walked : plain;
}

async function walk(entry: FileSystemEntry, into: File[]): Promise<void> {
  if (entry.name.startsWith(".")) return;
  if (entry.isFile) {
    into.push(await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject)));
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    // A directory gives its entries in batches; an empty one is the end.
    const batch = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (batch.length === 0) return;
    for (const child of batch) await walk(child, into);
  }
}

export function FilePicker(props: FilesProps): JSX.Element {
  let input!: HTMLInputElement;
  return (
    <>
      <button type="button" class="button upload-button" aria-label={t().upload.choose} onClick={() => input.click()}>
        <Icon name="upload" /> <span>{t().upload.choose}</span>
      </button>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        aria-label={t().upload.files}
        onChange={() => {
          props.onFiles([...(input.files ?? [])]);
          input.value = "";
        }}
      />
    </>
  );
}

export function UploadPanel(props: { readonly uploads: Uploads }): JSX.Element {
  const { uploads } = props;
  const { state } = uploads;
  const busy = () => state.done < state.total;
  const share = () =>
    state.total === 0
      ? 0
      : (state.done + state.sending.reduce((sum, one) => sum + one.share, 0)) / state.total;
  return (
    <Show when={state.total > 0}>
      <section class="uploads" aria-label={t().upload.title} aria-live="polite">
        <header>
          <p>
            <Show when={busy()} fallback={finished(state.total, state.failed.length)}>
              {t().upload.sending(Math.min(state.done + 1, state.total), state.total)}
            </Show>
          </p>
          <button
            type="button"
            class="tool small"
            aria-label={busy() ? t().upload.stop : t().upload.close}
            title={busy() ? t().upload.stop : t().upload.close}
            onClick={() => (busy() ? uploads.cancel() : uploads.dismiss())}
          >
            <Icon name="close" />
          </button>
        </header>
        <Progress share={share()} label={t().upload.allFiles} />
        <ul>
          <For each={state.sending}>
            {(one) => (
              <li class="sending">
                <span>{one.name}</span>
                <small>{numberInWords(Math.round(one.share * 100))} %</small>
              </li>
            )}
          </For>
          <For each={state.failed}>
            {(one) => (
              <li class="failed">
                <span>{one.name}</span>
                <p>
                  {one.error.message} {one.error.advice}
                </p>
                <CopyButton text={one.error.detail} />
              </li>
            )}
          </For>
        </ul>
      </section>
    </Show>
  );
}

function finished(total: number, failed: number): string {
  return failed === 0 ? t().upload.stored(total) : t().upload.storedBut(total - failed, failed);
}
