// The faces in hand: what is moved, marked, added and removed, with undo and redo without limit.
//
// Places are in pixels of the picture, x then y; the centre of its first pixel is (0, 0). A point
// that is not to be seen is null; a covered one has the place where it is behind something.

import type { Face as StoredFace } from "./server";
import { type Outline, distancesAlong } from "./view";

export type Place = [number, number];
export type Point = Place | null;

export interface Face {
  readonly points: readonly Point[];
  readonly covered: ReadonlySet<number>;
  /** Its number in points.csv, from which it does not differ; null: new or changed. */
  readonly row: number | null;
  /** Where points were before they were marked as not to be seen. */
  readonly hidden: ReadonlyMap<number, Place>;
}

interface State {
  readonly faces: readonly Face[];
  readonly face: number;
  readonly point: number | null;
}

const NEIGHBOURS = 0.12; // how far a soft move reaches, in sizes of the face

const made = ({ points, covered }: StoredFace, row: number | null = null): Face => ({ points, covered: new Set(covered), row, hidden: new Map() });

/** What was done on a picture, to go on with it later. */
export interface Draft {
  past: State[];
  future: State[];
  state: State;
}

export class Editor {
  private past: State[] = [];
  private future: State[] = [];
  private state: State = { faces: [], face: 0, point: null };

  get faces(): readonly Face[] {
    return this.state.faces;
  }

  /** Number of the face in hand. */
  get face(): number {
    return this.state.face;
  }

  /** The chosen point of that face; null: none. */
  get point(): number | null {
    return this.state.point;
  }

  get canUndo(): boolean {
    return this.past.length > 0;
  }

  get canRedo(): boolean {
    return this.future.length > 0;
  }

  get current(): Face | null {
    return this.faces[this.face] ?? null;
  }

  /** Begin with the faces of a picture; `stored`: they are those of points.csv. */
  load(faces: StoredFace[], stored: boolean): void {
    [this.past, this.future] = [[], []];
    this.state = { faces: faces.map((face, i) => made(face, stored ? i : null)), face: 0, point: null };
  }

  /** All faces are in points.csv now, in their order. */
  settle(): void {
    [this.past, this.future] = [[], []];
    this.state = { ...this.state, faces: this.faces.map((face, row) => ({ ...face, row })) };
  }

  /** What was done since `load`; null: nothing. */
  get draft(): Draft | null {
    const { past, future, state } = this;
    return past.length || future.length ? { past, future, state } : null;
  }

  resume({ past, future, state }: Draft): void {
    [this.past, this.future, this.state] = [past, future, state];
  }

  choose(face: number, point: number | null): void {
    this.state = { ...this.state, face, point };
  }

  /** Choose the next point (`step` 1) or the one before (-1). */
  stepPoint(step: number): void {
    const count = this.current?.points.length ?? 0;
    if (!count) return;
    const from = this.point ?? (step > 0 ? -1 : 0);
    this.choose(this.face, (from + step + count) % count);
  }

  stepFace(step: number): void {
    const count = this.faces.length;
    if (count) this.choose((this.face + step + count) % count, null);
  }

  /** All moves until the next `mark` are undone at once. */
  mark(): void {
    this.past.push(this.state);
    this.future = [];
  }

  /** Move some points of the face in hand. */
  move(points: Iterable<number>, [dx, dy]: Place): void {
    const moved = new Set(points);
    this.put((point, i) => (point && moved.has(i) ? [point[0] + dx, point[1] + dy] : point));
  }

  /** Turn some points clockwise by an angle in radians and enlarge them, about their middle. */
  turn(points: Iterable<number>, angle: number, factor: number): void {
    const moved = new Set(points), [x, y] = middle(this.places(moved));
    const [a, b] = [factor * Math.cos(angle), factor * Math.sin(angle)];
    this.put((point, i) => {
      if (!point || !moved.has(i)) return point;
      const [dx, dy] = [point[0] - x, point[1] - y];
      return [x + a * dx - b * dy, y + b * dx + a * dy];
    });
  }

