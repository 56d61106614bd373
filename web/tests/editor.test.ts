import { expect, test } from "vitest";
import { Editor, type Point } from "../src/label/editor";
import { type View, fitted, toPicture, toWindow, under, zoomed } from "../src/label/view";

const FACE: Point[] = [[10, 20], [50, 20], [30, 60]], OTHER: Point[] = [[110, 20], [150, 20], [130, 60]];

function editor(stored = false): Editor {
  const made = new Editor();
  made.load([FACE, OTHER], stored);
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
  edited.load([[[0, 0], [12, 0], [100, 0]]], false); // 12 pixels are the reach of a face of 100
  edited.moveSoftly(0, [0, 10]);
  const [own, near, far] = edited.current!.points.map((point) => point![1]);
  expect(own).toBe(10);
  expect(near).toBeCloseTo(10 / Math.E, 10);
  expect(far).toBeLessThan(1e-9);
});

test("a point that is not to be seen gets its place back", () => {
  const edited = editor();
  edited.choose(0, 1);
  edited.toggleHidden();
  expect(edited.current!.points).toEqual([[10, 20], null, [30, 60]]);
  edited.move([1], [5, 5]);
  edited.toggleHidden();
  expect(edited.current!.points).toEqual(FACE);
  edited.load([[[10, 20], null, [30, 60]]], true);
  edited.choose(0, 1);
  edited.toggleHidden();
  expect(edited.current!.points[1]).toEqual([20, 40]); // never seen before: in the middle of the others
});

test("faces without a change are sent as rows of the file", () => {
  const edited = editor(true);
  edited.choose(1, null);
  edited.move([0], [1, 0]);
  expect(edited.toSend()).toEqual([0, [[111, 20], [150, 20], [130, 60]]]);
  edited.choose(0, null);
  edited.remove();
  expect(edited.faces).toHaveLength(1);
  edited.add(FACE);
  expect([edited.face, edited.toSend()[1]]).toEqual([1, FACE]);
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
