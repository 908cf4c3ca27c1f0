/** All keys on one page. */
import { For, createEffect, on, type JSX } from "solid-js";
import { presetWords, type Preset } from "../dicom/presets";
import { t } from "../i18n/language";
import { COMMANDS, commandWords, keyShown } from "../tools/keys";

export interface KeysDialogProps {
  readonly open: boolean;
  readonly presets: readonly Preset[];
  readonly onClose: () => void;
}

export function KeysDialog(props: KeysDialogProps): JSX.Element {
  let dialog!: HTMLDialogElement;
  createEffect(
    on(
      () => props.open,
      (open) => {
        if (open && !dialog.open) dialog.showModal();
        if (!open && dialog.open) dialog.close();
      },
    ),
  );
  return (
    <dialog
      ref={dialog}
      class="keys"
      tabIndex={0}
      aria-label={t().keys.title}
      onClose={() => props.onClose()}
      onClick={(event) => event.target === dialog && dialog.close()}
      onKeyDown={(event) => event.key === "?" && dialog.close()}
    >
      <h2>{t().keys.title}</h2>
      <ul>
        <For each={Object.values(COMMANDS)}>
          {(command) => (
            <li>
              <span>{commandWords(command.id)}</span>
              <kbd>{keyShown(command.id)}</kbd>
            </li>
          )}
        </For>
        <For each={props.presets}>
          {(preset) => (
            <li>
              <span>{presetWords(preset)}</span>
              <kbd>{preset.key}</kbd>
            </li>
          )}
        </For>
      </ul>
      <p>{t().keys.mouse}</p>
      <p>{t().keys.drawing}</p>
    </dialog>
  );
}
