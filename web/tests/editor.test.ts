import { expect, test } from "vitest";
import { Editor, type Point } from "../src/label/editor";
import type { Face } from "../src/label/server";
import { laidOn, swappedPairs } from "../src/label/symmetry";
import { type View, distancesAlong, fitted, toPicture, toWindow, under, zoomed } from "../src/label/view";

const FACE: Point[] = [[10, 20], [50, 20], [30, 60]], OTHER: Point[] = [[110, 20], [150, 20], [130, 60]];

const seen = (points: Point[]): Face => ({ points, covered: [] });

function editor(stored = false): Editor {
  const made = new Editor();
  made.load([seen(FACE), seen(OTHER)], stored);
  return made;
}

test("points move, and everything is undone and redone in order", () => {
  const edited = editor();
  edited.mark();
  edited.move([0, 2], [1, -2]);
  edited.mark();
  edited.move([1], [0.1, 0]);
  expect(edited.current!.points).toEqual([[11, 18], [50.1, 20], [31, 58]]);
  edited.undo();
  expect(edited.current!.points).toEqual([[11, 18], [50, 20], [31, 58]]);
  edited.undo();
  edited.undo();
  expect(edited.current!.points).toEqual(FACE);
  edited.redo();
  edited.redo();
  edited.redo();
  expect(edited.current!.points[1]).toEqual([50.1, 20]);
  edited.undo();
  edited.mark();
  edited.redo(); // what was undone is gone after another change
  expect(edited.current!.points[1]).toEqual([50, 20]);
});

test("neighbours follow a soft move the less the farther they are", () => {
  const edited = new Editor();
  edited.load([seen([[0, 0], [12, 0], [100, 0]])], false); // 12 pixels are the reach of a face of 100
  edited.moveSoftly(0, [0, 10], []);
  const [own, near, far] = edited.current!.points.map((point) => point![1]);
  expect(own).toBe(10);
  expect(near).toBeCloseTo(10 / Math.E, 10);
  expect(far).toBeLessThan(1e-9);
});

test("along an outline, the points of others stay where they are", () => {
  const points: Point[] = [[0, 0], [3, 4], [3, 10], null, [0, 1]];
  const open = { points: [0, 1, 3, 2], closed: false }; // 5 to the second, 6 more to the last; one is not to be seen
  expect(distancesAlong(points, 0, [open])).toEqual([0, 5, 11, Infinity, Infinity]);
  expect(distancesAlong(points, 1, [open])).toEqual([5, 0, 6, Infinity, Infinity]);
  const closed = { points: [0, 1, 2], closed: true }, back = Math.hypot(3, 10); // shorter the other way round
  expect(distancesAlong(points, 0, [closed])).toEqual([0, 5, back, Infinity, Infinity]);
  expect(distancesAlong(points, 2, [closed])).toEqual([back, 6, 0, Infinity, Infinity]);
  expect(distancesAlong(points, 4, [open, closed])[1]).toBeCloseTo(Math.hypot(3, 3), 10); // in none: straight
  const edited = new Editor();
  edited.load([seen([[0, 0], [12, 0], [100, 0]])], false);
  edited.moveSoftly(0, [0, 10], [{ points: [0, 2], closed: false }]);
  expect(edited.current!.points[1]).toEqual([12, 0]);
});

test("points turn and grow about their middle, clockwise in the picture", () => {
  const edited = new Editor();
  edited.load([seen([[0, 0], [4, 0], [9, 9]])], false);
  edited.turn([0, 1], Math.PI / 2, 2);
  const [one, other, third] = edited.current!.points as [number, number][];
  [2, -4].forEach((value, axis) => expect(one[axis]).toBeCloseTo(value, 10));
  [2, 4].forEach((value, axis) => expect(other[axis]).toBeCloseTo(value, 10));
  expect(third).toEqual([9, 9]);
});

