/**
 * Gray images without a graphics card. Where WebGL is a program on the processor (remote desktops, virtual
 * machines), it takes several times as long to draw one image as painting it straight away does. Everything but
 * the drawing itself stays Cornerstone's: camera, window, places.
 */
import { Enums, getRenderingCapabilities, utilities, type Types } from "@cornerstonejs/core";
import { isUpright, paintGray, type Placing } from "../dicom/paint";
import { remembered } from "../i18n/kept";
import { tableShown } from "./graded";

/** `card` or `processor`, where somebody has chosen. */
const DRAWN_BY = "gantry.drawn-by";

/** What of a rendering engine decides how a viewport is drawn. */
interface Drawing {
  renderViewportUsingCustomOrVtkPipeline(viewport: Types.IStackViewport): unknown;
}

/** From now on gray images of stacks are painted here, where that is quicker. */
export function paintWithoutCard(engine: object): void {
  const chosen = remembered(DRAWN_BY);
  if (chosen ? chosen !== "processor" : !getRenderingCapabilities().softwareRasterizer) return;
  const drawing = engine as Drawing;
  const draw = drawing.renderViewportUsingCustomOrVtkPipeline.bind(engine);
  drawing.renderViewportUsingCustomOrVtkPipeline = (viewport) => (isPainted(viewport) ? told(viewport) : draw(viewport));
}

/** What the engine tells when something was drawn. */
function told(viewport: Types.IStackViewport): object {
  const { element, id: viewportId, renderingEngineId, viewportStatus, suppressEvents } = viewport;
  return { element, viewportId, renderingEngineId, viewportStatus, suppressEvents };
}

/** False for what is not a single gray image under a linear window, lying straight. */
function isPainted(viewport: Types.IStackViewport): boolean {
  if (viewport.type !== Enums.ViewportType.STACK || viewport.getActors().length !== 1) return false;
  const image = viewport.getCornerstoneImage() as Types.IImage | undefined;
  const shown = viewport.getImageData() as Types.IImageData | undefined;
  const { voiRange, colormap, invert, interpolationType, VOILUTFunction, sharpening, smoothing } = viewport.getProperties();
  if (!image || image.color || !shown || !voiRange) return false;
  if ((colormap?.name ?? GRAY) !== GRAY || sharpening || smoothing || (VOILUTFunction && !LINEAR.has(VOILUTFunction))) return false;
  if (tableShown(image, voiRange)) return false;
  const placing = placingOf(viewport, shown);
  const size = { width: viewport.sWidth, height: viewport.sHeight };
  const context = viewport.canvas.getContext("2d");
  if (!context || size.width < 1 || size.height < 1 || !isUpright(placing)) return false;
  const { canvas } = viewport;
  if (canvas.width !== size.width || canvas.height !== size.height) Object.assign(canvas, size);
  const picture = pictureOf(size);
  const source = { columns: image.columns, rows: image.rows, values: image.getPixelData() };
  const greys = { ...voiRange, invert: invert === true };
  paintGray(picture.words, size, source, placing, greys, interpolationType !== Enums.InterpolationType.NEAREST);
  context.putImageData(picture.data, 0, 0);
  return true;
}

/** What Cornerstone calls black to white once its properties were reset. */
const GRAY = "Grayscale";
const LINEAR: ReadonlySet<string> = new Set([Enums.VOILUTFunctionType.LINEAR, Enums.VOILUTFunctionType.LINEAR_EXACT]);

function placingOf(viewport: Types.IStackViewport, { imageData }: Types.IImageData): Placing {
  const place = (column: number, row: number) => {
    const world = utilities.transformIndexToWorld(imageData, [column, row, 0]) as Types.Point3;
    return viewport.worldToCanvas(world).map((at) => at * devicePixelRatio) as [number, number];
  };
  const [origin, right, below] = [place(0, 0), place(1, 0), place(0, 1)];
  return {
    origin,
    column: [right[0] - origin[0], right[1] - origin[1]],
    row: [below[0] - origin[0], below[1] - origin[1]],
  };
}

let last: { readonly data: ImageData; readonly words: Uint32Array } | undefined;

/** One is enough: it is copied before the next is painted. */
function pictureOf({ width, height }: { readonly width: number; readonly height: number }) {
  if (last?.data.width !== width || last.data.height !== height) {
    const data = new ImageData(width, height);
    last = { data, words: new Uint32Array(data.data.buffer) };
  }
  return last;
}
