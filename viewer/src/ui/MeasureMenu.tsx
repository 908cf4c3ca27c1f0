/** Which measuring tool: the one used last as a button, where there is room for it, all of them one step away. */
import { DropdownMenu } from "@kobalte/core/dropdown-menu";
import { For, Show, type JSX } from "solid-js";
import { KINDS, type Kind } from "../dicom/measure";
import { t } from "../i18n/study";
import { commandWords, keyShown } from "../tools/keys";
import type { DragTool } from "../tools/mouse";
import { ToolButton } from "./controls";
import { Icon, type IconName } from "./icons";
import { isNarrow, menuPlacement } from "./room";
import "./toolicons";

export const KIND_ICONS: Readonly<Record<Kind, IconName>> = {
  length: "ruler",
  bidirectional: "plus",
  angle: "angle",
  cobb: "cobb",
  ellipse: "ellipse",
  rectangle: "rectangle",
  circle: "circle",
  freehand: "freehand",
  spline: "spline",
  arrow: "arrow",
  probe: "pipette",
};

export interface MeasureMenuProps {
  readonly tool: DragTool;
  readonly last: Kind;
  readonly disabled: boolean;
  readonly onTool: (tool: Kind) => void;
  readonly panelOpen: boolean;
  readonly onPanel: () => void;
  readonly onLeave: () => void;
}

export function MeasureMenu(props: MeasureMenuProps): JSX.Element {
  return (
    <div class="measure-menu">
      <Show when={!isNarrow()}>
        <ToolButton
          icon={KIND_ICONS[props.last]}
          words={commandWords(props.last)}
          shortcut={keyShown(props.last)}
          pressed={props.tool === props.last}
          disabled={props.disabled}
          onUse={() => props.onTool(props.last)}
        />
      </Show>
      <DropdownMenu placement={menuPlacement()} gutter={6} modal={false}>
        <DropdownMenu.Trigger
          class="tool"
          classList={{ narrow: !isNarrow(), "in-hand": isNarrow() && props.tool === props.last }}
          aria-label={t().measure.menu}
          title={t().measure.menu}
        >
          <Icon name={isNarrow() ? KIND_ICONS[props.last] : "chevronDown"} />
        </DropdownMenu.Trigger>
        <DropdownMenu.Portal>
          <DropdownMenu.Content
            class="menu"
            onCloseAutoFocus={(event) => {
              event.preventDefault();
              props.onLeave();
            }}
          >
            <DropdownMenu.Group>
              <DropdownMenu.GroupLabel class="menu-title">{t().measure.menu}</DropdownMenu.GroupLabel>
              <For each={KINDS}>
                {(kind) => (
                  <DropdownMenu.Item class="menu-item" disabled={props.disabled} onSelect={() => props.onTool(kind)}>
                    <Icon name={KIND_ICONS[kind]} />
                    <span class="grow">{commandWords(kind)}</span>
                    <kbd>{keyShown(kind)}</kbd>
                  </DropdownMenu.Item>
                )}
              </For>
            </DropdownMenu.Group>
            <DropdownMenu.Separator class="menu-line" />
            <DropdownMenu.Item class="menu-item" onSelect={() => props.onPanel()}>
              <Icon name={props.panelOpen ? "check" : "list"} />
              <span class="grow">{commandWords("panel")}</span>
              <kbd>{keyShown("panel")}</kbd>
            </DropdownMenu.Item>
          </DropdownMenu.Content>
        </DropdownMenu.Portal>
      </DropdownMenu>
    </div>
  );
}