  /** Move a point; the others of its outlines, or all where it is in none, follow the less the farther they are. */
  moveSoftly(point: number, [dx, dy]: Place, outlines: readonly Outline[]): void {
    const { current } = this;
    if (!current?.points[point]) return;
    const reach = NEIGHBOURS * this.size(), away = distancesAlong(current.points, point, outlines);
    this.put((other, i) => {
      const share = Math.exp(-((away[i] / reach) ** 2));
      return other && [other[0] + share * dx, other[1] + share * dy];
    });
  }

  /** Put the chosen point somewhere. */
  place(at: Place): void {
    if (this.point === null) return;
    const { point } = this;
    this.mark();
    this.put((other, i) => (i === point ? at : other));
  }

  /** One more point of the face in hand. */
  append(at: Place): void {
    const { current } = this;
    if (!current) return;
    this.mark();
    this.replace({ ...current, points: [...current.points, at] });
    this.choose(this.face, current.points.length);
  }

  /** Mark the chosen point as not to be seen, or give it a place: its last one, the middle of the others, or `otherwise`. */
  toggleHidden(otherwise: Place): void {
    const { current, point } = this;
    if (!current || point === null) return;
    this.mark();
    const place = current.points[point], hidden = new Map(current.hidden), covered = new Set(current.covered);
    if (place) hidden.set(point, place);
    covered.delete(point);
    const back: Point = place ? null : (hidden.get(point) ?? (this.places().length ? middle(this.places()) : otherwise));
    this.replace({ ...current, hidden, covered, row: null, points: current.points.map((other, i) => (i === point ? back : other)) });
  }

  /** Mark the chosen point as covered, or as seen. */
  toggleCovered(): void {
    const { current, point } = this;
    if (!current || point === null || !current.points[point]) return;
    this.mark();
    const covered = new Set(current.covered);
    if (!covered.delete(point)) covered.add(point);
    this.replace({ ...current, covered, row: null });
  }

  /** Exchange the places of two points. */
  swap(one: number, other: number): void {
    const { current } = this;
    if (!current) return;
    const order = current.points.map((_, i) => (i === one ? other : i === other ? one : i));
    const covered = new Set([...current.covered].map((i) => order[i]));
    this.replace({ ...current, covered, row: null, points: order.map((i) => current.points[i]) });
  }

  add(face: StoredFace): void {
    this.mark();
    const faces = [...this.faces, made(face)];
    this.state = { faces, face: faces.length - 1, point: null };
  }

  /** Take other faces in place of all. */
  replaceAll(faces: StoredFace[]): void {
    this.mark();
    this.state = { faces: faces.map((face) => made(face)), face: 0, point: null };
  }

  /** Remove the face in hand. */
  remove(): void {
    if (!this.current) return;
    this.mark();
    const faces = this.faces.filter((_, i) => i !== this.face);
    this.state = { faces, face: Math.max(Math.min(this.face, faces.length - 1), 0), point: null };
  }

  undo(): void {
    const before = this.past.pop();
    if (!before) return;
    this.future.push(this.state);
    this.state = before;
  }

  redo(): void {
    const after = this.future.pop();
    if (!after) return;
    this.past.push(this.state);
    this.state = after;
  }

  /** What is sent: the number of a face that points.csv has as it is, or its points. */
  toSend(): (number | StoredFace)[] {
    return this.faces.map(({ row, points, covered }) => row ?? { points: [...points], covered: [...covered] });
  }

  /** Longer side of the box of the face in hand. */
  private size(): number {
    const places = this.places(), side = (axis: number) => {
      const values = places.map((place) => place[axis]);
      return Math.max(...values) - Math.min(...values);
    };
    return Math.max(side(0), side(1), 1);
  }

  private places(of?: ReadonlySet<number>): Place[] {
    return (this.current?.points ?? []).filter((point, i): point is Place => point !== null && (!of || of.has(i)));
  }

  private put(change: (point: Point, i: number) => Point): void {
    if (this.current) this.replace({ ...this.current, row: null, points: this.current.points.map(change) });
  }

  private replace(face: Face): void {
    this.state = { ...this.state, faces: this.faces.map((other, i) => (i === this.face ? face : other)) };
  }
}

function middle(places: Place[]): Place {
  const mean = (axis: number) => places.reduce((sum, place) => sum + place[axis], 0) / Math.max(places.length, 1);
  return [mean(0), mean(1)];
}
