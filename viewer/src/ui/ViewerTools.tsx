/** The tool bar: what this modality needs first, the rest one step away. */
import { DropdownMenu } from "@kobalte/core/dropdown-menu";
import { For, Show, type JSX } from "solid-js";
import type { Window } from "../dicom/frame";
import { presetWords, type Preset } from "../dicom/presets";
import type { Crop } from "../dicom/crop";
import type { Rendering, Slab } from "../dicom/volume";
import { t } from "../i18n/study";
import type { ShownOver } from "../render/view";
import type { FusionLook } from "../state/fusion";
import { cellCount, type Layout } from "../state/layout";
import { commandWords, keyNamed, keyShown, type CommandId } from "../tools/keys";
import type { Kind } from "../dicom/measure";
import type { DragTool, HandTool } from "../tools/mouse";
import { ToolButton } from "./controls";
import { CropMenu } from "./CropMenu";
import { FusionMenu } from "./FusionMenu";
import { Icon, type IconName } from "./icons";
import "./toolicons";
import { showLanguages } from "./languages";
import { LayoutMenu } from "./LayoutMenu";
import { MeasureMenu } from "./MeasureMenu";
import { windowInWords } from "./overlaylines";
import { RenderingMenu } from "./RenderingMenu";
import { isNarrow, isRoomy, menuPlacement } from "./room";
import { SlabMenu } from "./SlabMenu";
import { theme, toggleTheme } from "./theme";

export interface ViewerToolsProps {
  readonly tool: DragTool;
  readonly onTool: (tool: DragTool) => void;
  /** The measuring tool that was in hand last. */
  readonly lastKind: Kind;
  readonly panelOpen: boolean;
  /** All attributes are read beside the image. */
  readonly info: boolean;
  readonly lens: boolean;
  /** The study is kept here, and what was edited of it is known. */
  readonly hasHistory: boolean;
  /** Less its mask; null where nothing says what to subtract. */
  readonly subtracted: boolean | null;
  /** What files draw over their pixels is seen. */
  readonly overlays: boolean;
  readonly run: (command: CommandId) => void;
  readonly canUndo: boolean;
  readonly canRedo: boolean;
  readonly presets: readonly Preset[];
  /** The windows that the image itself brings. */
  readonly windows: readonly Window[];
  readonly onWindow: (window: Window) => void;
  readonly onPreset: (preset: Preset) => void;
  readonly canScroll: boolean;
  readonly canWindow: boolean;
  readonly playing: boolean;
  readonly inverted: boolean;
  readonly disabled: boolean;
  readonly layout: Layout;
  /** The planes of a volume are seen. */
  readonly planes: boolean;
  /** Of the active cell, where it shows a volume. */
  readonly slab: Slab | null;
  readonly canSlab: boolean;
  /** Of the active cell, where it shows a volume as a solid thing. */
  readonly rendering: Rendering | null;
  readonly renderings: readonly Rendering[];
  readonly onRendering: (rendering: Rendering) => void;
  readonly solid: boolean;
  /** Of the active cell, where it shows a volume as a solid thing. */
  readonly crop: Crop | null;
  readonly onCrop: (crop: Crop) => void;
  readonly cropOpen: boolean;
  readonly onCropOpen: (open: boolean) => void;
  /** Of the active cell, where one volume is seen over another. */
  readonly over: ShownOver | null;
  readonly fusion: FusionLook;
  readonly onFusion: (look: FusionLook) => void;
  readonly fused: boolean;
  readonly onSlab: (slab: Slab | null) => void;
  readonly onLayout: (rows: number, columns: number) => void;
  /** Cells scroll together; lines show where they cut one another. */
  readonly linked: boolean;
  readonly lines: boolean;
  readonly open: boolean;
  readonly onOpen: (open: boolean) => void;
  /** The menu has closed; the keys belong to the image again. */
  readonly onLeave: () => void;
}

interface DragChoice {
  readonly tool: HandTool;
  readonly icon: IconName;
}

const FIRST_TOOLS: readonly DragChoice[] = [
  { tool: "window", icon: "contrast" },
  { tool: "scroll", icon: "layers" },
];
/** In the menu where the bar is short: two fingers zoom and move, too. */
const OTHER_TOOLS: readonly DragChoice[] = [
  { tool: "zoom", icon: "zoom" },
  { tool: "pan", icon: "move" },
  { tool: "cursor", icon: "crosshair" },
];

