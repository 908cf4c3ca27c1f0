/** All keys on one page. */
import { For, createEffect, type JSX } from "solid-js";
import type { Preset } from "../dicom/presets";
import { COMMANDS } from "../tools/keys";

export interface KeysDialogProps {
  readonly open: boolean;
  readonly presets: readonly Preset[];
  readonly onClose: () => void;
}

export function KeysDialog(props: KeysDialogProps): JSX.Element {
  let dialog!: HTMLDialogElement;
  createEffect(() => {
    if (props.open && !dialog.open) dialog.showModal();
    if (!props.open && dialog.open) dialog.close();
  });
  return (
    <dialog
      ref={dialog}
      class="keys"
      aria-label="Keys"
      onClose={() => props.onClose()}
      onClick={(event) => event.target === dialog && dialog.close()}
      onKeyDown={(event) => event.key === "?" && dialog.close()}
    >
      <h2>Keys</h2>
      <ul>
        <For each={Object.values(COMMANDS)}>
          {(command) => (
            <li>
              <span>{command.words}</span>
              <kbd>{command.shown}</kbd>
            </li>
          )}
        </For>
        <For each={props.presets}>
          {(preset) => (
            <li>
              <span>{preset.name}</span>
              <kbd>{preset.key}</kbd>
            </li>
          )}
        </For>
      </ul>
      <p>Wheel: through the images. Right button: zoom. Middle button: move. Double click: reset.</p>
    </dialog>
  );
}
