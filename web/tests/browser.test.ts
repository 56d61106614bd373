// The built page in the system's Chromium. PAGE: address of `keypoints web`; STATIC: of a server without its headers.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Browser, type BrowserContext, type Page, chromium } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { FOLDER, VECTORS, largestDifference } from "./vectors";

const { PAGE, STATIC, CHROMIUM } = process.env as Record<string, string>;
const FRAMES = Number(process.env.WEB_FRAMES ?? 300);
const FLAGS = [
  "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
  "--use-fake-device-for-media-stream", `--use-file-for-fake-video-capture=${join(FOLDER, "camera.mjpeg")}`,
];
let browser: Browser, context: BrowserContext, page: Page, requests: string[];

beforeAll(async () => {
  browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
});
afterEach(async () => context.close());
afterAll(async () => browser.close());

async function open(address = PAGE, change?: (page: Page) => Promise<unknown>): Promise<void> {
  context = await browser.newContext({ acceptDownloads: true, viewport: { width: 1100, height: 720 } });
  page = await context.newPage();
  requests = [];
  page.on("request", (request) => requests.push(request.url()));
  await change?.(page);
  await page.goto(address);
}

const status = (pattern: RegExp, timeout = 30000) =>
  page.waitForFunction((source) => new RegExp(source).test(document.getElementById("status")!.textContent!), pattern.source, { timeout });

async function show(file: string): Promise<void> {
  await page.setInputFiles("#file", join(FOLDER, file));
  await page.waitForFunction((name) => !document.getElementById("status")!.textContent!.startsWith(`Opening ${name}`) &&
    document.getElementById("status")!.textContent! !== "Loading the models…", file);
  await status(/face|cannot/);
}

async function saved(button: string): Promise<Buffer> {
  const [download] = await Promise.all([page.waitForEvent("download"), page.click(button)]);
  return readFileSync(await download.path());
}

const pixels = () => page.evaluate(() => {
  const canvas = document.querySelector("canvas")!;
  const { width, height } = canvas;
  return { width, height, data: Array.from(canvas.getContext("2d")!.getImageData(0, 0, width, height).data) };
});

const camera = async () => {
  await context.grantPermissions(["camera"], { origin: new URL(page.url()).origin });
  await page.click("#camera");
  await status(/^1 face$/);
};

test("20 drawn faces have the points of Python, to half a pixel", async () => {
  await open();
  let largest = 0;
  for (const { file, points } of VECTORS.faces) {
    await show(file);
    const [frame] = JSON.parse((await saved("#json")).toString());
    expect(frame.faces).toHaveLength(1);
    largest = Math.max(largest, largestDifference(frame.faces[0].points.flat(), points));
  }
  console.log(`largest difference from Python: ${largest.toFixed(2)} pixels`);
  expect(largest).toBeLessThan(0.5);
  const rows = (await saved("#csv")).toString().trim().split("\r\n");
  expect(rows).toHaveLength(2);
});

test("first points, bytes, and nothing from another origin; then offline", async () => {
  let bytes = 0;
  const began = Date.now();
  await open(PAGE, async () => {
    const client = await context.newCDPSession(page);
    await client.send("Network.enable");
    client.on("Network.loadingFinished", ({ encodedDataLength }) => (bytes += encodedDataLength));
  });
  await show(VECTORS.faces[0].file);
  console.log(`first points after ${((Date.now() - began) / 1000).toFixed(1)} s`);
  await page.waitForTimeout(500);
  const answers = await page.evaluate(() => performance.getEntriesByType("resource").length);
  expect(answers).toBeGreaterThan(2);
  expect(requests.filter((url) => !url.startsWith(PAGE) && !url.startsWith("blob:"))).toEqual([]);
  console.log(`${(bytes / 1e6).toFixed(1)} MB seen by the page itself`);
  await context.setOffline(true);
  const before = requests.filter((url) => !url.startsWith("blob:")).length;
  await page.check("input[value=crown]", { force: true });
  await show("two.png");
  await status(new RegExp(`^${VECTORS.two} faces$`));
  expect(requests.filter((url) => !url.startsWith("blob:"))).toHaveLength(before);
});

