// Faces in a picture by a network like CenterFace, as in keypoints/inference/{centerface,detectors}.py.

import { DETECTOR } from "./constants";
import { type Box, type Picture, areaResize, centreOf, cut, overlap, rotation, roundEven } from "./geometry";
import { cropRoll } from "./upright";

/** Heat (1), sizes (2), offsets (2) and points (10 channels) of `rows` x `columns` cells, y before x. */
export interface Maps {
  heat: Float32Array;
  sizes: Float32Array;
  offsets: Float32Array;
  points: Float32Array;
  rows: number;
  columns: number;
}

/** What was fitted to the answers of a network: `Network` of centerface.py. */
export type Facts = typeof DETECTOR.compact;

export interface DetectorNetwork {
  /** A picture (3, height, width) of red, green and blue from 0 to 255 to the network's maps. */
  run: (input: Float32Array, height: number, width: number) => Promise<Maps>;
  facts: Facts;
}

export interface Detection {
  /** Tight landmark box of the picture turned back by `roll` degrees about its centre. */
  box: Box;
  score: number;
  roll: number;
}

export interface Detector {
  /** The faces of a picture, largest first. `early` gets those of a first, coarse search. */
  detect(picture: Picture, early?: (found: Detection[]) => Promise<void>): Promise<Detection[]>;
}

/** The network's own answer: a box of the whole face, and five points x0, y0, .. */
export interface Face {
  box: Box;
  score: number;
  five: number[];
}

export class CenterFace implements Detector {
  /**
   * `smallest`: side of the smallest faces over the square root of the area. With `rotations` a picture in which no face
   * is found, or a doubtful one, is searched again: by `second`, or turned where there is none.
   */
  constructor(
    private readonly network: DetectorNetwork,
    private readonly smallest: number,
    private readonly rotations: boolean,
    private readonly second: () => Promise<DetectorNetwork | null> = () => Promise.resolve(null),
  ) {}

  async detect(picture: Picture, early?: (found: Detection[]) => Promise<void>): Promise<Detection[]> {
    return largestFirst((await this.ranked(picture, early)).map(({ face }) => face));
  }

  /** What is found, and the rank of each among answers on the same face. */
  private async ranked(picture: Picture, early?: (found: Detection[]) => Promise<void>): Promise<Ranked[]> {
    const found = this.landmarkBoxes(await this.faces(picture, this.smallest, early)), tries = rank(found);
    if (!this.rotations || (found.length && found.every(settled))) return tries;
    const smallest = Math.max(this.smallest, DETECTOR.turned), second = await this.second();
    tries.push(...(await (second ? new CenterFace(second, smallest, true).ranked(picture) : this.searchTurned(picture, smallest))));
    return distinct(tries.map(({ face, rank: score }) => ({ box: face.box, score }))).map((i) => tries[i]);
  }

  /** The same of the picture turned by 90, 180 and 270 degrees. */
  private async searchTurned(picture: Picture, smallest: number): Promise<Ranked[]> {
    // As small as the faces that are looked for allow: the copies of a large picture are small.
    const small = shrink(picture, factorOf(picture, smallest)), scale = scaleTo(small, picture), found: Ranked[] = [];
    for (let turn = 1; turn < 4; turn++) {
      for (const { face, rank: place } of rank(this.landmarkBoxes(await this.faces(turned(small, turn), smallest)))) {
        const back = turnedBack(face, turn, small);
        found.push({ face: { ...back, box: enlarged(back.box, scale) }, rank: place });
      }
    }
    return found;
  }

  private landmarkBoxes(faces: Face[]): Detection[] {
    return landmarkBoxes(faces, this.network.facts);
  }

  private async faces(
    picture: Picture,
    smallest: number,
    early?: (found: Detection[]) => Promise<void>,
  ): Promise<Face[]> {
    const searched = levels(picture, smallest, this.network.facts.small_picture), faces: Face[] = [];
    // The smallest level first: it takes the least time, and has the largest faces.
    for (const [i, level] of searched.entries()) {
      if (i > 0 && i === searched.length - 1 && faces.length) await early?.(this.landmarkBoxes(distinct(faces).map((k) => faces[k])));
      const scale = scaleTo(level, picture);
      for (const face of await this.search(level)) {
        // Larger faces may be cut by a tile; the level before found them whole.
        if (i > 0 && Math.max(face.box[2], face.box[3]) > DETECTOR.tile_overlap) continue;
        faces.push({
          box: enlarged(face.box, scale),
          score: face.score,
          five: face.five.map((value, i) => (value + 0.5) * scale[i % 2] - 0.5),
        });
      }
    }
    return distinct(faces).map((i) => faces[i]);
  }

