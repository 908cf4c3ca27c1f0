/** A picture in small of the values of an image: every pixel is the nearest one. */
import type { Window } from "./frame";

export interface PictureValues {
  readonly columns: number;
  readonly rows: number;
  /** One value a pixel, or three or four of colour. */
  readonly values: ArrayLike<number>;
  readonly components: number;
  readonly slope: number;
  readonly intercept: number;
  /** Undefined spreads what there is from black to white. */
  readonly window: Window | undefined;
  readonly inverted: boolean;
  /** Height of a pixel by its width. */
  readonly aspect: number;
}

export interface SmallPicture {
  readonly width: number;
  readonly height: number;
  readonly rgba: Uint8ClampedArray;
}

/** At most so many pixels wide and high. */
export function smallPicture(image: PictureValues, most: number): SmallPicture {
  const tall = image.rows * image.aspect;
  const scale = Math.min(1, most / Math.max(image.columns, tall));
  const width = Math.max(1, Math.round(image.columns * scale));
  const height = Math.max(1, Math.round(tall * scale));
  const grey = image.components === 1 ? greyOf(image) : undefined;
  const rgba = new Uint8ClampedArray(width * height * 4);
  for (let y = 0, to = 0; y < height; y += 1) {
    const row = Math.min(image.rows - 1, Math.floor(((y + 0.5) / height) * image.rows));
    for (let x = 0; x < width; x += 1, to += 4) {
      const column = Math.min(image.columns - 1, Math.floor(((x + 0.5) / width) * image.columns));
      const from = (row * image.columns + column) * image.components;
      for (let part = 0; part < 3; part += 1)
        rgba[to + part] = grey ? grey(image.values[from]!) : image.values[from + part]!;
      rgba[to + 3] = 255;
    }
  }
  return { width, height, rgba };
}

function greyOf({ values, slope, intercept, window, inverted }: PictureValues): (stored: number) => number {
  let { center, width } = window ?? { center: 0, width: 0 };
  if (!window) {
    let [low, high] = [Infinity, -Infinity];
    for (let at = 0; at < values.length; at += 1) {
      const value = values[at]! * slope + intercept;
      if (!Number.isFinite(value)) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    [center, width] = [(low + high) / 2, high - low];
  }
  const low = center - width / 2;
  return (stored) => {
    const share = (stored * slope + intercept - low) / Math.max(width, Number.EPSILON);
    return 255 * (inverted ? 1 - share : share);
  };
}
