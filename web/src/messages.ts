// What the page and its worker say to each other.

import type { Box } from "./geometry";
import type { Face } from "./tracking";

export interface StartRequest {
  kind: "start";
  /** Address of the page's folder. */
  base: string;
  threads: number;
}

export interface FrameRequest {
  kind: "frame";
  number: number;
  image: ImageBitmap;
  /** Seconds. */
  timestamp: number;
  /** Part of a video: faces keep their ids; otherwise a picture of its own. */
  moving: boolean;
  /** Name of a filter, or "" for none. */
  filter: string;
}

/** Forget all faces: another video begins. */
export interface ResetRequest {
  kind: "reset";
}

export type Request = StartRequest | FrameRequest | ResetRequest;

export interface ReadyReply {
  kind: "ready";
  threads: number;
}

export interface FrameReply {
  kind: "frame";
  number: number;
  timestamp: number;
  width: number;
  height: number;
  /** Red, green, blue and alpha with the filter drawn. */
  pixels: ArrayBuffer;
  faces: Face[];
  /** Faces that the filter was drawn on, and boxes that may be further faces. */
  drawn: number;
  ignored: Box[];
}

export interface ErrorReply {
  kind: "error";
  /** Of the frame that failed; null: the start failed. */
  number: number | null;
  message: string;
}

export type Reply = ReadyReply | FrameReply | ErrorReply;