  /** Faces tile by tile; a face is of the tile whose middle holds its own. */
  private async search(picture: Picture): Promise<Face[]> {
    const faces: Face[] = [], half = DETECTOR.tile_overlap / 2;
    for (const [top, bottom] of spans(picture.height)) {
      for (const [left, right] of spans(picture.width)) {
        const { input, width, height } = padded(cut(picture, left, top, right - left, bottom - top));
        for (const face of decode(await this.network.run(input, height, width), this.network.facts.min_score)) {
          face.box[0] += left;
          face.box[1] += top;
          const [x, y] = centreOf(face.box);
          const own =
            (left === 0 || x >= left + half) && (right === picture.width || x < right - half) &&
            (top === 0 || y >= top + half) && (bottom === picture.height || y < bottom - half);
          if (own) faces.push({ ...face, five: face.five.map((value, i) => value + (i % 2 ? top : left)) });
        }
      }
    }
    return faces;
  }
}

/** Candidates in the maps: the best cell of each 3 x 3 above `threshold`. */
export function decode(maps: Maps, threshold: number): Face[] {
  const { heat, sizes, offsets, points, rows, columns } = maps, cells = rows * columns;
  const faces: Face[] = [];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const cell = row * columns + column, score = heat[cell];
      if (!(score > threshold)) continue;
      let best = true;
      for (let r = Math.max(row - 1, 0); r <= Math.min(row + 1, rows - 1) && best; r++) {
        for (let c = Math.max(column - 1, 0); c <= Math.min(column + 1, columns - 1); c++) {
          if (heat[r * columns + c] > score) best = false;
        }
      }
      if (!best) continue;
      const width = Math.exp(sizes[cells + cell]) * DETECTOR.stride, height = Math.exp(sizes[cell]) * DETECTOR.stride;
      const left = (column + offsets[cells + cell] + 0.5) * DETECTOR.stride - 0.5 - width / 2;
      const top = (row + offsets[cell] + 0.5) * DETECTOR.stride - 0.5 - height / 2;
      const five: number[] = [];
      for (let i = 0; i < 5; i++) {
        five.push(points[(2 * i + 1) * cells + cell] * width + left, points[2 * i * cells + cell] * height + top);
      }
      faces.push({ box: [left, top, width, height], score, five });
    }
  }
  return faces;
}

/** Landmark boxes and rolls of the network's faces, largest first. */
export function landmarkBoxes(faces: Face[], { centre, size }: Facts): Detection[] {
  const detections = faces.map(({ box, score, five }): Detection => {
    const eyes: [number, number] = [(five[0] + five[2]) / 2, (five[1] + five[3]) / 2];
    const mouth: [number, number] = [(five[6] + five[8]) / 2, (five[7] + five[9]) / 2];
    const roll = cropRoll(eyes, mouth);
    // The box of a tilted face has another shape, but about the same area.
    const side = Math.sqrt(box[2] * box[3]), shape = Math.sqrt(DETECTOR.aspect);
    const [width, height] = roll ? [side / shape, side * shape] : [box[2], box[3]];
    const [x, y] = centreOf(box), [cos, sin] = rotation(roll);
    const down = [width * (centre[0] - 0.5), height * (centre[1] - 0.5)];
    const sides = [width * size[0], height * size[1]];
    const left = x + cos * down[0] - sin * down[1] - sides[0] / 2;
    const top = y + sin * down[0] + cos * down[1] - sides[1] / 2;
    return { box: [left, top, sides[0], sides[1]], score, roll };
  });
  return largestFirst(detections);
}

/** Which boxes stay, best score first, where no two may be the same face. */
export function distinct(faces: { box: Box; score: number }[]): number[] {
  let left = faces.map((_, i) => i).sort((a, b) => faces[b].score - faces[a].score);
  const kept: number[] = [];
  while (left.length) {
    const [best, ...others] = left;
    kept.push(best);
    left = others.filter((i) => overlap(faces[i].box, faces[best].box) < DETECTOR.same_face_iou);
  }
  return kept;
}

/** Upright and sure: a face upside down may look like a doubtful upright one. */
function settled({ roll, score }: Detection): boolean {
  return Math.abs(roll) <= DETECTOR.lying && score >= DETECTOR.sure;
}

interface Ranked {
  face: Detection;
  rank: number;
}

