/** What each command of the viewer does; keys, buttons and menus all end here. */
import { isKind } from "../dicom/measure";
import { cellCount } from "../state/layout";
import type { CommandId } from "../tools/keys";
import type { Measuring } from "../tools/measuring";
import type { DragTool } from "../tools/mouse";
import type { ExportMode } from "../ui/ExportDialog";
import { togglePlaying } from "../ui/StageCell";
import type { Aids } from "./aids";
import { backToList } from "./router";
import type { Stage } from "./stage";

const FINE_ZOOM = 1.25;
/** What one press of a key turns a plane by. */
const TURN_DEGREES = 5;
/** What the key for one or several viewports changes to. */
const SEVERAL = [2, 2] as const;

/** What commands do to the page around the images. */
export interface Hands {
  readonly tool: () => DragTool;
  readonly setTool: (tool: DragTool) => void;
  /** What is in hand when nothing is measured. */
  readonly firstTool: DragTool;
  readonly togglePanel: () => void;
  readonly toggleBare: () => void;
  readonly toggleHelp: () => void;
  readonly toggleCrop: () => void;
  readonly showHistory: () => void;
  readonly copyLink: () => void;
  readonly export: (mode: ExportMode) => void;
}

export type Commands = Readonly<Record<CommandId, () => void>>;

export function commandsOf(stage: Stage, measuring: Measuring, aids: Aids, hands: Hands): Commands {
  const { viewport } = stage;
  const take = (tool: DragTool) => () => hands.setTool(tool);
  const remove = () => measuring.remove(measuring.selected());
  const { history } = measuring;
  return {
    previous: () => viewport()?.scroll(-1),
    next: () => viewport()?.scroll(1),
    back10: () => viewport()?.scroll(-10),
    forward10: () => viewport()?.scroll(10),
    first: () => viewport()?.goTo(0),
    last: () => viewport()?.goTo(Number.MAX_SAFE_INTEGER),
    previousSeries: () => stage.stepSet(-1),
    nextSeries: () => stage.stepSet(1),
    window: take("window"),
    scroll: take("scroll"),
    zoom: take("zoom"),
    pan: take("pan"),
    cursor: take("cursor"),
    length: take("length"),
    bidirectional: take("bidirectional"),
    angle: take("angle"),
    cobb: take("cobb"),
    ellipse: take("ellipse"),
    rectangle: take("rectangle"),
    circle: take("circle"),
    freehand: take("freehand"),
    spline: take("spline"),
    arrow: take("arrow"),
    probe: take("probe"),
    panel: hands.togglePanel,
    remove,
    // What is being drawn is given up first.
    undo: () => void (measuring.abandon() || history.undo()),
    redo: () => {
      measuring.abandon();
      history.redo();
    },
    // What was measured stays selected when the tool is put away: keys can then take hold of its points.
    putAway: () => {
      if (measuring.abandon()) return;
      if (isKind(hands.tool())) hands.setTool(hands.firstTool);
      else measuring.escape();
    },
    zoomIn: () => viewport()?.zoom(FINE_ZOOM),
    zoomOut: () => viewport()?.zoom(1 / FINE_ZOOM),
    invert: () => viewport()?.invert(),
    rotate: () => viewport()?.rotate(),
    flip: () => viewport()?.flip(),
    reset: stage.reset,
    play: () => togglePlaying(stage.active(), stage.stack()),
    nextCell: () => stage.stepCell(1),
    alone: stage.toggleAlone,
    grid: () => void (cellCount(stage.layout()) > 1 ? stage.setGrid(1, 1) : stage.setGrid(...SEVERAL)),
    planes: stage.togglePlanes,
    solid: stage.toggleSolid,
    fusion: stage.toggleFusion,
    crop: hands.toggleCrop,
    turnLeft: () => stage.turn("down", -TURN_DEGREES),
    turnRight: () => stage.turn("down", TURN_DEGREES),
    turnUp: () => stage.turn("right", TURN_DEGREES),
    turnDown: () => stage.turn("right", -TURN_DEGREES),
    link: stage.toggleLinked,
    lines: stage.toggleLines,
    history: hands.showHistory,
    copyLink: hands.copyLink,
    exportSeen: () => hands.export("picture"),
    print: () => hands.export("print"),
    full: hands.toggleBare,
    help: hands.toggleHelp,
    info: aids.toggleInfo,
    overlays: aids.toggleOverlays,
    subtract: () => stage.view()?.subtracted != null && viewport()?.subtract?.(),
    lens: aids.toggleLens,
    fit: () => viewport()?.fit(),
    trueSize: aids.trueSize,
    onePixel: aids.onePixel,
    // The key that deletes on some keyboards is the one that goes back on others.
    list: () => (measuring.selected() ? remove() : backToList()),
  };
}
