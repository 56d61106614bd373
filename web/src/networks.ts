// The networks by ONNX Runtime Web.

import * as ort from "onnxruntime-web/wasm";
import { CROP, DETECTOR } from "./constants";
import type { DetectorNetwork, Facts } from "./detector";
import type { Network } from "./predictor";

export interface Networks {
  landmarks: Network;
  detector: DetectorNetwork;
  /** The detector for pictures in which the other one is not sure, loaded when it is first needed; null: no network. */
  second: () => Promise<DetectorNetwork | null>;
}

/** Load the two that every picture needs; raises an error in words for the reader where a file is missing or damaged. */
export async function loadNetworks(base: string, threads: number): Promise<Networks> {
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmPaths = new URL("runtime/", base).href;
  ort.env.logLevel = "error";
  // The smaller file first: the runtime starts while the other one is still on its way.
  const files = ["models/detector.onnx", "models/landmarks.onnx"];
  const downloads = files.map((name) => download(base, name));
  for (const one of downloads) one.catch(() => undefined); // told below
  const sessions: ort.InferenceSession[] = [];
  for (const [i, name] of files.entries()) {
    const data = await downloads[i];
    sessions.push(await load(name, data));
  }
  const [detector, landmarks] = sessions;
  return {
    landmarks: async (crops, count) => {
      const image = new ort.Tensor("float32", crops, [count, CROP.size, CROP.size, 3]);
      const found = await landmarks.run({ image });
      return { points: found.points.data as Float32Array, uncertainty: found.uncertainty.data as Float32Array };
    },
    detector: detectorOf(detector, DETECTOR.compact),
    second: secondOf(base),
  };
}

function detectorOf(session: ort.InferenceSession, facts: Facts): DetectorNetwork {
  const run: DetectorNetwork["run"] = async (input, height, width) => {
    const found = await session.run({ image: new ort.Tensor("float32", input, [1, 3, height, width]) });
    const [heat, sizes, offsets, points] = ["heat", "sizes", "offsets", "points"].map((name) => found[name].data as Float32Array);
    return { heat, sizes, offsets, points, rows: height / DETECTOR.stride, columns: width / DETECTOR.stride };
  };
  return { run, facts };
}

function secondOf(base: string): Networks["second"] {
  const name = "models/second.onnx";
  let loaded: Promise<DetectorNetwork> | null = null;
  return async () => {
    if (loaded) return loaded;
    const data = await download(base, name).catch((error) => {
      console.warn(`${firstLine(error)} Turned pictures are searched without it.`);
      return null;
    });
    if (!data) return null; // asked for again at the next picture
    loaded = load(name, data).then((session) => detectorOf(session, DETECTOR.second));
    return loaded;
  };
}

async function load(name: string, data: ArrayBuffer): Promise<ort.InferenceSession> {
  try {
    return await ort.InferenceSession.create(data, { graphOptimizationLevel: "all", logSeverityLevel: 3 });
  } catch (error) {
    throw new Error(`The model file ${name} is damaged: ${firstLine(error)}`, { cause: error });
  }
}

export async function download(base: string, name: string): Promise<ArrayBuffer> {
  const answer = await fetch(new URL(name, base)).catch(() => null);
  if (!answer?.ok) throw new Error(`The file ${name} of this page cannot be loaded (${answer?.status ?? "no answer"}).`);
  return answer.arrayBuffer();
}

export function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0];
}
