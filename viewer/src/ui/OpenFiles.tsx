/** The button that opens files; what it opens comes when it is pressed. */
import { Show, Suspense, createSignal, lazy, type JSX } from "solid-js";
import { t } from "../i18n/language";
import type { FoundFile } from "../state/local";
import { Icon } from "./icons";

const OpenFilesDialog = lazy(() => import("./OpenFilesDialog"));

export interface OpenFilesProps {
  readonly onRead: (files: readonly FoundFile[]) => void;
  readonly onStore: (files: readonly FoundFile[]) => void;
}

export function OpenFiles(props: OpenFilesProps): JSX.Element {
  const [open, setOpen] = createSignal(false);
  return (
    <>
      <button type="button" class="button open-button" aria-label={t().local.open} onClick={() => setOpen(true)}>
        <Icon name="folder" /> <span>{t().local.open}</span>
      </button>
      <Show when={open()}>
        <Suspense>
          <OpenFilesDialog {...props} onClose={() => setOpen(false)} />
        </Suspense>
      </Show>
    </>
  );
}