export function ViewerTools(props: ViewerToolsProps): JSX.Element {
  const unusable = (tool: HandTool) =>
    props.disabled ||
    (tool === "scroll" && !props.canScroll) ||
    (tool === "window" && !props.canWindow);
  const dragTools = () => (isNarrow() ? FIRST_TOOLS : [...FIRST_TOOLS, ...OTHER_TOOLS]);
  return (
    <section class="tools" aria-label={t().tools.title}>
      <For each={dragTools()}>
        {({ tool, icon }) => (
          <ToolButton
            icon={icon}
            words={commandWords(tool)}
            shortcut={keyShown(tool)}
            pressed={props.tool === tool}
            disabled={unusable(tool)}
            onUse={() => props.onTool(tool)}
          />
        )}
      </For>
      <MeasureMenu
        tool={props.tool}
        last={props.lastKind}
        disabled={props.disabled}
        onTool={props.onTool}
        panelOpen={props.panelOpen}
        onPanel={() => props.run("panel")}
        onLeave={props.onLeave}
      />
      <span class="tools-gap" />
      <Show when={isRoomy()}>
        <ToolButton
          icon="undo"
          words={commandWords("undo")}
          shortcut={keyShown("undo")}
          ariaKey={keyNamed("undo")}
          disabled={!props.canUndo}
          onUse={() => props.run("undo")}
        />
        <ToolButton
          icon="redo"
          words={commandWords("redo")}
          shortcut={keyShown("redo")}
          ariaKey={keyNamed("redo")}
          disabled={!props.canRedo}
          onUse={() => props.run("redo")}
        />
      </Show>
      <Show when={props.canScroll && !isPlayInMenu(props)}>
        <ToolButton
          icon={props.playing ? "pause" : "play"}
          words={props.playing ? t().cine.stop : commandWords("play")}
          shortcut={keyShown("play")}
          ariaKey={keyNamed("play")}
          disabled={props.disabled}
          onUse={() => props.run("play")}
        />
      </Show>
      <Show when={!isNarrow()}>
        <ToolButton
          icon="invert"
          words={commandWords("invert")}
          shortcut={keyShown("invert")}
          pressed={props.inverted}
          disabled={props.disabled}
          onUse={() => props.run("invert")}
        />
      </Show>
      <ToolButton
        icon="reset"
        words={commandWords("reset")}
        shortcut={keyShown("reset")}
        disabled={props.disabled}
        onUse={() => props.run("reset")}
      />
      <Show when={props.canScroll && !isNarrow()}>
        <ToolButton
          icon="box"
          words={commandWords("planes")}
          shortcut={keyShown("planes")}
          pressed={props.planes}
          disabled={props.disabled}
          onUse={() => props.run("planes")}
        />
      </Show>
      <Show when={props.rendering} keyed>
        {(rendering) => (
          <RenderingMenu rendering={rendering} choices={props.renderings} onChoose={props.onRendering} />
        )}
      </Show>
      <Show when={props.crop !== null}>
        <CropMenu crop={props.crop!} onCrop={props.onCrop} open={props.cropOpen} onOpen={props.onCropOpen} />
      </Show>
      <Show when={props.over !== null}>
        <FusionMenu over={props.over!} look={props.fusion} onLook={props.onFusion} />
      </Show>
      <Show when={props.canSlab}>
        <SlabMenu slab={props.slab} onChoose={props.onSlab} />
      </Show>
      <LayoutMenu layout={props.layout} onChoose={props.onLayout} />
      <Show when={!isNarrow()}>
        <ToolButton
          icon="info"
          words={commandWords("info")}
          shortcut={keyShown("info")}
          ariaKey={keyNamed("info")}
          pressed={props.info}
          onUse={() => props.run("info")}
        />
      </Show>
      <MoreTools {...props} />
    </section>
  );
}

/** A solid, or one volume over another, brings tools of its own, which need its room in a short bar. */
function isPlayInMenu(props: ViewerToolsProps): boolean {
  return isNarrow() && (props.rendering !== null || props.over !== null);
}

