/**
 * One viewport that shows a volume as a solid thing, turned by hand and cut open from the front.
 *
 * The camera follows what is kept here, as in `volumeview.ts`. There is no depth of one pixel: it
 * names no point of the patient, and no value.
 */
import vtkPlane from "@kitware/vtk.js/Common/DataModel/Plane.js";
import { CONSTANTS, Enums, utilities, type Types } from "@cornerstonejs/core";
import type { Stack } from "../dicom/displaysets";
import type { FrameDescription, Window } from "../dicom/frame";
import { length, moved, opposite } from "../dicom/geometry";
import type { Vector3 } from "../dicom/model";
import { cross, dot, edgeLetters } from "../dicom/orientation";
import { WHOLE, cropEdges, facePlanes, isWhole, type Crop } from "../dicom/crop";
import { endsOf, windowBetween } from "../dicom/presets";
import { isReduced } from "../dicom/reduction";
import { suvFactor, uptakeOf, type Uptake } from "../dicom/uptake";
import { meantWindow } from "../dicom/voi";
import { pointOf, renderingsFor, sliceOf, slicing, type Rendering, type Volume } from "../dicom/volume";
import type { Point } from "../tools/gestures";
import { disable, renderingEngine, watchLoss } from "./engine";
import { LARGEST_ZOOM, SMALLEST_ZOOM, draggedWindow, drawnBy, playFrames } from "./stackview";
import type { Beginning, Pose, StackViewListener, View } from "./view";
import { paintActor, type Painting } from "./paint";
import { volumesOf } from "./volumes";

export interface SolidView extends View {
  show(stack: Stack, study: string, beginning?: Beginning): Promise<void>;
  setRendering(rendering: Rendering): void;
  setCrop(crop: Crop): void;
}

interface Look {
  readonly right: Vector3;
  readonly down: Vector3;
  readonly pan: Point;
  readonly zoom: number;
  /** How many steps of the way through are cut off at the front. */
  readonly opened: number;
  readonly rendering: Rendering;
  readonly window: Window;
  /** Of the greatest values alone: the other renderings are lit bodies. */
  readonly inverted: boolean;
  readonly crop: Crop;
}

/** What hands have made of it, however far it was cut open. */
type Made = Omit<Look, "opened">;

interface Shown {
  readonly volume: Volume;
  readonly centre: Vector3;
  /** From corner to corner, in mm. */
  readonly acrossMm: number;
  /** The longest side, which fits into the element at first. */
  readonly longestMm: number;
  readonly frame: FrameDescription;
  readonly instance: Stack["frames"][number]["instance"];
  readonly window: Window;
  readonly uptake: Uptake | undefined;
  readonly renderings: readonly Rendering[];
}

const STEPS = 100;
/** A drag over this many pixels turns it half around. */
const HALF_TURN_PX = 400;
/** PET of known uptake is seen up to this much of it. */
const BRIGHTEST_SUV = 10;
/** A step of the keys or of playing. */
const PLAYED_PX = 8;

/** Cornerstone's own, with colours and opacities at Hounsfield units. */
const CT_PRESETS: Readonly<Partial<Record<Rendering, string>>> = {
  bone: "CT-Bone",
  vessels: "CT-Chest-Vessels",
  softTissue: "CT-Soft-Tissue",
  lung: "CT-Lung",
};

let viewports = 0;

