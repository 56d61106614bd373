import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { COLUMNS, DETECTOR, FILTERS } from "../src/constants";
import { Cuts } from "../src/cuts";
import { CenterFace, type Detection, decode, distinct, landmarkBoxes, spans } from "../src/detector";
import { relativeUncertainty, scoreFace } from "../src/estimate";
import { eyeOpening, mouthOpening } from "../src/expression";
import { type Art, Filter } from "../src/filters/engine";
import { pyramid } from "../src/filters/warp";
import { type Box, type Picture, areaResize, crop, cropMatrix, landmarkBox } from "../src/geometry";
import { toCsv, toJson } from "../src/points_file";
import { searchPolicy } from "../src/policy";
import { angles, fitRotation } from "../src/pose";
import { turns } from "../src/rotation";
import { OneEuro, OneEuroRotation } from "../src/smoothing";
import { Tracker, findFaces } from "../src/tracking";
import { uprightBox } from "../src/upright";
import { FOLDER, VECTORS, largestDifference, picture } from "./vectors";

const image = picture(VECTORS.image.width, VECTORS.image.height, VECTORS.image.data);

describe("geometry", () => {
  test.each([0, 1, 2, 3])("crop %i has the pixels of OpenCV", (i) => {
    const { box, roll, matrix, pixels } = VECTORS.crops[i];
    const own = cropMatrix(box, roll);
    expect(largestDifference(own, matrix)).toBeLessThan(1e-9);
    const found = crop(image, own), part: number[] = [];
    for (let y = 0; y < 224; y += 9) {
      for (let x = 0; x < 224; x += 7) part.push(...found.subarray((y * 224 + x) * 3, (y * 224 + x) * 3 + 3));
    }
    // OpenCV rounds places to 1/32 of a pixel: in noise that is a few levels.
    const mean = part.reduce((sum, value, k) => sum + Math.abs(value - pixels[k]), 0) / part.length;
    expect(mean).toBeLessThan(2);
    expect(Math.max(...part)).toBeGreaterThan(100);
  });

  test("a smaller picture has the means of areas", () => {
    const small = areaResize(image, 20, 13);
    expect(largestDifference(small.data, picture(20, 13, VECTORS.resized).data)).toBeLessThanOrEqual(1);
  });

  test("the box, pose and uncertainty of a tilted face", () => {
    const { points, box, roll, rotation, size, uncertainty, relative_uncertainty } = VECTORS.tilted;
    const own = uprightBox(points), fit = fitRotation(points)!;
    expect(own.roll).toBeCloseTo(roll, 3);
    expect(roll).toBeGreaterThan(20);
    expect(largestDifference(own.box, box)).toBeLessThan(1e-3);
    expect(largestDifference(fit.rotation, rotation)).toBeLessThan(1e-5);
    expect(fit.size).toBeCloseTo(size, 4);
    expect(largestDifference(Object.values(angles(fit.rotation)), VECTORS.tilted.angles)).toBeLessThan(1e-3);
    const estimate = { points: Float32Array.from(points as number[]), uncertainty: Float32Array.from(uncertainty as number[]) };
    expect(relativeUncertainty(estimate)).toBeCloseTo(relative_uncertainty, 5);
  });

  test("how far eyes and mouth are open, and how flat points may lie", () => {
    const { points, openings } = VECTORS.tilted;
    expect(eyeOpening(points)).toBeCloseTo(openings[0], 5);
    expect(mouthOpening(points)).toBeCloseTo(openings[1], 5);
    let flat = 0;
    for (const { points: squeezed, rotation } of VECTORS.flat) {
      const fit = fitRotation(squeezed);
      if (rotation === null) {
        expect(fit).toBeNull();
        flat++;
      } else {
        expect(largestDifference(fit!.rotation, rotation)).toBeLessThan(1e-4);
      }
    }
    expect(flat).toBeGreaterThan(1);
    expect(flat).toBeLessThan(VECTORS.flat.length - 1);
  });

  test("the score of a face by its box", () => {
    const { points, uncertainty } = VECTORS.tilted;
    const estimate = { points: Float32Array.from(points as number[]), uncertainty: Float32Array.from(uncertainty as number[]) };
    for (const { box, score } of VECTORS.scores) expect(scoreFace(estimate, box, 240, 250)).toBeCloseTo(score, 4);
    const { box } = VECTORS.scores[0];
    expect(scoreFace(estimate, box, box[0] - 1, 250)).toBe(0); // outside of the picture
    expect(scoreFace(estimate, box, 240, box[1] - 1)).toBe(0);
  });

  test("points on a line are no face", () => {
    expect(fitRotation(Array.from({ length: 136 }, (_, i) => i))).toBeNull();
    expect(fitRotation(new Array(136).fill(NaN))).toBeNull();
  });
});

