// The server of the label page: what it has, and what it writes.

import type { Place, Point } from "./editor";

export interface Markup {
  name: string;
  names: string[];
  pairs: [number, number][];
  outlines: [number[], boolean][];
  parts: Record<string, number[]>;
  /** Of an upright face; the unit is the longer side of the face. */
  mean: [number, number][] | null;
  /** Two places of the mean face that a new face is laid on: the eyes, if the markup tells them; null without a mean face. */
  anchors: [Anchor, Anchor] | null;
}

export interface Anchor {
  name: string;
  points: number[];
}

export interface ListedPicture {
  name: string;
  /** How many are labelled. */
  faces: number;
  /** How unsure the model is of it; null: not known yet. */
  doubt: number | null;
}

export interface Overview {
  folder: string;
  markup: Markup;
  pictures: ListedPicture[];
  /** Whether the markup is yet to be made. */
  naming: boolean;
}

export interface Face {
  points: Point[];
  /** Numbers of the points that are behind something. */
  covered: number[];
}

export interface Faces {
  /** Of what points.csv has of the picture. */
  version: string;
  faces: Face[];
  labelled: boolean;
}

/** points.csv was changed by somebody else. */
export class Conflict extends Error {}

export const overview = () => get<Overview>("overview", {});
export const next = (after: string | null) => get<{ name: string | null }>("next", after === null ? {} : { after });
export const roundsSoFar = () => get<{ lines: string[] }>("rounds", {});
export const facesOf = (name: string) => get<Faces>("faces", { name });

export async function pictureOf(name: string): Promise<ImageBitmap> {
  const answer = await asked(`picture?${new URLSearchParams({ name })}`);
  return createImageBitmap(await answer.blob());
}

export const accept = (name: string, version: string, faces: unknown[]) =>
  post<{ version: string }>("accept", { name, version, faces });
export const propose = (name: string, box: number[]) => post<Face>("propose", { name, box });

/** The mirror pairs that names and places of points tell. */
export const pairsOf = (names: string[], places: Place[]) => post<{ pairs: [number, number][] }>("pairs", { names, places });
export const writeMarkup = (name: string, names: string[], places: Place[], pairs: [number, number][]) =>
  post<{ path: string }>("markup", { name, names, places, pairs });

async function get<T>(path: string, names: Record<string, string>): Promise<T> {
  return (await asked(`${path}?${new URLSearchParams(names)}`)).json() as Promise<T>;
}

async function post<T>(path: string, values: object): Promise<T> {
  const headers = { "Content-Type": "application/json" };
  return (await asked(path, { method: "POST", headers, body: JSON.stringify(values) })).json() as Promise<T>;
}

async function asked(path: string, options?: RequestInit): Promise<Response> {
  const answer = await fetch(new URL(`api/${path}`, location.href), options).catch(() => null);
  if (!answer) throw new Error("The server does not answer: what you see is not saved. Start keypoints label again.");
  if (answer.ok) return answer;
  const { error } = (await answer.json().catch(() => ({ error: answer.statusText }))) as { error: string };
  throw answer.status === 409 ? new Conflict(error) : new Error(error);
}
