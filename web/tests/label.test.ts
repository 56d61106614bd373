// The label page in the system's Chromium. ADDRESS: of `keypoints label`, whose process is SERVER, on FOLDER.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Browser, type Page, chromium } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";

const { ADDRESS, SERVER, FOLDER, CHROMIUM, PICTURES } = process.env as Record<string, string>;
type Place = [number, number];
let browser: Browser, page: Page;
const errors: string[] = [], elsewhere: string[] = [];

beforeAll(async () => {
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--headless=new", "--no-sandbox", "--disable-gpu"] });
  page = await browser.newPage({ viewport: { width: 1100, height: 720 } });
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  page.on("request", (request) => request.url().startsWith(new URL(ADDRESS).origin) || request.url().startsWith("blob:") || elsewhere.push(request.url()));
  await page.goto(ADDRESS);
  await page.waitForFunction(() => document.documentElement.dataset.picture && document.documentElement.dataset.faces !== "[]");
});
afterAll(async () => browser.close());

const state = <T>(name: string): Promise<T> => page.evaluate((own) => JSON.parse(document.documentElement.dataset[own]!), name) as Promise<T>;
const picture = () => page.evaluate(() => document.documentElement.dataset.picture!);
const faces = () => state<(Place | null)[][]>("faces");

/** Where a place of the picture is in the window of the browser. */
async function seat([x, y]: Place): Promise<Place> {
  const { scale, left, top } = await state<{ scale: number; left: number; top: number }>("view");
  const { x: stageLeft, y: stageTop } = (await page.locator("#stage").boundingBox())!;
  return [(x + 0.5) * scale + left + stageLeft, (y + 0.5) * scale + top + stageTop];
}

async function drag(from: Place, to: Place): Promise<void> {
  await page.mouse.move(...from);
  await page.mouse.down();
  await page.mouse.move((from[0] + to[0]) / 2, (from[1] + to[1]) / 2);
  await page.mouse.move(...to);
  await page.mouse.up();
}

const rows = () => readFileSync(join(FOLDER, "points.csv"), "utf8").trim().split("\n").map((line) => line.split(","));

test("a drag in a zoomed picture lands where the pointer is, to a tenth of a pixel, and is undone", async () => {
  const [before] = await faces(), exact = await seat(before[30]!);
  const from: Place = [Math.round(exact[0]), Math.round(exact[1])]; // as a mouse has it
  const places = await state<{ scale: number; left: number; top: number }>("view"), under = [from[0] - exact[0], from[1] - exact[1]];
  await page.mouse.move(...from);
  for (let i = 0; i < 4; i++) await page.mouse.wheel(0, -300);
  const near = await seat(before[30]!);
  const { scale } = await state<{ scale: number }>("view");
  // What is under the pointer stays: the point keeps its distance from it, in pixels of the picture.
  for (const axis of [0, 1]) expect((from[axis] - near[axis]) / scale).toBeCloseTo(under[axis] / places.scale, 3);
  expect(scale).toBeGreaterThan(15);
  await drag(near, [near[0] + 53, near[1] - 31]);
  const [moved] = await faces();
  expect(moved[30]![0]).toBeCloseTo(before[30]![0] + 53 / scale, 1);
  expect(moved[30]![1]).toBeCloseTo(before[30]![1] - 31 / scale, 1);
  expect(moved.filter((_, i) => i !== 30)).toEqual(before.filter((_, i) => i !== 30));
  await page.keyboard.press("Control+z");
  expect((await faces())[0]).toEqual(before);
  await page.keyboard.press("Control+Shift+z");
  expect((await faces())[0]).toEqual(moved);
  await page.keyboard.press("0");
});

