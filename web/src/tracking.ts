// Faces from frame to frame, as in keypoints/inference/tracking.py, and of single pictures.

import { MODEL, TRACKING } from "./constants";
import { Cuts } from "./cuts";
import type { Detection, Detector } from "./detector";
import { type Scored, scoreFace } from "./estimate";
import { type Box, type Picture, type Points, centreOf, faceBox } from "./geometry";
import { fitRotation } from "./pose";
import type { Predictor } from "./predictor";
import type { Matrix3 } from "./rotation";
import { overlaps, settled } from "./settling";
import { OneEuro, OneEuroRotation, lowPass } from "./smoothing";
import { uprightBox } from "./upright";

/** One face of one frame, in pixels of the frame. */
export interface Face {
  id: number;
  box: Box;
  points: Points;
  uncertainty: Float32Array;
  score: number;
  /** From the head to the camera; null: no pose. */
  rotation: Matrix3 | null;
}

/** Whether the face was found in its frame; otherwise it is lost for a moment and was moved on. */
export function wasFound(face: Face): boolean {
  return face.score >= TRACKING.score_threshold;
}

/** Whether points were found, and form a face. Nothing but blur and squares is drawn on others. */
export function hasPose(face: Face): boolean {
  return wasFound(face) && (face.rotation !== null || !MODEL.rigid.length);
}

class Track {
  speed: [number, number] = [0, 0];
  filter = new OneEuro();
  readonly turn = new OneEuroRotation();
  known: number;

  constructor(readonly id: number, public points: Points, public seen: number, readonly born: number) {
    this.known = seen;
  }

  /** The points if the face goes on as it did when it was last seen. */
  expected(timestamp: number): Points {
    return this.points.map((value, i) => value + this.speed[i % 2] * (timestamp - this.seen));
  }

  update(points: Points, timestamp: number): void {
    const elapsed = timestamp - this.seen;
    if (elapsed > 0) {
      const moved = [0, 0];
      points.forEach((value, i) => (moved[i % 2] += (value - this.points[i]) / (points.length / 2)));
      const share = lowPass(TRACKING.velocity_cutoff, elapsed);
      moved.forEach((value, i) => (this.speed[i] += share * (value / elapsed - this.speed[i])));
    }
    this.points = points;
    this.seen = this.known = timestamp;
  }
}

export class Tracker {
  /** Boxes that the detector found in the last search and that are not followed: low scores. */
  ignored: Box[] = [];
  private tracks: Track[] = [];
  private nextId = 0;
  private searched = -Infinity;
  private last = -Infinity;
  private readonly cuts = new Cuts();

  /** `detectEvery`: seconds between searches for new faces. Both may change from frame to frame. */
  constructor(
    private readonly predictor: Predictor,
    public detector: Detector,
    public detectEvery: number = TRACKING.detect_every,
  ) {}

  /**
   * The faces of the next frame, oldest first; frames come with their times in seconds, in order.
   * After a cut, and where time goes back because a video begins again, all faces are new.
   */
  async update(picture: Picture, timestamp: number): Promise<Face[]> {
    if (this.cuts.isCut(picture) || timestamp < this.last) {
      [this.tracks, this.ignored] = [[], []];
      this.searched = this.last = -Infinity;
    }
    const visible = this.visible();
    const lost = visible.length < this.tracks.length;
    const pause = lost ? Math.min(TRACKING.detect_lost_every, this.detectEvery) : this.detectEvery;
    if (timestamp - this.searched >= pause - 1e-6 || !this.tracks.length) {
      this.merge(await this.searchFaces(picture, visible.map((track) => faceBox(track.points))), timestamp);
      this.searched = timestamp;
    }
    const faces = await this.follow(picture, timestamp);
    this.tracks = this.tracks.filter(
      (track) => timestamp - track.known <= TRACKING.lost_after && timestamp - track.seen <= TRACKING.hidden_for,
    );
    this.last = timestamp;
    return faces.filter((face) => this.tracks.some((track) => track.id === face.id));
  }

  private visible(): Track[] {
    return this.tracks.filter((track) => track.seen >= this.last);
  }

  /** The points of new faces, those that are not in the boxes `known`, and the boxes with low scores. */
  private async searchFaces(picture: Picture, known: Box[]): Promise<{ faces: Points[]; others: Box[] }> {
    const found = (await this.detector.detect(picture)).filter(({ box }) => !overlaps(box, known));
    const boxes = found.map(({ box }) => box);
    const estimates = await scored(this.predictor, picture, boxes, found.map(({ roll }) => roll));
    const likely = estimates.map(({ score }) => score >= TRACKING.score_threshold);
    return {
      faces: estimates.filter((_, i) => likely[i]).map(({ points }) => points),
      others: boxes.filter((_, i) => !likely[i]),
    };
  }

