// Both networks by ONNX Runtime Web.

import * as ort from "onnxruntime-web/wasm";
import { CROP, DETECTOR } from "./constants";
import type { DetectorNetwork } from "./detector";
import type { Network } from "./predictor";

export interface Networks {
  landmarks: Network;
  detector: DetectorNetwork;
}

/** Load both; raises an error in words for the reader where a file is missing or damaged. */
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
    try {
      sessions.push(await ort.InferenceSession.create(data, { graphOptimizationLevel: "all", logSeverityLevel: 3 }));
    } catch (error) {
      throw new Error(`The model file ${name} is damaged: ${firstLine(error)}`, { cause: error });
    }
  }
  const [detector, landmarks] = sessions;
  return {
    landmarks: async (crops, count) => {
      const image = new ort.Tensor("float32", crops, [count, CROP.size, CROP.size, 3]);
      const found = await landmarks.run({ image });
      return { points: found.points.data as Float32Array, uncertainty: found.uncertainty.data as Float32Array };
    },
    detector: async (input, height, width) => {
      const found = await detector.run({ image: new ort.Tensor("float32", input, [1, 3, height, width]) });
      const [heat, sizes, offsets, points] = ["heat", "sizes", "offsets", "points"].map((name) => found[name].data as Float32Array);
      return { heat, sizes, offsets, points, rows: height / DETECTOR.stride, columns: width / DETECTOR.stride };
    },
  };
}

export async function download(base: string, name: string): Promise<ArrayBuffer> {
  const answer = await fetch(new URL(name, base)).catch(() => null);
  if (!answer?.ok) throw new Error(`The file ${name} of this page cannot be loaded (${answer?.status ?? "no answer"}).`);
  return answer.arrayBuffer();
}

export function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0];
}
