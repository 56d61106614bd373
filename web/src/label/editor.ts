// The faces in hand: what is moved, marked, added and removed, with undo and redo without limit.
//
// Places are in pixels of the picture, x then y; the centre of its first pixel is (0, 0). A point
// that is not to be seen is null.

export type Place = [number, number];
export type Point = Place | null;

export interface Face {
  readonly points: readonly Point[];
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

  /** The chosen point of that face; null: all of it. */
  get point(): number | null {
    return this.state.point;
  }

  get current(): Face | null {
    return this.faces[this.face] ?? null;
  }

  /** Begin with the faces of a picture; `stored`: they are those of points.csv. */
  load(faces: Point[][], stored: boolean): void {
    [this.past, this.future] = [[], []];
    this.state = { faces: faces.map((points, i) => ({ points, row: stored ? i : null, hidden: new Map() })), face: 0, point: null };
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

  /** Move a point; its neighbours follow the less the farther they are. */
  moveSoftly(point: number, [dx, dy]: Place): void {
    const own = this.current?.points[point];
    if (!own) return;
    const reach = NEIGHBOURS * this.size();
    this.put((other, i) => {
      if (!other) return other;
      const away = Math.hypot(other[0] - own[0], other[1] - own[1]);
      const share = i === point ? 1 : Math.exp(-((away / reach) ** 2));
      return [other[0] + share * dx, other[1] + share * dy];
    });
  }

  /** Mark the chosen point as not to be seen, or give it its place back. */
  toggleHidden(): void {
    const { current, point } = this;
    if (!current || point === null) return;
    this.mark();
    const place = current.points[point], hidden = new Map(current.hidden);
    if (place) hidden.set(point, place);
    const back: Point = place ? null : (hidden.get(point) ?? this.middle());
    this.replace({ ...current, hidden, row: null, points: current.points.map((other, i) => (i === point ? back : other)) });
  }

  add(points: Point[]): void {
    this.mark();
    const faces = [...this.faces, { points, row: null, hidden: new Map() }];
    this.state = { faces, face: faces.length - 1, point: null };
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
  toSend(): (number | readonly Point[])[] {
    return this.faces.map((face) => face.row ?? face.points);
  }

  /** Longer side of the box of the face in hand. */
  private size(): number {
    const places = this.places(), side = (axis: number) => {
      const values = places.map((place) => place[axis]);
      return Math.max(...values) - Math.min(...values);
    };
    return Math.max(side(0), side(1), 1);
  }

  private middle(): Place {
    const places = this.places(), mean = (axis: number) => places.reduce((sum, place) => sum + place[axis], 0) / places.length;
    return [mean(0), mean(1)];
  }

  private places(): Place[] {
    return (this.current?.points ?? []).filter((point): point is Place => point !== null);
  }

  private put(change: (point: Point, i: number) => Point): void {
    if (this.current) this.replace({ ...this.current, row: null, points: this.current.points.map(change) });
  }

  private replace(face: Face): void {
    this.state = { ...this.state, faces: this.faces.map((other, i) => (i === this.face ? face : other)) };
  }
}
