/** What a volume that is seen as a solid thing is made of. */
import { DropdownMenu } from "@kobalte/core/dropdown-menu";
import { For, Show, type JSX } from "solid-js";
import type { Rendering } from "../dicom/volume";
import { t } from "../i18n/study";
import { Icon } from "./icons";
import { menuPlacement } from "./room";

export interface RenderingMenuProps {
  readonly rendering: Rendering;
  readonly choices: readonly Rendering[];
  readonly onChoose: (rendering: Rendering) => void;
}

export function RenderingMenu(props: RenderingMenuProps): JSX.Element {
  return (
    <DropdownMenu placement={menuPlacement()} gutter={6} modal={false}>
      <DropdownMenu.Trigger class="tool" aria-label={t().volume.rendering.title} title={t().volume.rendering.title}>
        <Icon name="rotate3d" />
        <span class="tool-words">{t().volume.rendering.title}</span>
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content class="menu rendering-menu">
          <For each={props.choices}>
            {(rendering) => (
              <DropdownMenu.Item class="menu-item" onSelect={() => props.onChoose(rendering)}>
                <span class="grow">{t().volume.rendering[rendering]}</span>
                <Show when={props.rendering === rendering}>
                  <Icon name="check" />
                </Show>
              </DropdownMenu.Item>
            )}
          </For>
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu>
  );
}
