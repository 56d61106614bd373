import { describe, expect, test } from "vitest";
import { DETECTOR } from "../src/constants";
import { CenterFace, type DetectorNetwork, decode, distinct, landmarkBoxes, spans } from "../src/detector";
import type { Box } from "../src/geometry";
import { largestDifference, picture } from "./vectors";

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
    [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1].forEach((share, i) => (maps.points[12 * i + cell] = share)); // y before x
    const faces = decode(maps, 0.4);
    // x: (2 + 0.25 + 0.5) * 4 - 0.5 = 10.5; y: (1 + 0.5) * 4 - 0.5 = 5.5.
    expect(faces).toHaveLength(1);
    expect(largestDifference(faces[0].box, [0.5, -14.5, 20, 40])).toBeLessThan(1e-4);
    expect(largestDifference(faces[0].five, [4.5, -10.5, 8.5, -2.5, 12.5, 5.5, 16.5, 13.5, 20.5, 21.5])).toBeLessThan(1e-4);
  });

  test("faces are the best cells of their 3 x 3, at the borders too", () => {
    const rows = 5, columns = 6, cells = rows * columns, maps = {
      rows, columns,
      heat: new Float32Array(cells), sizes: new Float32Array(2 * cells), offsets: new Float32Array(2 * cells), points: new Float32Array(10 * cells),
    };
    const heat: [number, number, number][] = [
      [0, 0, 0.5], [0, 2, 0.6], [0, 5, 0.9], [1, 1, 0.45], [2, 0, 0.7], [2, 2, 0.8], [2, 5, 0.55], [3, 3, 0.75], [4, 0, 0.65], [4, 5, 0.85], [3, 5, 0.3], [1, 4, 0.5],
    ];
    for (const [row, column, score] of heat) maps.heat[row * columns + column] = score;
    const found = decode(maps, 0.4).map(({ box: [left, top, width, height], score }) => {
      expect([width, height]).toEqual([4, 4]);
      return [(top + 2 + 0.5) / 4 - 0.5, (left + 2 + 0.5) / 4 - 0.5, expect.closeTo(score, 6) as number];
    });
    // Not (1, 1), beside three surer ones, (3, 3), beside (2, 2), (1, 4), beside (0, 5), and (3, 5).
    expect(heat.filter(([row, column]) => !["1 1", "3 3", "3 5", "1 4"].includes(`${row} ${column}`))).toEqual(found);
  });

  test("of two cells side by side, or corner to corner, the surer one is a face", () => {
    for (const [down, across] of [[-1, -1], [-1, 0], [-1, 1], [0, -1], [0, 1], [1, -1], [1, 0], [1, 1]]) {
      const maps = { rows: 5, columns: 6, heat: new Float32Array(30), sizes: new Float32Array(60), offsets: new Float32Array(60), points: new Float32Array(300) };
      maps.heat[2 * 6 + 2] = 0.5;
      maps.heat[(2 + down) * 6 + 2 + across] = 0.75;
      expect(decode(maps, 0.4).map(({ score }) => score)).toEqual([0.75]);
      maps.heat[(2 + down) * 6 + 2 + across] = 0;
      maps.heat[(2 + 2 * down) * 6 + 2 + 2 * across] = 0.75;
      expect(decode(maps, 0.4).map(({ score }) => score).sort()).toEqual([0.5, 0.75]); // with one between them both
    }
  });

  test("of two boxes of one face the surer one stays", () => {
    const box: Box = [0, 0, 10, 20];
    expect(distinct([{ box, score: 0.5 }, { box: [1, 0, 10, 20], score: 0.9 }, { box: [30, 0, 9, 9], score: 0.4 }])).toEqual([1, 2]);
  });

  test("the landmark box of a lying face has the sides of an upright one, worked by hand", () => {
    // The eyes left of the mouth: tilted by -90 degrees, of which 15 are kept.
    const face = { box: [10, 20, 50, 40] as Box, score: 1, five: [20, 30, 20, 50, 30, 40, 45, 32, 45, 48] };
    const [{ box, roll }] = landmarkBoxes([face], DETECTOR.compact), side = Math.sqrt(50 * 40);
    const { aspect, compact: { centre, size } } = DETECTOR;
    const [width, height] = [side / Math.sqrt(aspect), side * Math.sqrt(aspect)], down = height * (centre[1] - 0.5), angle = (75 * Math.PI) / 180;
    expect(centre[0]).toBe(0.5);
    const middle = [35 + Math.sin(angle) * down, 40 + Math.cos(angle) * down], sides = [width * size[0], height * size[1]];
    expect(roll).toBeCloseTo(-75, 9);
    expect(largestDifference(box, [middle[0] - sides[0] / 2, middle[1] - sides[1] / 2, ...sides])).toBeLessThan(1e-9);
  });

  test("landmark boxes are sorted by size", () => {
    const five = [0, 0, 2, 0, 1, 1, 0, 3, 2, 3];
    const found = landmarkBoxes([{ box: [0, 0, 10, 12], score: 1, five }, { box: [0, 0, 20, 25], score: 1, five }], DETECTOR.compact);
    expect(found[0].box[2]).toBeGreaterThan(found[1].box[2]);
  });
});