export function createSolidView(element: HTMLDivElement, listener: StackViewListener): SolidView {
  const engine = renderingEngine();
  const viewportId = `solid-${(viewports += 1)}`;
  engine.enableElement({
    viewportId,
    element,
    type: Enums.ViewportType.VOLUME_3D,
    defaultOptions: { background: [0, 0, 0], parallelProjection: true },
  });
  const viewport = engine.getViewport(viewportId) as Types.IVolumeViewport;

  let shown: Shown | undefined;
  let look: Look | undefined;
  const volumes = volumesOf(viewport, listener);
  let playing: { cancel(): void; onStop(): void } | undefined;

  const resized = new ResizeObserver(() => {
    if (element.clientWidth === 0 || element.clientHeight === 0) return;
    engine.resize(true, true);
    draw();
  });
  resized.observe(element);
  const stopWatching = watchLoss(() => listener.onLost());

  function stop(): void {
    playing?.cancel();
    playing?.onStop();
    playing = undefined;
  }

  /** Pixels per millimetre at which the longest side fits. */
  const fitting = () => Math.min(element.clientWidth, element.clientHeight) / shown!.longestMm;

  function draw(): void {
    if (!shown || !look || element.clientHeight === 0) return;
    const { right, down, pan, zoom, opened } = look;
    const { centre, acrossMm, frame, instance, volume } = shown;
    const pixelsPerMm = fitting() * zoom;
    const normal = cross(down, right);
    const focalPoint = moved(centre, [right, -pan.x / pixelsPerMm], [down, -pan.y / pixelsPerMm]);
    viewport.setCamera({
      focalPoint: [...focalPoint],
      position: [...moved(focalPoint, [normal, acrossMm])],
      viewPlaneNormal: [...normal],
      viewUp: [-down[0], -down[1], -down[2]],
      parallelScale: element.clientHeight / 2 / pixelsPerMm,
    });
    // A camera that is turned takes the first two faces for those of a slab.
    setFaces(look.crop);
    // The eye is one diagonal before the middle: all lies between half of one and one and a half.
    const near = acrossMm * (0.5 + opened / STEPS);
    viewport.getRenderer().getActiveCamera().setClippingRange(near, acrossMm * 1.5);
    viewport.render();
    listener.onView({
      index: opened,
      count: STEPS,
      frame: { ...frame, sliceThicknessMm: undefined, sliceLocationMm: undefined },
      frameNumber: 0,
      instance,
      window: look.rendering in CT_PRESETS ? null : look.window,
      inverted: isInverted(look),
      coming: null,
      reduced: isReduced(volume.reduction) ? volume.reduction : null,
      edges: edgeLetters(right, down),
      pixelsPerMm,
      magnification: pixelsPerMm * volume.spacing[0],
      plane: undefined,
      frameOfReferenceUid: volume.frameOfReferenceUid,
      cut: "solid",
      stepMm: null,
      subtracted: null,
      slab: null,
      rendering: look.rendering,
      uptake: shown.uptake,
      turned: false,
      straightened: volume.tilt?.degrees ?? null,
      isForming: false,
      over: null,
      crop: { faces: look.crop, edges: cropEdges(volume, look.crop) },
    });
  }

  function change(part: Partial<Look>): void {
    if (!look) return;
    look = { ...look, ...part };
    draw();
  }

  function paint(part: Partial<Pick<Look, "rendering" | "window" | "inverted">>): void {
    if (!look) return;
    look = { ...look, ...part };
    const actor = volumes.actor();
    if (actor) render(actor, look.rendering, look.window, isInverted(look));
    // Else the box that holds the body would be seen turning.
    const ground = isInverted(look) ? 1 : 0;
    viewport.getRenderer().setBackground([ground, ground, ground]);
    draw();
  }

  function setFaces(crop: Crop): void {
    const mapper = volumes.actor()?.getMapper();
    mapper?.removeAllClippingPlanes();
    const faces = isWhole(crop) ? [] : facePlanes(shown!.volume, crop);
    for (const { origin, inward } of faces)
      mapper?.addClippingPlane(vtkPlane.newInstance({ origin: [...origin], normal: [...inward] }));
  }

  const opened = (steps: number) => Math.max(0, Math.min(STEPS - 1, steps));

  function beginWith({ volume, frame, window, renderings }: Shown, beginning: Beginning): void {
    const { row, column } = sliceOf(volume, slicing(volume, "coronal"), 0);
    look = {
      right: row,
      down: column,
      pan: { x: 0, y: 0 },
      zoom: 1,
      opened: 0,
      rendering: renderings[0]!,
      window: beginning.window ? meantWindow(beginning.window, frame) : window,
      inverted: beginning.inverted ?? false,
      crop: WHOLE,
    };
    if (beginning.pose?.kind === "solid") {
      look = { ...look, opened: beginning.pose.index };
      hold(beginning.pose);
    } else paint({});
  }

  function hold(pose: Pose): void {
    if (!look || pose.kind !== "solid") return;
    look = { ...(pose.made as Made), opened: look.opened };
    paint({});
  }

  /** What it is seen as once a window is set: colours of CT know none. */
  const windowed = (): Rendering => (look && !(look.rendering in CT_PRESETS) ? look.rendering : "window");

  function turn({ x, y }: Point): void {
    if (!look) return;
    // What is in front follows the hand.
    const sideways = turned(look.right, cross(look.down, look.right), (x * Math.PI) / HALF_TURN_PX);
    const upright = turned(look.down, cross(look.down, sideways), (y * Math.PI) / HALF_TURN_PX);
    change({ right: sideways, down: upright });
  }

  return {
    async show(stack, study, beginning = {}) {
      stop();
      [shown, look] = [undefined, undefined];
      const taken = await volumes.take(stack, study);
      if (!taken) return;
      const { volume, held, frame, instance } = taken;
      const [columns, rows, frames] = volume.dimensions;
      const centre = pointOf(volume, [(columns - 1) / 2, (rows - 1) / 2, (frames - 1) / 2]);
      const sides = volume.dimensions.map((count, axis) => count * volume.spacing[axis]!);
      const acrossMm = length(sides as unknown as Vector3);
      const longestMm = Math.max(...sides);
      const uptake = uptakeOf(stack);
      const factor = suvFactor(uptake);
      const own = frame.windows[0] ? meantWindow(frame.windows[0], frame) : held.whole;
      const window = factor === undefined ? own : windowBetween(0, BRIGHTEST_SUV / factor);
      const renderings = renderingsFor(stack.modality, frame.rescaleType === "HU");
      shown = { volume, centre, acrossMm, longestMm, frame, instance, window, uptake, renderings };
      beginWith(shown, beginning);
    },
    setRendering: (rendering) => paint({ rendering }),
    setCrop: (crop) => change({ crop }),
    turn,
    goTo: (index) => change({ opened: opened(index) }),
    scroll: (steps) => look && change({ opened: opened(look.opened + steps) }),
    goToPoint: () => undefined,
    // A solid is no image that a measurement could be of.
    imagePointAt: () => undefined,
    placeOfImagePoint: () => undefined,
    pixels: () => undefined,
    pointAt: () => undefined,
    placeOf(point) {
      if (!shown || !look) return { x: 0, y: 0 };
      const { right, down, pan, zoom } = look;
      const pixelsPerMm = (Math.min(element.clientWidth, element.clientHeight) / shown.longestMm) * zoom;
      const way: Vector3 = [point[0] - shown.centre[0], point[1] - shown.centre[1], point[2] - shown.centre[2]];
      return {
        x: element.clientWidth / 2 + pan.x + dot(way, right) * pixelsPerMm,
        y: element.clientHeight / 2 + pan.y + dot(way, down) * pixelsPerMm,
      };
    },
    probe: () => undefined,
    setWindow: (window) => shown && paint({ rendering: windowed(), window: meantWindow(window, shown.frame) }),
    dragWindow: (delta) => look && paint({ rendering: windowed(), window: draggedWindow(look.window, delta) }),
    pan: ({ x, y }) => look && change({ pan: { x: look.pan.x + x, y: look.pan.y + y } }),
    fit: () => look && change({ zoom: 1, pan: { x: 0, y: 0 } }),
    zoom: (factor) => look && change({ zoom: Math.min(LARGEST_ZOOM, Math.max(SMALLEST_ZOOM, look.zoom * factor)) }),
    pose() {
      if (!look) return undefined;
      const { opened: index, ...made } = look;
      return { kind: "solid", made, index };
    },
    hold,
    rotate: () => look && change({ right: opposite(look.down), down: look.right }),
    // A mirrored body would be another one: it is turned to its other side instead.
    flip: () => look && change({ right: opposite(look.right) }),
    invert: () => look?.rendering === "greatest" && paint({ inverted: !look.inverted }),
    reset: () => shown && beginWith(shown, {}),
    play(framesPerSecond, onStop) {
      stop();
      const next = () => {
        turn({ x: PLAYED_PX, y: 0 });
        return Promise.resolve();
      };
      playing = { ...playFrames(framesPerSecond, next), onStop };
    },
    look: () => look && { kind: "solid", look, pixelsPerMm: fitting() * look.zoom },
    async wear(portrait, fit) {
      if (!shown || portrait.kind !== "solid") return;
      const worn = portrait.look as Look;
      look = { ...worn, zoom: 1, pan: { x: 0, y: 0 } };
      if (fit !== "whole") {
        const pixelsPerMm = "magnified" in fit ? portrait.pixelsPerMm * fit.magnified : fit.pixelsPerMm;
        const by = pixelsPerMm / portrait.pixelsPerMm;
        look = { ...look, zoom: pixelsPerMm / fitting(), pan: { x: worn.pan.x * by, y: worn.pan.y * by } };
      }
      paint({});
    },
    turnAround: (share) => turn({ x: 2 * HALF_TURN_PX * share, y: 0 }),
    drawn: () => drawnBy(element, draw),
    stop,
    dispose() {
      stop();
      resized.disconnect();
      stopWatching();
      disable(engine, viewportId);
      volumes.dispose();
    },
  };
}

