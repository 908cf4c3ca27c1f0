/** Files dropped anywhere on a page: on one half they are read here, on the other they go to the archive. */
import { Show, createSignal, type JSX } from "solid-js";
import { t } from "../i18n/language";
import type { FoundFile } from "../state/local";
import { Icon } from "./icons";

export interface DropZoneProps {
  readonly onRead: (files: Promise<readonly FoundFile[]>) => void;
  readonly onStore: (files: Promise<readonly FoundFile[]>) => void;
  readonly children: JSX.Element;
}

/** The halves stand one above the other where the page is narrow; the same width as in list.css. */
const NARROW = matchMedia("(max-width: 680px)");

export function DropZone(props: DropZoneProps): JSX.Element {
  const [over, setOver] = createSignal<"here" | "store" | null>(null);
  let depth = 0;
  const carriesFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
  const half = ({ clientX, clientY }: DragEvent) => {
    const share = NARROW.matches ? clientY / innerHeight : clientX / innerWidth;
    return share < 0.5 ? "here" : "store";
  };
  const enter = (event: DragEvent) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    depth += 1;
    setOver(half(event));
  };
  const move = (event: DragEvent) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    setOver(half(event));
  };
  const leave = () => {
    depth = Math.max(0, depth - 1);
    if (depth === 0) setOver(null);
  };
  const drop = (event: DragEvent) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    depth = 0;
    setOver(null);
    const files = droppedFiles(event.dataTransfer!);
    if (half(event) === "here") props.onRead(files);
    else props.onStore(files);
  };
  return (
    <div class="list-page" onDragEnter={enter} onDragOver={move} onDragLeave={leave} onDrop={drop}>
      {props.children}
      <Show when={over()}>
        <div class="drop-halves">
          <div class="drop-here" classList={{ aimed: over() === "here" }}>
            <Icon name="eye" />
            <p>{t().local.dropHere}</p>
          </div>
          <div class="drop-here" classList={{ aimed: over() === "store" }}>
            <Icon name="upload" />
            <p>{t().local.dropStore}</p>
          </div>
        </div>
      </Show>
    </div>
  );
}

/** Entries must be taken from the event before anything is awaited; folders are walked then. */
async function droppedFiles(transfer: DataTransfer): Promise<readonly FoundFile[]> {
  const entries = [...transfer.items].flatMap((item) => item.webkitGetAsEntry() ?? []);
  const plain = [...transfer.files].map((file) => ({ file, path: file.name }));
  const { filesIn } = await import("./droppedfiles");
  const walked = await filesIn(entries);
  return walked.length > 0 ? walked : plain;
}