describe("detector", () => {
  test("a cell of the maps becomes a box, worked by hand", () => {
    const rows = 3, columns = 4, cell = 1 * columns + 2, maps = {
      rows, columns,
      heat: new Float32Array(12), sizes: new Float32Array(24), offsets: new Float32Array(24), points: new Float32Array(120),
    };
    maps.heat[cell] = 0.9;
    maps.heat[cell + 1] = 0.8; // the same face: not the best of its 3 x 3
    maps.sizes[cell] = Math.log(10); // height 40
    maps.sizes[12 + cell] = Math.log(5); // width 20
    maps.offsets[12 + cell] = 0.25;
    const faces = decode(maps, 0.4);
    // x: (2 + 0.25 + 0.5) * 4 - 0.5 = 10.5; y: (1 + 0.5) * 4 - 0.5 = 5.5.
    expect(faces).toHaveLength(1);
    expect(largestDifference(faces[0].box, [0.5, -14.5, 20, 40])).toBeLessThan(1e-4);
  });

  test("of two boxes of one face the surer one stays", () => {
    const box: Box = [0, 0, 10, 20];
    expect(distinct([{ box, score: 0.5 }, { box: [1, 0, 10, 20], score: 0.9 }, { box: [30, 0, 9, 9], score: 0.4 }])).toEqual([1, 2]);
  });

  test("landmark boxes are sorted by size", () => {
    const five = [0, 0, 2, 0, 1, 1, 0, 3, 2, 3];
    const found = landmarkBoxes([{ box: [0, 0, 10, 12], score: 1, five }, { box: [0, 0, 20, 25], score: 1, five }]);
    expect(found[0].box[2]).toBeGreaterThan(found[1].box[2]);
  });
});

describe("tracking", () => {
  test("the One-Euro filters give the points and rotations of Python", () => {
    const points = new OneEuro(), turn = new OneEuroRotation();
    VECTORS.frames.forEach(({ time, faces }: { time: number; faces: number[][] }, i: number) => {
      expect(largestDifference(points.smooth(faces[0], time), VECTORS.smooth[i].points)).toBeLessThan(0.01);
      const rotation = turn.smooth(fitRotation(faces[0])!.rotation, time)!;
      expect(largestDifference(rotation, VECTORS.smooth[i].rotation)).toBeLessThan(1e-4);
    });
  });

  test.each([["frames", 2], ["crossing", 2]])("the tracker gives the ids, points and scores of Python: %s", async (sequence, people) => {
    let faces: Float32Array[] = [];
    const tracker = new Tracker(
      {
        estimate: async (_, boxes) => boxes.map((box) => {
          const away = faces.map((face) => {
            const mean = [0, 0];
            face.forEach((value, i) => (mean[i % 2] += value / 68));
            return Math.hypot(mean[0] - box[0] - box[2] / 2, mean[1] - box[1] - box[3] / 2);
          });
          const best = away.indexOf(Math.min(...away)), near = best >= 0 && away[best] < 40;
          return { points: near ? faces[best] : new Float32Array(136), uncertainty: new Float32Array(68).fill(near ? 1 : 99) };
        }),
      },
      { detect: async () => faces.map((points) => ({ box: box(points), score: 1, roll: 0 })) },
    );
    const empty = picture(640, 480, new Uint8Array(640 * 480 * 3));
    let most = 0;
    for (const frame of VECTORS[sequence]) {
      faces = frame.faces.map((points: number[]) => Float32Array.from(points));
      const found = await tracker.update(empty, frame.time);
      expect(found.map(({ id }) => id)).toEqual(frame.found.map(({ id }: { id: number }) => id));
      found.forEach((face, i) => {
        expect(largestDifference(face.points, frame.found[i].points)).toBeLessThan(0.02);
        expect(face.score).toBeCloseTo(frame.found[i].score, 4);
        expect(largestDifference(face.rotation!, frame.found[i].rotation)).toBeLessThan(1e-3);
      });
      most = Math.max(most, found.length);
    }
    expect(most).toBe(people);
  });
});

