/** A magnifying glass over a stack: a viewport of its own, in an element of its own. */
import { Enums, type Types } from "@cornerstonejs/core";
import type { Point } from "../tools/gestures";
import { disable, renderingEngine } from "./engine";
import type { Magnifier } from "./view";
import { dress } from "./voitable";

let magnifiers = 0;

/** A viewport of its own, so that the glass shows all that the image holds, and not the screen's pixels larger. */
export function magnifierOf(viewport: Types.IStackViewport, element: HTMLDivElement): Magnifier {
  const engine = renderingEngine();
  const viewportId = `lens-${(magnifiers += 1)}`;
  engine.enableElement({ viewportId, element, type: Enums.ViewportType.STACK, defaultOptions: { background: [0, 0, 0] } });
  const glass = engine.getViewport(viewportId) as Types.IStackViewport;
  let shown: Types.IImage | undefined;
  let isGone = false;
  async function follow(at: Point, factor: number): Promise<void> {
    const wanted = viewport.getCurrentImageId();
    if (!wanted || !viewport.getDefaultActor()) return;
    // The same image may be seen in small first.
    const image = viewport.getCornerstoneImage();
    if (image !== shown) {
      shown = image;
      await glass.setStack([wanted], 0);
    }
    if (isGone || image !== shown) return;
    const { voiRange, invert } = viewport.getProperties();
    glass.setProperties({ ...(voiRange && { voiRange }), ...(invert !== undefined && { invert }) });
    const camera = viewport.getCamera();
    const point = viewport.canvasToWorld([at.x, at.y]);
    const from = camera.focalPoint!;
    const moved = (place: Types.Point3): Types.Point3 => [
      place[0] + point[0] - from[0],
      place[1] + point[1] - from[1],
      place[2] + point[2] - from[2],
    ];
    const share = element.clientHeight / Math.max(1, viewport.element.clientHeight);
    glass.setCamera({
      ...camera,
      focalPoint: moved(from),
      position: moved(camera.position!),
      parallelScale: (camera.parallelScale! * share) / factor,
    });
    dress(glass);
    glass.render();
  }
  return {
    show: (at, factor) => void follow(at, factor),
    dispose() {
      isGone = true;
      disable(engine, viewportId);
    },
  };
}
