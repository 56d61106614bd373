// What the page and its worker say to each other.

import type { Model } from "./constants";
import type { Box } from "./geometry";
import type { Face } from "./tracking";

export interface StartRequest {
  kind: "start";
  /** Address of the page's folder. */
  base: string;
  threads: number;
}

/** Find the faces of a picture, which the worker keeps for `DrawRequest`. */
export interface PictureRequest {
  kind: "picture";
  image: ImageBitmap;
  /** Name of a filter, or "" for none; so below. */
  filter: string;
}

/** Draw on the picture of the last `PictureRequest` again, with another filter. */
export interface DrawRequest {
  kind: "draw";
  filter: string;
}

/** The next frame of a video: faces keep their ids. */
export interface FrameRequest {
  kind: "frame";
  image: ImageBitmap;
  /** Seconds. */
  timestamp: number;
  filter: string;
}

/** What is answered by one `FrameReply`, or by several, of which the last one is complete. */
export type ImageRequest = PictureRequest | DrawRequest | FrameRequest;

/** Forget all faces: another video begins. */
export interface ResetRequest {
  kind: "reset";
}

export type Request = StartRequest | ResetRequest | (ImageRequest & { number: number });

export interface ReadyReply {
  kind: "ready";
  threads: number;
  model: Model;
}

export interface FrameReply {
  kind: "frame";
  /** Of the request. */
  number: number;
  /** Whether all faces were looked for; otherwise another reply follows. */
  complete: boolean;
  timestamp: number;
  width: number;
  height: number;
  /** Red, green, blue and alpha with the filter drawn. */
  pixels: ArrayBuffer;
  /** Name of the filter that is drawn. */
  filter: string;
  faces: Face[];
  /** Boxes that may be further faces: a filter that hides faces hides them too. */
  ignored: Box[];
}

export interface ErrorReply {
  kind: "error";
  /** Of the request that failed; null: the start failed. */
  number: number | null;
  message: string;
}

export type Reply = ReadyReply | FrameReply | ErrorReply;