test("the overlay is where the points are", async () => {
  await open();
  await show("face.png");
  const shown = await pixels(), [frame] = JSON.parse((await saved("#json")).toString());
  const green = ([x, y]: [number, number]) => {
    const at = (Math.round(y) * shown.width + Math.round(x)) * 4, [r, g, b] = shown.data.slice(at, at + 3);
    return g > 150 && g - r > 60 && g - b > 60;
  };
  expect(frame.faces[0].points.filter(green).length).toBeGreaterThanOrEqual(66);
  await page.uncheck("#points", { force: true });
  await page.waitForTimeout(1500);
  const bare = await pixels();
  expect(largestDifference(bare.data, shown.data)).toBeGreaterThan(100);
});

test("the camera: points, a filter, a snapshot of it, a recording with its table", async () => {
  await open();
  await camera();
  await page.check("input[value=sunglasses]", { force: true });
  await page.waitForTimeout(800);
  const snapshot = await saved("#snapshot");
  expect(snapshot.subarray(1, 4).toString()).toBe("PNG");
  const { width, height } = await pixels();
  expect([width, height]).toEqual([640, 480]);
  await page.click("#record");
  await page.waitForTimeout(1200);
  expect((await saved("#record")).length).toBeGreaterThan(2000);
  const frames = JSON.parse((await saved("#json")).toString());
  expect(frames.length).toBeGreaterThan(5);
  expect(new Set(frames.map((frame: { faces: { id: number }[] }) => frame.faces[0]?.id)).size).toBe(1);
});

test.each([["threads", () => PAGE], ["no threads", () => STATIC]])("frames/s and memory with %s", async (kind, address) => {
  await open(address());
  await camera();
  const frames = () => page.evaluate(() => Number(document.documentElement.dataset.frames));
  const run = async (count: number) => {
    const start = await frames();
    await page.waitForFunction((end) => Number(document.documentElement.dataset.frames) >= end, start + count, { timeout: 300000 });
  };
  await run(60);
  const client = await context.newCDPSession(page);
  const heap = async () => {
    await client.send("HeapProfiler.collectGarbage");
    return (await client.send("Runtime.getHeapUsage")).usedSize;
  };
  const before = await heap(), count = kind === "threads" ? FRAMES : 60, began = Date.now();
  await run(count);
  const rate = (count * 1000) / (Date.now() - began), grown = (await heap()) - before;
  console.log(`${kind} (${await page.evaluate(() => document.documentElement.dataset.threads)}): ${rate.toFixed(1)} frames/s, ` +
    `${await page.textContent("#speed")}; heap grew by ${(grown / 1e6).toFixed(2)} MB in ${count} frames`);
  expect(rate).toBeGreaterThan(3); // other tests run at the same time
  expect(grown).toBeLessThan(5e6);
}, 320000);

test.each([
  ["a denied camera", async () => { await context.clearPermissions(); await page.click("#camera"); }, /was not allowed/],
  ["a damaged picture", async () => page.setInputFiles("#file", join(FOLDER, "damaged.png")), /damaged.png cannot be read/],
  ["a damaged video", async () => page.setInputFiles("#file", { name: "a.mp4", mimeType: "video/mp4", buffer: Buffer.from("no") }), /a.mp4 cannot be played/],
])("%s says so", async (_, act, message) => {
  await open();
  await act();
  await status(message);
});

test("a damaged model says so", async () => {
  await open(PAGE, () => context.route("**/landmarks.onnx", (route) => route.fulfill({ body: Buffer.from("damaged") })));
  await status(/models\/landmarks.onnx is damaged/);
});

test("a browser without SIMD says so", async () => {
  await open(PAGE, () => page.addInitScript(() => { WebAssembly.validate = () => false; }));
  await status(/no WebAssembly SIMD/);
});

test("a privacy filter leaves no feature", async () => {
  await open();
  await page.uncheck("#points", { force: true });
  await show("face.png");
  const before = await pixels();
  await page.check("input[value=pixelate]", { force: true });
  await page.waitForTimeout(1500);
  const after = await pixels(), [frame] = JSON.parse((await saved("#json")).toString());
  for (const [x, y] of frame.faces[0].points.slice(36, 48)) { // eyes: one colour around each point
    const at = (Math.round(y) * after.width + Math.round(x)) * 4;
    expect(after.data.slice(at, at + 3)).not.toEqual(before.data.slice(at, at + 3));
  }
});