describe("the search of a detector, with a network that answers as it is told", () => {
  /** What the network sees in a tile: faces by centre, sides and score, in pixels of the tile. */
  type Seen = { x: number; y: number; width: number; height: number; score: number; lying?: boolean };

  /** It gets the first pixel of the tile and its size. */
  type See = (first: number[], width: number, height: number) => Seen[];

  const detector = (see: See, smallest = 0.0001, rotations = false) => new CenterFace(network(see), smallest, rotations);

  function network(see: See, facts = DETECTOR.compact): DetectorNetwork {
    const run: DetectorNetwork["run"] = async (input, height, width) => {
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
        // Upright: eyes above the mouth, in shares of the box. Lying: the mouth at the right.
        [[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]].forEach(([x, y], i) => {
          maps.points[2 * i * cells + cell] = face.lying ? x : y;
          maps.points[(2 * i + 1) * cells + cell] = face.lying ? y : x;
        });
      }
      return maps;
    };
    return { run, facts };
  }

  /** The landmark box of the network's box with this centre. */
  const landmarksOf = (x: number, y: number, width: number, height: number, { centre, size } = DETECTOR.compact): Box => {
    const [down, sides] = [height * (centre[1] - 0.5), [width * size[0], height * size[1]]];
    return [x + width * (centre[0] - 0.5) - sides[0] / 2, y + down - sides[1] / 2, sides[0], sides[1]];
  };

  /** A picture whose colours tell the column: red its remainder by 256, green the rest. */
  const numbered = (width: number, height: number) => {
    const bytes = new Uint8ClampedArray(width * height * 3);
    for (let i = 0; i < width * height; i++) bytes.set([(i % width) % 256, Math.trunc((i % width) / 256), 7], 3 * i);
    return picture(width, height, bytes);
  };

  test("a face of a smaller picture is enlarged, with half pixels", async () => {
    // 0.045 * sqrt(640 * 360) / 18 = 1.2: 533 pixels across, to the next multiple of 32: 544 x 306, and then a fourth of that.
    const found = await detector((_, width) => (width === 544 ? [{ x: 100, y: 60, width: 40, height: 50, score: 0.9 }] : []), 0.045)
      .detect(numbered(640, 360));
    const [across, down] = [640 / 544, 360 / 306];
    expect(found).toHaveLength(1);
    expect(largestDifference(found[0].box, landmarksOf(100.5 * across - 0.5, 60.5 * down - 0.5, 40 * across, 50 * down))).toBeLessThan(1e-3);
  });

  test("a face of a turned picture is turned back, with half pixels", async () => {
    // The picture of 96 x 64 is searched upright and then turned by 1, 2 and 3 quarters counterclockwise.
    const places = [[10, 95 - 30], [95 - 30, 63 - 10], [63 - 10, 30]]; // of (30, 10) in the picture
    for (let turns = 1; turns < 4; turns++) {
      let calls = 0;
      const [x, y] = places[turns - 1];
      const tiles: number[][] = [];
      const see = ([red]: number[], width: number, height: number) => {
        tiles.push([red, width, height]);
        return calls++ === turns ? [{ x, y, width: 20, height: 24, score: 0.9 }] : [];
      };
      const found = await detector(see, 0.0001, true).detect(numbered(96, 64));
      expect(tiles).toEqual([[0, 96, 64], [95, 64, 96], [95, 96, 64], [0, 64, 96]]); // and the first pixel's column
      expect(found).toHaveLength(1);
      const upright = landmarksOf(x, y, 20, 24), [u, v] = [upright[0] + upright[2] / 2 - x, upright[1] + upright[3] / 2 - y];
      const middle = turns === 1 ? [30 - v, 10 + u] : turns === 2 ? [30 - u, 10 - v] : [30 + v, 10 - u];
      expect(largestDifference(found[0].box, [middle[0] - upright[2] / 2, middle[1] - upright[3] / 2, upright[2], upright[3]])).toBeLessThan(1e-3);
      expect(found[0].roll).toBe([90, -180, -90][turns - 1]);
    }
  });

  test("of the answers on a lying face the one that sees it upright stays, though it is less sure", async () => {
    // The picture of 96 x 64 turned by 3 quarters counterclockwise shows (48, 32) at (31, 48).
    const find = async (scores: number[]) => {
      let calls = 0;
      const see = () => {
        const turn = calls++, [x, y] = turn ? [31, 48] : [48, 32];
        return turn % 3 ? [] : [{ x, y, width: 24, height: 24, score: scores[turn ? 1 : 0], lying: !turn }];
      };
      const found = await detector(see, 0.0001, true).detect(numbered(96, 64));
      expect(calls).toBe(4);
      return found.map(({ score, roll }) => [score, roll]);
    };
    expect(await find([0.9, 0.6])).toEqual([[expect.closeTo(0.6, 5), -90]]);
    expect(await find([0.9, 0.3])).toEqual([[expect.closeTo(0.9, 5), expect.closeTo(-75, 5)]]); // too unsure
  });

  test("a doubtful face may be upside down; a sure one is not turned", async () => {
    // In the middle of the picture of 96 x 64, and of the one turned twice.
    const find = async (scores: number[]) => {
      let calls = 0;
      const see = () => {
        const turn = calls++;
        return turn % 2 ? [] : [{ x: 47.5, y: 31.5, width: 24, height: 24, score: scores[turn ? 1 : 0] }];
      };
      const found = await detector(see, 0.0001, true).detect(numbered(96, 64));
      return [calls, ...found.map(({ score, roll }) => [score, roll])];
    };
    expect(await find([0.55, 0.65])).toEqual([4, [expect.closeTo(0.65, 5), -180]]);
    expect(await find([0.65, 0.9])).toEqual([1, [expect.closeTo(0.65, 5), 0]]);
  });

  test("where a face is doubtful the second network searches instead of turns, and the surer answer stays", async () => {
    const facts = { ...DETECTOR.second, min_score: 0.5, size: [0.9, 0.7] }, asked: number[][] = [];
    const first = (score: number): See => (_, width) => {
      asked.push([1, width]);
      return [{ x: 20, y: 20, width: 20, height: 24, score: 0.9 }, { x: 70, y: 40, width: 20, height: 24, score }];
    };
    const second: See = (_, width) => {
      asked.push([2, width]);
      return [{ x: 72, y: 40, width: 22, height: 24, score: 0.8 }, { x: 45, y: 15, width: 9, height: 9, score: 0.45 }];
    };
    const loaded = () => Promise.resolve(network(second, facts));
    const found = await new CenterFace(network(first(0.55)), 0.0001, true, loaded).detect(numbered(96, 64));
    expect(asked).toEqual([[1, 96], [2, 96]]); // sure of all that it finds, the second one is not asked for turned pictures
    expect(found).toHaveLength(2);
    expect(largestDifference(found.find(({ box }) => box[0] < 40)!.box, landmarksOf(20, 20, 20, 24))).toBeLessThan(1e-3);
    expect(largestDifference(found.find(({ box }) => box[0] > 40)!.box, landmarksOf(72, 40, 22, 24, facts))).toBeLessThan(1e-3);
    expect(found[0].box[2] * found[0].box[3]).toBeGreaterThan(found[1].box[2] * found[1].box[3]);
    for (const [score, rotations] of [[0.65, true], [0.55, false]] as [number, boolean][]) {
      asked.length = 0;
      await new CenterFace(network(first(score)), 0.0001, rotations, loaded).detect(numbered(96, 64));
      expect(asked).toEqual([[1, 96]]);
    }
  });

  test("the second network searches large pictures for no smaller faces than in turned ones, and then turned", async () => {
    // 0.03 * sqrt(2000 * 1000) / 18 = 2.36: 849 pixels across, to the next multiple of 32: 864 x 432.
    const asked: number[][] = [], none = (name: number): See => (_, width, height) => (asked.push([name, width, height]), []);
    await new CenterFace(network(none(1)), 0.02, true, () => Promise.resolve(network(none(2)))).detect(numbered(2000, 1000));
    expect(asked.filter(([name]) => name === 1).at(-1)).toEqual([1, 736, 640]); // 1280 x 640 in two tiles, which share 160
    const wide = asked.filter(([name, width]) => name === 2 && width > 256);
    expect(wide).toEqual([[2, 864, 448], [2, 448, 864], [2, 864, 448], [2, 448, 864]]);
  });

  test("without the second network the first one turns the picture", async () => {
    let calls = 0;
    await new CenterFace(network(() => (calls++, [])), 0.0001, true, () => Promise.resolve(null)).detect(numbered(96, 64));
    expect(calls).toBe(4);
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
    const tiles: number[][] = [];
    const seen = detector(([red, green], width, height) => {
      tiles.push([red + 256 * green, width, height]);
      const left = red + 256 * green;
      if (width === 96) return []; // 81 x 19 pixels
      if (width === 352) return [{ x: 100, y: 60, width: 60, height: 70, score: 0.5 }]; // of 325 x 75 pixels
      const own = { x: 700 - left, y: 40, width: 40, height: 50, score: 0.7 };
      // Where the tile cuts it, it looks narrower, and surer.
      return left ? [own, { x: 300, y: 80, width: 170, height: 100, score: 0.99 }] : [{ ...own, x: 690, width: 24, score: 0.95 }];
    });
    const found = await seen.detect(numbered(1300, 300));
    expect(tiles).toEqual([[expect.any(Number), 96, 32], [expect.any(Number), 352, 96], [0, 736, 320], [564 + 0, 736, 320]]);
    expect(found.map(({ score }) => score)).toEqual([0.5, 0.7].map((score) => expect.closeTo(score, 5)));
    expect(largestDifference(found[1].box, landmarksOf(700, 40, 40, 50))).toBeLessThan(1e-3);
    expect(largestDifference(found[0].box, landmarksOf(100.5 * 4 - 0.5, 60.5 * 4 - 0.5, 240, 280))).toBeLessThan(1e-3);
  });

  test("a face is of the tile whose middle holds it, from top to bottom too", async () => {
    // As before, but the colours tell the row.
    const [width, height] = [300, 1300], bytes = new Uint8ClampedArray(width * height * 3);
    for (let i = 0; i < width * height; i++) bytes.set([Math.trunc(i / width) % 256, Math.trunc(i / width / 256), 7], 3 * i);
    const found = await detector(([red, green], _, tall) => {
      const top = red + 256 * green;
      if (tall < 736) return [];
      const own = { x: 40, y: 700 - top, width: 40, height: 50, score: 0.7 };
      const low = { x: 200, y: 640 - top, width: 40, height: 50, score: 0.6 };
      // Of the upper tile down to 736 - 80 = 656, of the lower one from 564 + 80 = 644 on.
      return top ? [own, { ...low, score: 0.99 }] : [low, { ...own, height: 44, y: 690, score: 0.95 }];
    }).detect(picture(width, height, bytes));
    expect(found.map(({ score }) => score)).toEqual([0.7, 0.6].map((score) => expect.closeTo(score, 5)));
    expect(largestDifference(found[0].box, landmarksOf(40, 700, 40, 50))).toBeLessThan(1e-3);
    expect(largestDifference(found[1].box, landmarksOf(200, 640, 40, 50))).toBeLessThan(1e-3);
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