function box(points: Float32Array): Box {
  const [xs, ys] = [0, 1].map((axis) => points.filter((_, i) => i % 2 === axis));
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  return [left, top, Math.max(...xs) - left, Math.max(...ys) - top];
}

interface Drawn {
  name: string;
  art: string[];
  sizes?: Record<string, [number, number]>;
  width: number;
  height: number;
  points: number[];
}

interface Cut {
  name: string;
  before: string;
  after: string;
  width: number;
  height: number;
  points: number[];
  boxes: Box[];
}

test.each((VECTORS.filters as Drawn[]).map((drawn) => [drawn.name, drawn] as const))("filter %s draws what Python draws", (name, drawn) => {
  const read = (file: string) => readFileSync(join(FOLDER, file)), art: Art = new Map();
  for (const path of drawn.art) {
    const [width, height] = drawn.sizes![path];
    art.set(path, pyramid(picture(width, height, read(`${name}-${path.split("/").pop()}.raw`))));
  }
  const filter = new Filter(FILTERS.find((spec) => spec.name === name)!, art);
  const before = picture(drawn.width, drawn.height, read("face.raw")), expected = picture(drawn.width, drawn.height, read(`filter-${name}.raw`));
  let shown = before;
  for (let number = 0; number < 3; number++) {
    shown = { ...before, data: before.data.slice() };
    const points = drawn.points.map((value, i) => value + (i % 2 ? 0 : 2 * number));
    filter.apply(shown, [{ id: 0, points }], number / 30);
  }
  let changed = 0, apart = 0, far = 0;
  for (let i = 0; i < expected.data.length; i++) {
    const away = Math.abs(shown.data[i] - expected.data[i]);
    changed += Math.abs(before.data[i] - expected.data[i]);
    apart += away;
    far += Number(away > 40);
  }
  expect(changed).toBeGreaterThan(0);
  expect(apart / changed).toBeLessThan(0.06);
  expect(far / expected.data.length).toBeLessThan(0.004);
});

test.each((VECTORS.cut as Cut[]).map((cut) => [cut.after, cut] as const))("%s covers all that Python covers", (_, cut) => {
  const read = (file: string) => picture(cut.width, cut.height, readFileSync(join(FOLDER, file)));
  const before = read(cut.before), expected = read(cut.after), shown = read(cut.before);
  new Filter(FILTERS.find(({ name }) => name === cut.name)!, new Map()).apply(shown, cut.points.length ? [{ id: 0, points: cut.points }] : [], 0, false, cut.boxes);
  // In noise hardly a covered pixel keeps its value.
  let covered = 0, open = 0, wrong = 0;
  for (let i = 0; i < expected.data.length; i++) {
    const change = Math.abs(expected.data[i] - before.data[i]);
    covered += change;
    if (change < 30) continue;
    if (Math.abs(shown.data[i] - before.data[i]) < change / 2) open++;
    wrong += Math.abs(shown.data[i] - expected.data[i]);
  }
  expect(covered / expected.data.length).toBeGreaterThan(5);
  // The blur's soft edge, outside the face, may differ by one pixel of the small picture.
  expect(open / expected.data.length).toBeLessThan(cut.name === "pixelate" ? 1e-9 : 1e-3);
  expect(wrong / covered).toBeLessThan(0.05);
});