test("covered points keep their place, and are sent", () => {
  const edited = editor(true);
  edited.toggleCovered(); // no point is chosen
  expect(edited.toSend()).toEqual([0, 1]);
  edited.choose(0, 2);
  edited.toggleCovered();
  expect(edited.toSend()).toEqual([{ points: FACE, covered: [2] }, 1]);
  edited.swap(0, 2);
  expect(edited.toSend()[0]).toEqual({ points: [FACE[2], FACE[1], FACE[0]], covered: [0] });
  edited.choose(0, 0);
  edited.toggleHidden([7, 8]); // then it is not covered
  expect(edited.toSend()[0]).toEqual({ points: [null, FACE[1], FACE[0]], covered: [] });
  edited.toggleCovered();
  expect(edited.current!.covered.size).toBe(0);
  edited.undo();
  edited.choose(0, 0);
  edited.toggleCovered();
  expect(edited.current!.covered.size).toBe(0);
});

test("what was accepted is in the file, and what was not is gone on with later", () => {
  const edited = editor();
  expect(edited.draft).toBeNull();
  edited.mark();
  edited.move([0], [1, 0]);
  const draft = edited.draft!;
  edited.load([seen(OTHER)], true);
  expect([edited.draft, edited.faces.length]).toEqual([null, 1]);
  edited.resume(draft);
  expect(edited.current!.points[0]).toEqual([11, 20]);
  edited.settle();
  expect([edited.toSend(), edited.draft]).toEqual([[0, 1], null]);
  edited.undo();
  expect(edited.current!.points[0]).toEqual([11, 20]);
});

test("faces of another picture take the place of all", () => {
  const edited = editor(true);
  edited.replaceAll([{ points: OTHER, covered: [1] }]);
  expect(edited.toSend()).toEqual([{ points: OTHER, covered: [1] }]);
  edited.undo();
  expect(edited.toSend()).toEqual([0, 1]);
});

test("the mean face is laid on two places", () => {
  // Eyes one apart in the mean, 10 apart and a quarter turned in the picture: y of the picture is downwards.
  const laid = laidOn([[-0.5, 0], [0.5, 0], [0, 1]], [[-0.5, 0], [0.5, 0]], [[20, 30], [20, 40]]);
  expect(laid).toEqual([[20, 30], [20, 40], [10, 35]]);
});

test("pairs that have changed sides are found at any roll, also where all have", () => {
  const mean: [number, number][] = [[-3, -2], [3, -2], [0, 0], [-2, 3], [2, 3]].map(([x, y]) => [x / 10, y / 10]);
  const pairs: [number, number][] = [[0, 1], [3, 4]], markup = { mean, pairs };
  const rolled = (points: Point[], angle: number) => points.map((point): Point => point && [
    50 + 100 * (Math.cos(angle) * point[0] - Math.sin(angle) * point[1]), 60 + 100 * (Math.sin(angle) * point[0] + Math.cos(angle) * point[1])]);
  for (const angle of [0, 0.5, 2, Math.PI, -1.5]) {
    const change = (order: number[]) => swappedPairs(rolled(order.map((i) => mean[i]), angle), markup);
    expect(change([0, 1, 2, 3, 4])).toEqual([]);
    expect(change([1, 0, 2, 3, 4])).toEqual([[0, 1]]);
    expect(change([0, 1, 2, 4, 3])).toEqual([[3, 4]]);
    expect(change([1, 0, 2, 4, 3])).toEqual(pairs);
  }
  // Within 2 % of the face the sides of a turned head may have crossed; a point may be missing.
  expect(swappedPairs([[0, -20], [-1.9, -20], [0, 0], [-20, 30], [20, 30]], markup)).toEqual([]);
  expect(swappedPairs([[0, -20], [-2.2, -20], [0, 0], [-20, 30], [20, 30]], markup)).toEqual([[0, 1]]);
  expect(swappedPairs([null, [-5, -20], [0, 0], [-20, 30], [20, 30]], markup)).toEqual([]);
  expect(swappedPairs([[30, 0], [-30, 0]], { mean: [[-0.3, 0], [0.3, 0]], pairs: [[0, 1]] })).toEqual([]); // one middle tells no roll
  expect(swappedPairs([], { mean: null, pairs })).toEqual([]);
});

