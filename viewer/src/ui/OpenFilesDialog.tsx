/** The two ways to open files, said plainly: read on this device, or stored in the archive. */
import { For, Show, onMount, type JSX } from "solid-js";
import { t } from "../i18n/language";
import type { FoundFile } from "../state/local";
import { Icon, type IconName } from "./icons";

export interface OpenFilesDialogProps {
  readonly onRead: (files: readonly FoundFile[]) => void;
  readonly onStore: (files: readonly FoundFile[]) => void;
  readonly onClose: () => void;
}

/** Browsers of some phones choose no folders. */
const CHOOSES_FOLDERS = "webkitdirectory" in HTMLInputElement.prototype;

export default function OpenFilesDialog(props: OpenFilesDialogProps): JSX.Element {
  let dialog!: HTMLDialogElement;
  const taken = (use: (files: readonly FoundFile[]) => void) => (files: readonly FoundFile[]) => {
    dialog.close();
    if (files.length > 0) use(files);
  };
  onMount(() => dialog.showModal());
  return (
    <dialog
      ref={dialog}
      class="open-files"
      aria-label={t().local.open}
      onClose={() => props.onClose()}
      onClick={(event) => event.target === dialog && dialog.close()}
      on:keydown={(event) => event.stopPropagation()}
    >
      <div class="open-files-head">
        <h2>{t().local.open}</h2>
        <button type="button" class="tool" aria-label={t().local.close} title={t().local.close} onClick={() => dialog.close()}>
          <Icon name="close" />
        </button>
      </div>
      <div class="ways">
        <Way
          icon="eye"
          title={t().local.here}
          words={t().local.hereWords}
          files={t().local.readFiles}
          folder={t().local.readFolder}
          onChosen={taken(props.onRead)}
        />
        <Way
          icon="upload"
          title={t().local.store}
          words={t().local.storeWords}
          files={t().upload.files}
          folder={t().local.storeFolder}
          onChosen={taken(props.onStore)}
        />
      </div>
    </dialog>
  );
}

interface WayProps {
  readonly icon: IconName;
  readonly title: string;
  readonly words: string;
  /** What the two fields are called. */
  readonly files: string;
  readonly folder: string;
  readonly onChosen: (files: readonly FoundFile[]) => void;
}

function Way(props: WayProps): JSX.Element {
  const kinds = () => [
    { label: props.files, words: t().local.files, icon: "file" as const, isFolder: false },
    { label: props.folder, words: t().local.folder, icon: "folder" as const, isFolder: true },
  ];
  return (
    <section class="way">
      <Icon name={props.icon} />
      <h3>{props.title}</h3>
      <p>{props.words}</p>
      <div class="way-buttons">
        <For each={kinds()}>
          {(kind) => (
            <Show when={!kind.isFolder || CHOOSES_FOLDERS}>
              <Chooser {...kind} onChosen={props.onChosen} />
            </Show>
          )}
        </For>
      </div>
    </section>
  );
}

interface ChooserProps {
  readonly label: string;
  readonly words: string;
  readonly icon: IconName;
  readonly isFolder: boolean;
  readonly onChosen: (files: readonly FoundFile[]) => void;
}

function Chooser(props: ChooserProps): JSX.Element {
  let input!: HTMLInputElement;
  const chosen = () => {
    props.onChosen([...(input.files ?? [])].map((file) => ({ file, path: file.webkitRelativePath || file.name })));
    input.value = "";
  };
  return (
    <>
      <button type="button" class="button" onClick={() => input.click()}>
        <Icon name={props.icon} /> {props.words}
      </button>
      <input
        ref={(element) => {
          input = element;
          element.webkitdirectory = props.isFolder;
        }}
        type="file"
        multiple
        hidden
        aria-label={props.label}
        onChange={chosen}
      />
    </>
  );
}