test("the table has the columns of Python's, and JSON the same numbers", () => {
  const { points, uncertainty } = VECTORS.tilted, fit = fitRotation(points)!;
  const face = {
    id: 7, box: [1, 2, 3, 4] as Box, points: Float32Array.from(points as number[]),
    uncertainty: Float32Array.from(uncertainty as number[]), score: 0.75, rotation: fit.rotation,
  };
  const frames = [{ frame: 3, timestamp: 0.5, faces: [face] }];
  const [header, row, end] = toCsv(frames).split("\r\n").map((line) => line.split(","));
  expect(header).toEqual(COLUMNS);
  expect(row).toHaveLength(COLUMNS.length);
  expect(row.slice(0, 8)).toEqual(["3", "0.5000", "7", "1.00", "2.00", "3.00", "4.00", "0.7500"]);
  expect(row[COLUMNS.indexOf("yaw")]).toBe(VECTORS.tilted.angles[0].toFixed(1));
  expect(end).toEqual([""]);
  expect(JSON.parse(toJson(frames))[0].faces[0].points[67][1]).toBeCloseTo(points[135], 2);
  const turned = { ...face, rotation: turns([0, 0, -0.0003]) }; // roll of -0.02 degrees
  const level = toCsv([{ frame: 0, timestamp: 0, faces: [turned] }]).split("\r\n")[1].split(",");
  expect(level[COLUMNS.indexOf("roll")]).toBe("0.0");
  const flat = { ...face, points: new Float32Array(136), rotation: null };
  flat.points[2 * 61 + 1] = 5; // the lips of a mouth without width are apart: 5 / 0, and of the eyes 0 / 0
  const last = toCsv([{ frame: 0, timestamp: 0, faces: [flat] }]).split("\r\n")[1].split(",");
  expect(last.slice(-6)).toEqual(["nan", "nan", "nan", "nan", "inf", "found"]);
  expect(JSON.parse(toJson([{ frame: 0, timestamp: 0, faces: [flat] }]))[0].faces[0].mouth_opening).toBeNull();
});