  /** Follow the faces of a search: lost ones under their old id, and new ones. */
  private merge({ faces, others }: { faces: Points[]; others: Box[] }, then: number): void {
    const visible = this.visible(), known = visible.map((track) => faceBox(track.expected(then)));
    const lost = this.tracks.filter((track) => !visible.includes(track));
    for (const points of faces) {
      const box = faceBox(points);
      if (overlaps(box, known)) continue;
      known.push(box);
      const distances = lost.map((track) => distance(box, track, then));
      const nearest = distances.indexOf(Math.min(...distances));
      if (nearest >= 0 && distances[nearest] < TRACKING.match_distance) {
        const [track] = lost.splice(nearest, 1);
        track.update(points, then);
        track.filter = new OneEuro();
      } else {
        this.tracks.push(new Track(this.nextId++, points, then, then));
      }
    }
    const followed = this.tracks.map((track) => faceBox(track.expected(then)));
    this.ignored = others.filter((box) => !overlaps(box, followed));
  }

  /** Crop every face where it is expected; returns those that are not hidden. */
  private async follow(picture: Picture, timestamp: number): Promise<Face[]> {
    const places = this.tracks.map((track) => uprightBox(track.expected(timestamp)));
    const estimates = await scored(this.predictor, picture, places.map(({ box }) => box), places.map(({ roll }) => roll));
    const found = estimates.map(({ points }) => faceBox(points));
    const sure = this.tracks.map((_, i) => i).filter((i) => estimates[i].score >= TRACKING.score_threshold);
    // How weak a track's claim to its face is, if another one found the same face.
    const claims = new Map(sure.map((i) => {
      const track = this.tracks[i];
      const lost = Number(track.seen < this.last), fresh = Number(timestamp - track.born < TRACKING.settled_after);
      return [i, [lost, fresh, distance(found[i], track, timestamp)]];
    }));
    const weaker = (a: number, b: number) => {
      const [first, second] = [claims.get(a)!, claims.get(b)!];
      return first[0] - second[0] || first[1] - second[1] || first[2] - second[2];
    };
    const owners: number[] = [];
    for (const i of [...sure].sort(weaker)) {
      const track = this.tracks[i];
      if (overlaps(found[i], owners.map((owner) => found[owner]))) {
        track.known = timestamp;
        track.filter = new OneEuro();
      } else {
        owners.push(i);
        track.update(estimates[i].points, timestamp);
      }
    }
    const faces: Face[] = [];
    this.tracks.forEach((track, i) => {
      if (sure.includes(i) && !owners.includes(i)) return;
      const points = track.filter.smooth(track.expected(timestamp), timestamp);
      const rotation = track.turn.smooth(fitRotation(points)?.rotation ?? null, timestamp);
      const { uncertainty, score } = estimates[i];
      faces.push({ id: track.id, box: faceBox(points), points, uncertainty, score, rotation });
    });
    return faces;
  }
}

/** Faces of a picture, largest first, and the boxes with low scores. */
export interface Found {
  faces: Face[];
  ignored: Box[];
}

/**
 * The faces of a single picture. `early` gets those of a first, coarse search, where there is one:
 * in a large picture the search for the small ones takes most of the time.
 */
export async function findFaces(
  picture: Picture,
  predictor: Predictor,
  detector: Detector,
  early?: (found: Found) => void,
): Promise<Found> {
  const known = new Map<string, Scored>(); // by box and roll: no face is estimated twice
  const estimated = async (found: Detection[]): Promise<Found> => {
    const name = ({ box, roll }: Detection) => [...box, roll].join();
    const fresh = found.filter((face) => !known.has(name(face)));
    const others = found.flatMap((face) => known.get(name(face)) ?? []);
    const estimates = await settled(fresh, (places) =>
      scored(predictor, picture, places.map(({ box }) => box), places.map(({ roll }) => roll)), others);
    estimates.forEach((estimate, i) => known.set(name(fresh[i]), estimate));
    return sorted(found, found.map((face) => known.get(name(face))!));
  };
  const first = early && (async (found: Detection[]) => early(await estimated(found)));
  return estimated(await detector.detect(picture, first));
}

/** Faces, and the boxes with low scores. */
function sorted(found: Detection[], estimates: Scored[]): Found {
  const faces: Face[] = [], ignored: Box[] = [];
  estimates.forEach(({ points, uncertainty, score }, i) => {
    if (score < TRACKING.score_threshold) {
      ignored.push(found[i].box);
      return;
    }
    const rotation = fitRotation(points)?.rotation ?? null;
    faces.push({ id: faces.length, box: faceBox(points), points, uncertainty, score, rotation });
  });
  return { faces, ignored };
}

async function scored(
  predictor: Predictor,
  picture: Picture,
  boxes: Box[],
  rolls: number[],
): Promise<Scored[]> {
  if (!boxes.length) return [];
  const estimates = await predictor.estimate(picture, boxes, rolls);
  return estimates.map((found, i) => ({ ...found, score: scoreFace(found, boxes[i], picture.width, picture.height) }));
}

/** How far a box is from where a track is expected, in sides, its change of size included. */
function distance(box: Box, track: Track, timestamp: number): number {
  const other = faceBox(track.expected(timestamp)), side = Math.max(other[2], other[3], 1);
  const [x, y] = centreOf(box), [otherX, otherY] = centreOf(other);
  return Math.hypot(x - otherX, y - otherY) / side + Math.abs(Math.log(Math.max(box[2], box[3], 1) / side));
}