function MoreTools(props: ViewerToolsProps): JSX.Element {
  return (
    <DropdownMenu open={props.open} onOpenChange={props.onOpen} placement={menuPlacement()} gutter={6} modal={false}>
      <DropdownMenu.Trigger class="tool" aria-label={t().tools.more} title={t().tools.more}>
        <Icon name="ellipsis" />
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content
          class="menu"
          onCloseAutoFocus={(event) => {
            // The arrow keys go back to the images, and not to the button that opens this.
            event.preventDefault();
            props.onLeave();
          }}
        >
          <Show when={!isRoomy()}>
            <CommandItem icon="undo" command="undo" run={props.run} disabled={!props.canUndo} />
            <CommandItem icon="redo" command="redo" run={props.run} disabled={!props.canRedo} />
            <DropdownMenu.Separator class="menu-line" />
          </Show>
          <Show when={props.canWindow && !props.disabled}>
            <WindowItems {...props} />
          </Show>
          <Show when={isNarrow() && !props.disabled}>
            <For each={OTHER_TOOLS}>
              {({ tool, icon }) => (
                <CommandItem icon={icon} command={tool} run={props.run} checked={props.tool === tool} />
              )}
            </For>
            <Show when={props.canScroll && isPlayInMenu(props)}>
              <CommandItem icon="play" command="play" run={props.run} checked={props.playing} />
            </Show>
            <CommandItem icon="invert" command="invert" run={props.run} checked={props.inverted} />
          </Show>
          <Show when={!props.disabled}>
            <CommandItem icon="rotate" command="rotate" run={props.run} />
            <CommandItem icon="flip" command="flip" run={props.run} />
            <CommandItem icon="box" command="planes" run={props.run} checked={props.planes} />
            <CommandItem icon="rotate3d" command="solid" run={props.run} checked={props.solid} />
            <CommandItem icon="blend" command="fusion" run={props.run} checked={props.fused} />
            <Show when={props.crop !== null}>
              <CommandItem icon="crop" command="crop" run={props.run} />
            </Show>
          </Show>
          <Show when={cellCount(props.layout) > 1}>
            <CommandItem icon="link" command="link" run={props.run} checked={props.linked} />
            <CommandItem icon="crosshair" command="lines" run={props.run} checked={props.lines} />
          </Show>
          <Show when={!props.disabled}>
            <CommandItem icon="fit" command="fit" run={props.run} />
            <CommandItem icon="trueSize" command="trueSize" run={props.run} />
            <CommandItem icon="onePixel" command="onePixel" run={props.run} />
            <CommandItem icon="lens" command="lens" run={props.run} checked={props.lens} />
            <Show when={props.subtracted !== null}>
              <CommandItem icon="subtract" command="subtract" run={props.run} checked={props.subtracted === true} />
            </Show>
            <CommandItem icon="overlays" command="overlays" run={props.run} checked={props.overlays} />
          </Show>
          <Show when={isNarrow()}>
            <CommandItem icon="info" command="info" run={props.run} checked={props.info} />
          </Show>
          <Show when={props.hasHistory}>
            <CommandItem icon="history" command="history" run={props.run} />
          </Show>
          <CommandItem icon="copy" command="copyLink" run={props.run} />
          <Show when={!props.disabled}>
            <CommandItem icon="download" command="exportSeen" run={props.run} />
            <CommandItem icon="printer" command="print" run={props.run} />
          </Show>
          <CommandItem icon="maximize" command="full" run={props.run} />
          <CommandItem icon="keyboard" command="help" run={props.run} />
          <DropdownMenu.Item class="menu-item" onSelect={toggleTheme}>
            <Icon name={theme() === "dark" ? "sun" : "moon"} />
            <span class="grow">{theme() === "dark" ? t().theme.light : t().theme.dark}</span>
          </DropdownMenu.Item>
          <DropdownMenu.Item class="menu-item" onSelect={showLanguages}>
            <Icon name="languages" />
            <span class="grow">{t().language.title}</span>
          </DropdownMenu.Item>
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu>
  );
}

/** Scanners give two or three, mammography up to a dozen; of more than these nobody chooses by name. */
const MOST_WINDOWS = 24;

function WindowItems(props: ViewerToolsProps): JSX.Element {
  return (
    <Show when={props.presets.length + props.windows.length > 0}>
      <DropdownMenu.Group>
        <DropdownMenu.GroupLabel class="menu-title">{t().tools.windows}</DropdownMenu.GroupLabel>
        <For each={props.windows.slice(0, MOST_WINDOWS)}>
          {(window, index) => (
            <WindowItem
              words={window.explanation ?? (index() === 0 ? t().tools.asSent : t().tools.asSentNumber(index() + 1))}
              window={window}
              onUse={() => props.onWindow(window)}
            />
          )}
        </For>
        <For each={props.presets}>
          {(preset) => (
            <WindowItem
              words={presetWords(preset)}
              window={"center" in preset.window ? preset.window : undefined}
              shortcut={preset.key}
              isNamedByValue={typeof preset.name === "number"}
              onUse={() => props.onPreset(preset)}
            />
          )}
        </For>
      </DropdownMenu.Group>
      <DropdownMenu.Separator class="menu-line" />
    </Show>
  );
}

interface WindowItemProps {
  readonly words: string;
  /** Undefined where it depends on the image. */
  readonly window: Window | undefined;
  readonly shortcut?: string;
  /** Its words tell its width and level already. */
  readonly isNamedByValue?: boolean;
  readonly onUse: () => void;
}

function WindowItem(props: WindowItemProps): JSX.Element {
  return (
    <DropdownMenu.Item class="menu-item" onSelect={() => props.onUse()}>
      <span class="grow">{props.words}</span>
      <Show when={!props.isNamedByValue && props.window}>
        {(window) => (
          <span class="aside">
            {windowInWords(window()).join(" / ")}
          </span>
        )}
      </Show>
      <Show when={props.shortcut}>
        <kbd>{props.shortcut}</kbd>
      </Show>
    </DropdownMenu.Item>
  );
}

interface CommandItemProps {
  readonly icon: IconName;
  readonly command: CommandId;
  readonly run: (command: CommandId) => void;
  /** Of what is on or off. */
  readonly checked?: boolean;
  readonly disabled?: boolean;
}

function CommandItem(props: CommandItemProps): JSX.Element {
  return (
    <DropdownMenu.Item class="menu-item" disabled={props.disabled ?? false} onSelect={() => props.run(props.command)}>
      <Icon name={props.icon} />
      <span class="grow">{commandWords(props.command)}</span>
      <Show when={props.checked}>
        <Icon name="check" />
      </Show>
      <kbd>{keyShown(props.command)}</kbd>
    </DropdownMenu.Item>
  );
}