describe("the search of a detector, with a network that answers as it is told", () => {
  /** What the network sees in a tile: faces by centre, sides and score, in pixels of the tile. */
  type Seen = { x: number; y: number; width: number; height: number; score: number };

  /** `see` gets the first pixel of the tile and its size. */
  function detector(see: (first: number[], width: number, height: number) => Seen[], smallest = 0.0001, rotations = false): CenterFace {
    return new CenterFace(async (input, height, width) => {
      const [rows, columns] = [height / 4, width / 4], cells = rows * columns;
      const maps = {
        rows, columns,
        heat: new Float32Array(cells), sizes: new Float32Array(2 * cells),
        offsets: new Float32Array(2 * cells), points: new Float32Array(10 * cells),
      };
      for (const face of see([0, 1, 2].map((k) => input[k * width * height]), width, height)) {
        const [across, down] = [(face.x + 0.5) / 4 - 0.5, (face.y + 0.5) / 4 - 0.5];
        const [column, row] = [Math.floor(across), Math.floor(down)], cell = row * columns + column;
        maps.heat[cell] = face.score;
        maps.sizes[cell] = Math.log(face.height / 4);
        maps.sizes[cells + cell] = Math.log(face.width / 4);
        maps.offsets[cell] = down - row;
        maps.offsets[cells + cell] = across - column;
        // Upright: eyes above the mouth, in shares of the box.
        [[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]].forEach(([x, y], i) => {
          maps.points[2 * i * cells + cell] = y;
          maps.points[(2 * i + 1) * cells + cell] = x;
        });
      }
      return maps;
    }, smallest, rotations);
  }

  /** The landmark box of the network's box with this centre. */
  const landmarksOf = (x: number, y: number, width: number, height: number): Box => {
    const [down, sides] = [height * (DETECTOR.centre[1] - 0.5), [width * DETECTOR.size[0], height * DETECTOR.size[1]]];
    return [x + width * (DETECTOR.centre[0] - 0.5) - sides[0] / 2, y + down - sides[1] / 2, sides[0], sides[1]];
  };

  /** A picture whose colours tell the column: red its remainder by 256, green the rest. */
  const numbered = (width: number, height: number) => {
    const bytes = new Uint8ClampedArray(width * height * 3);
    for (let i = 0; i < width * height; i++) bytes.set([(i % width) % 256, Math.trunc((i % width) / 256), 7], 3 * i);
    return picture(width, height, bytes);
  };

  test("a face of a smaller picture is enlarged, with half pixels", async () => {
    // 0.045 * sqrt(640 * 360) / 18 = 1.2: 533 x 300 pixels, and then a fourth of that.
    const found = await detector((_, width) => (width === 544 ? [{ x: 100, y: 60, width: 40, height: 50, score: 0.9 }] : []), 0.045)
      .detect(numbered(640, 360));
    const [across, down] = [640 / 533, 360 / 300];
    expect(found).toHaveLength(1);
    expect(largestDifference(found[0].box, landmarksOf(100.5 * across - 0.5, 60.5 * down - 0.5, 40 * across, 50 * down))).toBeLessThan(1e-3);
  });

  test("a face of a turned picture is turned back, with half pixels", async () => {
    // The picture of 96 x 64 is searched upright and then turned by 1, 2 and 3 quarters counterclockwise.
    const places = [[10, 95 - 30], [95 - 30, 63 - 10], [63 - 10, 30]]; // of (30, 10) in the picture
    for (let turns = 1; turns < 4; turns++) {
      let calls = 0;
      const [x, y] = places[turns - 1];
      const found = await detector(() => (calls++ === turns ? [{ x, y, width: 20, height: 24, score: 0.9 }] : []), 0.0001, true)
        .detect(numbered(96, 64));
      expect(calls).toBe(4);
      expect(found).toHaveLength(1);
      const upright = landmarksOf(x, y, 20, 24), [u, v] = [upright[0] + upright[2] / 2 - x, upright[1] + upright[3] / 2 - y];
      const middle = turns === 1 ? [30 - v, 10 + u] : turns === 2 ? [30 - u, 10 - v] : [30 + v, 10 - u];
      expect(largestDifference(found[0].box, [middle[0] - upright[2] / 2, middle[1] - upright[3] / 2, upright[2], upright[3]])).toBeLessThan(1e-3);
      expect(found[0].roll).toBe([90, -180, -90][turns - 1]);
    }
  });

  test("no turn where a face was found upright, nor without rotations", async () => {
    let calls = 0;
    const see = () => (calls++, [{ x: 30, y: 30, width: 20, height: 24, score: 0.9 }]);
    await detector(see, 0.0001, true).detect(numbered(96, 64));
    expect(calls).toBe(1);
    expect(await detector(() => (calls++, [])).detect(numbered(96, 64))).toEqual([]);
    expect(calls).toBe(2);
  });

  test("a face is of the tile whose middle holds it, and large ones of a smaller picture", async () => {
    // 1300 pixels: two tiles of 736, from 0 and 564, which share 172; the first one's end at 736 - 80.
    const seen = detector(([red, green], width) => {
      const left = red + 256 * green;
      if (width < 736) return [{ x: 100, y: 60, width: 60, height: 70, score: 0.5 }]; // of 325 x 75 pixels
      const own = { x: 700 - left, y: 40, width: 40, height: 50, score: 0.7 };
      // Where the tile cuts it, it looks narrower, and surer.
      return left ? [own, { x: 300, y: 80, width: 170, height: 100, score: 0.99 }] : [{ ...own, x: 690, width: 24, score: 0.95 }];
    });
    const found = await seen.detect(numbered(1300, 300));
    expect(found.map(({ score }) => score)).toEqual([0.5, 0.7].map((score) => expect.closeTo(score, 5)));
    expect(largestDifference(found[1].box, landmarksOf(700, 40, 40, 50))).toBeLessThan(1e-3);
    expect(largestDifference(found[0].box, landmarksOf(100.5 * 4 - 0.5, 60.5 * 4 - 0.5, 240, 280))).toBeLessThan(1e-3);
  });

  test("tiles by hand", () => {
    expect(spans(1)).toEqual([[0, 1]]);
    expect(spans(1024)).toEqual([[0, 1024]]);
    expect(spans(1025)).toEqual([[0, 608], [417, 1025]]);
    expect(spans(1889)).toEqual([[0, 768], [560, 1328], [1121, 1889]]);
  });

  test("the faces of the small picture are told before the large one is searched", async () => {
    const told: number[][] = [];
    const found = await detector((_, width) => [{ x: 20, y: 20, width: 30, height: 30, score: width > 300 ? 0.8 : 0.6 }])
      .detect(numbered(640, 360), async (early) => void told.push(early.map(({ score }) => score)));
    expect(told).toEqual([[expect.closeTo(0.6, 5)]]);
    expect(found).toHaveLength(2);
    await detector(() => []).detect(numbered(640, 360), async () => void told.push([]));
    await detector(() => [{ x: 20, y: 20, width: 30, height: 30, score: 0.8 }]).detect(numbered(96, 64), async () => void told.push([]));
    expect(told).toHaveLength(1);
  });
});