/** Of the answers on one face the settled one has its roll right. */
function rank(found: Detection[]): Ranked[] {
  return found.map((face) => ({ face, rank: face.score + (settled(face) ? 1 : 0) }));
}

function largestFirst(found: Detection[]): Detection[] {
  return found.sort((a, b) => b.box[2] * b.box[3] - a.box[2] * a.box[3]);
}

/** How much smaller the picture is searched for faces from `smallest` on; no padding along its long side. */
function factorOf({ width, height }: Picture, smallest: number): number {
  const factor = (smallest * Math.sqrt(width * height)) / DETECTOR.smallest_side, long = Math.max(width, height);
  if (factor <= 1) return 1;
  return long / Math.min(Math.max(roundEven(long / factor / DETECTOR.multiple), 1) * DETECTOR.multiple, long);
}

/** From a smaller picture to the one that it was made of, in x and y. */
function scaleTo(small: Picture, picture: Picture): [number, number] {
  return [picture.width / small.width, picture.height / small.height];
}

function enlarged([left, top, width, height]: Box, [x, y]: [number, number]): Box {
  return [(left + 0.5) * x - 0.5, (top + 0.5) * y - 0.5, width * x, height * y];
}

/** The picture as it is searched, each level made of the next larger one, the smallest first, of `last` pixels at most. */
function levels(picture: Picture, smallest: number, last: number): Picture[] {
  const searched = [shrink(picture, factorOf(picture, smallest))];
  while (Math.max(searched[0].width, searched[0].height) > last) {
    searched.unshift(shrink(searched[0], DETECTOR.level_step));
  }
  return searched;
}

/** Width and height of `picture` made smaller by `factor`. */
function sizeOf(picture: Picture, factor: number): [number, number] {
  const size = (length: number) => (factor <= 1 ? length : Math.max(roundEven(length / factor), 1));
  return [size(picture.width), size(picture.height)];
}

function shrink(picture: Picture, factor: number): Picture {
  return areaResize(picture, ...sizeOf(picture, factor));
}

/** Starts and ends of the tiles that cover `length` pixels, in equal steps. */
export function spans(length: number): [number, number][] {
  const { tile, tile_overlap, multiple } = DETECTOR;
  const count = Math.max(Math.ceil((length - tile_overlap) / (tile - tile_overlap)), 1);
  // No larger than it must be: where two tiles overlap, the picture is searched twice.
  const least = (length + (count - 1) * tile_overlap) / count;
  const side = Math.min(Math.ceil(least / multiple) * multiple, length);
  return Array.from({ length: count }, (_, i) => {
    const start = count === 1 ? 0 : Math.floor((i * (length - side)) / (count - 1));
    return [start, start + side];
  });
}

function padded(picture: Picture): { input: Float32Array; width: number; height: number } {
  const round = (side: number) => Math.ceil(side / DETECTOR.multiple) * DETECTOR.multiple;
  const width = round(picture.width), height = round(picture.height);
  const input = new Float32Array(3 * width * height);
  for (let row = 0; row < picture.height; row++) {
    for (let column = 0; column < picture.width; column++) {
      const from = (row * picture.width + column) * 4, to = row * width + column;
      for (let channel = 0; channel < 3; channel++) input[channel * width * height + to] = picture.data[from + channel];
    }
  }
  return { input, width, height };
}

/** `picture` turned counterclockwise by `turns` quarters. */
function turned(picture: Picture, turns: number): Picture {
  const { width, height } = picture, swap = turns % 2 === 1;
  const result = { width: swap ? height : width, height: swap ? width : height, data: new Uint8ClampedArray(width * height * 4) };
  const from = new Uint32Array(picture.data.buffer, picture.data.byteOffset, width * height);
  const to = new Uint32Array(result.data.buffer);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [u, v] = turns === 1 ? [y, width - 1 - x] : turns === 2 ? [width - 1 - x, height - 1 - y] : [height - 1 - y, x];
      to[v * result.width + u] = from[y * width + x];
    }
  }
  return result;
}

/** What was found in the turned picture as in the picture itself. */
function turnedBack(face: Detection, turns: number, { width, height }: Picture): Detection {
  const [x, y] = centreOf(face.box), [, , w, h] = face.box;
  const [u, v] = turns === 1 ? [width - 1 - y, x] : turns === 2 ? [width - 1 - x, height - 1 - y] : [y, height - 1 - x];
  const roll = ((((face.roll + 90 * turns + 180) % 360) + 360) % 360) - 180;
  return { box: [u - w / 2, v - h / 2, w, h], score: face.score, roll };
}
