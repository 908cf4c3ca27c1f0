/** The piece of a reduced image that is looked at closely, sharp, as the server renders it. */
import { Show, createEffect, createMemo, createSignal, on, onCleanup, type JSX } from "solid-js";
import { instancePath, renderedPicture } from "../api/dicomweb";
import { isLocal } from "../api/localfiles";
import { covers, pieceFor, type Piece } from "../dicom/detail";
import { sopInstanceUid } from "../dicom/displaysets";
import type { Window } from "../dicom/frame";
import { TAG, text } from "../dicom/model";
import { halved } from "../dicom/reduction";
import type { Cell } from "../render/cell";
import type { ShownView } from "../render/view";

/** A hand that moves the picture rests so long before a piece is asked for. */
const REST_MS = 250;

/** What of an image is rendered. */
interface Rendered {
  readonly image: string;
  readonly window: Window | undefined;
}

const isOf = (one: Rendered, other: Rendered): boolean =>
  one.image === other.image && one.window?.center === other.window?.center && one.window?.width === other.window?.width;

interface Drawn extends Rendered {
  readonly address: string;
  readonly piece: Piece;
}

export interface DetailLayerProps {
  readonly cell: Cell;
  readonly study: string;
  /** How often what is seen is halved now; null where no piece is seen. */
  readonly onDetail: (halvings: number | null) => void;
}

export function DetailLayer(props: DetailLayerProps): JSX.Element {
  const [drawn, setDrawn] = createSignal<Drawn | null>(null);
  /** Undefined for the image's own. */
  const windowOf = ({ window, frame }: ShownView) => {
    const [own] = frame.windows;
    return window && !(own?.center === window.center && own.width === window.width) ? window : undefined;
  };
  const framePath = ({ instance, frameNumber }: ShownView) =>
    `${instancePath(props.study, text(instance, TAG.seriesInstanceUid) ?? "", sopInstanceUid(instance))}/frames/${frameNumber}`;

  /** What is seen of the image that is reduced; null of others. */
  const wanted = createMemo(() => {
    const [shown, view] = [props.cell.shown(), props.cell.view()];
    const box = props.cell.element();
    if (!shown?.reduced || shown.cut || !view || !box || isLocal(shown.instance)) return null;
    const { clientWidth: width, clientHeight: height } = box;
    const corners = [[0, 0], [width, 0], [0, height], [width, height]].map(([x, y]) => view.imagePointAt({ x: x!, y: y! }));
    if (!corners.every((corner) => corner !== undefined)) return null;
    const dots = shown.magnification * devicePixelRatio;
    const piece = pieceFor(corners, shown.frame, dots, shown.reduced.halvings);
    return piece ? { image: framePath(shown), window: windowOf(shown), piece } : null;
  });

  /** The piece that is drawn where all that is wanted lies in it. */
  const sharp = createMemo(() => {
    const [now, want] = [drawn(), wanted()];
    return now && want && isOf(now, want) && covers(now.piece, want.piece) ? now : null;
  });
  createEffect(() => props.onDetail(sharp()?.piece.halvings ?? null));

  createEffect(
    on(wanted, (want) => {
      if (!want || sharp()) return;
      const { image, window, piece } = want;
      const { left, top, columns, rows, halvings } = piece;
      const size = { width: halved(columns, halvings), height: halved(rows, halvings) };
      const address = renderedPicture(image, { window, size, region: { left, top, columns, rows } });
      const picture = new Image();
      const timer = setTimeout(() => {
        // Without it the image is as sharp as it says.
        picture.onload = () => setDrawn({ address, image, window, piece });
        picture.src = address;
      }, REST_MS);
      onCleanup(() => {
        clearTimeout(timer);
        picture.onload = null;
      });
    }),
  );

  /** Where the piece lies, however the picture is moved meanwhile. */
  const lying = createMemo(() => {
    const [now, shown, view] = [drawn(), props.cell.shown(), props.cell.view()];
    if (!now || !shown?.reduced || shown.cut || !view || !isOf(now, { image: framePath(shown), window: windowOf(shown) })) return null;
    const { left, top, columns, rows } = now.piece;
    const corner = view.placeOfImagePoint({ x: left - 0.5, y: top - 0.5 });
    const right = view.placeOfImagePoint({ x: left + columns - 0.5, y: top - 0.5 });
    const below = view.placeOfImagePoint({ x: left - 0.5, y: top + rows - 0.5 });
    if (!corner || !right || !below) return null;
    const matrix = [right.x - corner.x, right.y - corner.y, below.x - corner.x, below.y - corner.y].map((way, at) => way / (at < 2 ? columns : rows));
    return {
      address: now.address,
      style: {
        width: `${columns}px`,
        height: `${rows}px`,
        transform: `matrix(${[...matrix, corner.x, corner.y].join(",")})`,
        filter: shown.inverted ? "invert(1)" : "none",
      },
    };
  });

  return (
    <Show when={lying()}>
      {(piece) => <img class="detail-layer" alt="" src={piece().address} style={piece().style} />}
    </Show>
  );
}