test("no face of a picture is estimated twice, and those with low scores are ignored", async () => {
  const { points } = VECTORS.tilted, own = landmarkBox(points);
  const sizes: number[] = [];
  const predictor = {
    estimate: async (_: unknown, boxes: Box[]) => {
      sizes.push(boxes.length);
      return boxes.map((place) => ({
        points: Float32Array.from(points as number[], (value, i) => value + (i % 2 ? 0 : place[0] - own[0])),
        uncertainty: new Float32Array(68).fill(place[0] > own[0] + 5 ? 99 : 1),
      }));
    },
  };
  const face = { box: own, score: 1, roll: 0 }, other = { ...face, box: [own[0] + 20, own[1], own[2], own[3]] as Box };
  const early: number[] = [];
  const detector = {
    detect: async (_: unknown, tell?: (found: Detection[]) => Promise<void>) => {
      await tell?.([face]);
      return [face, other];
    },
  };
  const empty = picture(240, 250, new Uint8Array(240 * 250 * 3));
  const found = await findFaces(empty, predictor, detector, ({ faces }) => early.push(faces.length));
  expect(sizes).toEqual([1, 1]);
  expect(early).toEqual([1]);
  expect(found.faces.map(({ id }) => id)).toEqual([0]);
  expect(found.ignored).toEqual([other.box]);
});

test("cuts are those of Python", () => {
  const cuts = new Cuts();
  const found = VECTORS.cuts.map(({ file, width, height }: { file: string; width: number; height: number }) =>
    cuts.isCut(picture(width, height, readFileSync(join(FOLDER, file)))));
  expect(found).toEqual(VECTORS.cuts.map(({ cut }: { cut: boolean }) => cut));
});

test("a privacy filter has small faces searched for, and in every frame", () => {
  const spec = (name: string) => FILTERS.find((filter) => filter.name === name)!;
  expect(searchPolicy(null, true)).toEqual({ smallest: 0.08, rotations: false, detectEvery: 0.2 });
  expect(searchPolicy(spec("crown"), true)).toEqual(searchPolicy(null, true));
  for (const name of ["blur", "pixelate"]) {
    expect(searchPolicy(spec(name), true)).toEqual({ smallest: 0.02, rotations: false, detectEvery: 0 });
    expect(searchPolicy(spec(name), false)).toEqual({ smallest: 0.007, rotations: true, detectEvery: 0 });
  }
});

test("a face that a privacy filter hid stays hidden for a moment, but not over a cut", () => {
  const filter = new Filter(FILTERS.find(({ name }) => name === "pixelate")!, new Map());
  const noise = (seed: number) => picture(240, 220, Uint8Array.from({ length: 240 * 220 * 3 }, (_, i) => ((i + seed) * 2654435761) >>> 24));
  const same = (a: Picture, b: Picture) => largestDifference(a.data, b.data) === 0;
  const { points } = VECTORS.tilted, faces = [{ id: 7, points }];
  const shown = (list: typeof faces, time: number, seed = 0) => {
    const before = noise(seed), after = noise(seed);
    filter.apply(after, list, time);
    return same(before, after);
  };
  expect(shown(faces, 3)).toBe(false);
  expect(shown([], 3.4)).toBe(false);
  expect(shown([], 3.6)).toBe(true); // held for half a second
  expect(shown(faces, 4)).toBe(false);
  const [light, dark] = [picture(240, 220, new Uint8Array(240 * 220 * 3).fill(250)), noise(0)];
  filter.apply(light, [], 4.1); // another scene
  filter.apply(dark, [], 4.2);
  expect(same(dark, noise(0))).toBe(true);
});