const isInverted = ({ rendering, inverted }: Look): boolean => inverted && rendering === "greatest";

function render(actor: Types.VolumeActor, rendering: Rendering, window: Window, inverted: boolean): void {
  const { COMPOSITE, MAXIMUM_INTENSITY_BLEND } = Enums.BlendModes;
  (actor.getMapper() as unknown as { setBlendMode(mode: Enums.BlendModes): void }).setBlendMode(
    rendering === "greatest" ? MAXIMUM_INTENSITY_BLEND : COMPOSITE,
  );
  const preset = CONSTANTS.VIEWPORT_PRESETS.find(({ name }) => name === CT_PRESETS[rendering]);
  if (preset) return utilities.applyPreset(actor, preset);
  const property = actor.getProperty();
  property.setUseGradientOpacity(0, false);
  property.setShade(rendering !== "greatest");
  property.setAmbient(0.2);
  property.setDiffuse(0.9);
  property.setSpecular(0.2);
  property.setSpecularPower(10);
  paintActor(actor, paintingOf(rendering, window, inverted));
}

/** What of a window is seen, as shares of it: greys, or the browns of tissue. */
function paintingOf(rendering: Rendering, window: Window, inverted: boolean): Painting {
  const [low, high] = endsOf(window);
  const at = (share: number) => low + share * (high - low);
  if (rendering === "greatest") {
    const [least, most] = inverted ? [1, 0] : [0, 1];
    return { colours: [[low, least, least, least], [high, most, most, most]], opacities: [[low, 1], [high, 1]] };
  }
  if (rendering === "window")
    return { colours: [[low, 0, 0, 0], [high, 1, 1, 1]], opacities: [[low, 0], [high, 0.8]] };
  return {
    colours: [[at(0), 0, 0, 0], [at(0.35), 0.55, 0.25, 0.15], [at(0.7), 0.88, 0.6, 0.4], [at(1), 1, 0.95, 0.9]],
    opacities: [[at(0.15), 0], [at(0.5), 0.2], [at(1), 0.9]],
  };
}

/** A direction of the screen, turned by an angle towards the viewer. */
function turned(direction: Vector3, towards: Vector3, angle: number): Vector3 {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const [x, y, z] = [0, 1, 2].map((part) => direction[part]! * cos + towards[part]! * sin) as [number, number, number];
  const size = Math.hypot(x, y, z);
  return [x / size, y / size, z / size];
}