test("without a mean face a pair that lies against the others looks swapped", () => {
  const pairs: [number, number][] = [[0, 1], [2, 3], [4, 5]];
  const right: Point[] = [[10, 20], [60, 22], [20, 21], [50, 23], [30, 60], [45, 62]];
  const seen = (order: number[]) => swappedPairs(order.map((i) => right[i]), { mean: null, pairs });
  expect(seen([0, 1, 2, 3, 4, 5])).toEqual([]);
  expect(seen([0, 1, 2, 3, 5, 4])).toEqual([[4, 5]]);
  expect(seen([1, 0, 2, 3, 4, 5])).toEqual([[0, 1]]);
  // One pixel is within 2 % of the widest pair, fifty pixels wide; two are beyond.
  const near = (x: number): Point[] => [...right.slice(0, 4), [30, 60], [30 - x, 60]];
  expect(swappedPairs(near(0.9), { mean: null, pairs })).toEqual([]);
  expect(swappedPairs(near(2), { mean: null, pairs })).toEqual([[4, 5]]);
  expect(swappedPairs([[20, 0], [10, 0], [10, 5], [20, 5]], { mean: null, pairs: pairs.slice(0, 2) })).toEqual([]); // no majority
});

test("a point that is not to be seen gets its place back", () => {
  const edited = editor();
  edited.choose(0, 1);
  edited.toggleHidden([7, 8]);
  expect(edited.current!.points).toEqual([[10, 20], null, [30, 60]]);
  edited.move([1], [5, 5]);
  edited.toggleHidden([7, 8]);
  expect(edited.current!.points).toEqual(FACE);
  edited.load([seen([[10, 20], null, [30, 60]])], true);
  edited.choose(0, 1);
  edited.toggleHidden([7, 8]);
  expect(edited.current!.points[1]).toEqual([20, 40]); // never seen before: in the middle of the others
});

test("faces without a change are sent as rows of the file", () => {
  const edited = editor(true);
  edited.choose(1, null);
  edited.move([0], [1, 0]);
  expect(edited.toSend()).toEqual([0, { points: [[111, 20], [150, 20], [130, 60]], covered: [] }]);
  edited.choose(0, null);
  edited.remove();
  expect(edited.faces).toHaveLength(1);
  edited.add(seen(FACE));
  expect([edited.face, edited.toSend()[1]]).toEqual([1, seen(FACE)]);
  edited.undo();
  edited.undo();
  expect(edited.toSend()[0]).toBe(0);
});

test("points and faces are chosen in turn", () => {
  const edited = editor();
  const chosen = [1, 1, 1, 1, -1].map((step) => (edited.stepPoint(step), edited.point));
  expect(chosen).toEqual([0, 1, 2, 0, 2]);
  edited.stepFace(-1);
  expect([edited.face, edited.point]).toEqual([1, null]);
  edited.stepPoint(-1);
  expect(edited.point).toBe(2);
});

test("places in the window and in the picture, by hand", () => {
  const view: View = { scale: 4, left: 10, top: -6 };
  expect(toWindow(view, [2, 3])).toEqual([20, 8]);
  expect(toPicture(view, [20, 8])).toEqual([2, 3]);
  expect(fitted(200, 100, 400, 300)).toEqual({ scale: 2, left: 0, top: 50 });
  const near = zoomed(view, [20, 8], 3, 0.1);
  expect(near.scale).toBe(12);
  expect(toPicture(near, [20, 8])).toEqual([2, 3]); // what is under the pointer stays
  expect(zoomed(view, [0, 0], 1000, 0.1).scale).toBe(64);
  expect(zoomed(view, [0, 0], 1e-6, 0.5).scale).toBe(0.5);
});

test("the nearest point is under the pointer, then an outline, then a face", () => {
  const faces = editor().faces, view: View = { scale: 1, left: -0.5, top: -0.5 }; // pixels are places
  const outlines = [{ points: [0, 1], closed: false }, { points: [0, 1, 2], closed: true }];
  const at = (x: number, y: number) => under(faces, outlines.slice(0, 1), view, [x, y], 10);
  expect(at(12, 21)).toEqual({ kind: "point", face: 0, point: 0 });
  expect(at(148, 22)).toEqual({ kind: "point", face: 1, point: 1 });
  expect(at(30, 24)).toEqual({ kind: "outline", face: 0, points: [0, 1] });
  expect(at(30, 40)).toEqual({ kind: "face", face: 0, points: [0, 1, 2] });
  expect(at(80, 40)).toBeNull();
  // The line back to the start is of closed outlines alone.
  expect(under(faces, outlines.slice(1), view, [20, 40], 10)).toMatchObject({ kind: "outline" });
});