test("an outline, and a whole face, are dragged", async () => {
  const [before] = await faces(), between = (a: Place, b: Place): Place => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
  const jaw = await seat(between(before[3]!, before[4]!));
  await drag(jaw, [jaw[0] + 40, jaw[1]]);
  const { scale } = await state<{ scale: number }>("view"), [moved] = await faces();
  moved.forEach((point, i) => expect(point![0]).toBeCloseTo(before[i]![0] + (i < 17 ? 40 / scale : 0), 4));
  await page.keyboard.press("Control+z");
  const cheek = await seat(between(before[3]!, before[31]!));
  await drag(cheek, [cheek[0], cheek[1] + 20]);
  const [whole] = await faces();
  whole.forEach((point, i) => expect(point![1]).toBeCloseTo(before[i]![1] + 20 / scale, 4));
  await page.keyboard.press("Control+z");
});

test("by keyboard: a point is moved, another is not to be seen, and what is accepted is in the file", async () => {
  const name = await picture(), [before] = await faces();
  await page.focus("#stage");
  for (const key of [".", ".", "ArrowRight", "ArrowRight", "Shift+ArrowUp"]) await page.keyboard.press(key);
  expect(await page.textContent("#chosen")).toMatch(/point 1: /);
  await page.keyboard.press(".");
  await page.keyboard.press("x");
  expect(await page.textContent("#chosen")).toMatch(/point 2: not to be seen/);
  for (const key of [".", ".", "o"]) await page.keyboard.press(key);
  expect(await page.textContent("#chosen")).toMatch(/point 4: .* \(covered\)/);
  await page.keyboard.press("Space");
  await page.waitForFunction((own) => document.documentElement.dataset.picture !== own, name);
  const [row] = rows();
  expect(row).toHaveLength(138);
  expect(row[137]).toBe("covered 4");
  expect(row[0]).toBe(name);
  expect(Number(row[3])).toBeCloseTo(before[1]![0] + 2, 2);
  expect(Number(row[4])).toBeCloseTo(before[1]![1] - 0.1, 2);
  expect(row.slice(5, 7)).toEqual(["", ""]);
  expect(await page.textContent("#count")).toBe(`1 of ${PICTURES}`);
});

test("a face is removed and another one found where somebody drags", async () => {
  const name = await picture(), [before] = await faces();
  await page.focus("#stage");
  await page.keyboard.press("Delete");
  expect(await faces()).toEqual([]);
  const xs = before.map((point) => point![0]), ys = before.map((point) => point![1]);
  await drag(await seat([Math.min(...xs) - 2, Math.min(...ys) - 3]), await seat([Math.max(...xs) + 2, Math.max(...ys) + 1]));
  await page.waitForFunction(() => document.documentElement.dataset.faces !== "[]");
  const [found] = await faces();
  const away = found.reduce((sum, point, i) => sum + Math.hypot(point![0] - before[i]![0], point![1] - before[i]![1]), 0) / 68;
  expect(away).toBeLessThan(4);
  await page.keyboard.press("Space");
  await page.waitForFunction((own) => document.documentElement.dataset.picture !== own, name);
  expect(rows().map(([own]) => own)).toContain(name);
});

test("a labelled picture that is opened again has its faces, and is accepted without a change", async () => {
  const text = readFileSync(join(FOLDER, "points.csv"), "utf8"), name = rows()[0][0];
  await page.selectOption("#list", name);
  await page.waitForFunction((own) => document.documentElement.dataset.picture === own, name);
  expect((await faces())[0][2]).toBeNull();
  await page.click("#accept");
  await page.waitForFunction((own) => document.documentElement.dataset.picture !== own, name);
  expect(readFileSync(join(FOLDER, "points.csv"), "utf8")).toBe(text);
});

test("a server that was killed loses the face in hand alone, and the page says so", async () => {
  expect(errors).toEqual([]);
  expect(elsewhere).toEqual([]);
  const text = readFileSync(join(FOLDER, "points.csv"), "utf8"), [before] = await faces();
  process.kill(Number(SERVER), "SIGKILL");
  await page.focus("#stage");
  await page.keyboard.press("Space");
  await page.waitForFunction(() => document.querySelector("#status.alarm"));
  expect(await page.textContent("#status")).toMatch(/does not answer: what you see is not saved/);
  expect((await faces())[0]).toEqual(before);
  expect(readFileSync(join(FOLDER, "points.csv"), "utf8")).toBe(text);
});
