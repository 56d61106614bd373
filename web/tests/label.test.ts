// The label page in the system's Chromium, with `keypoints label` as a user starts it. FOLDERS: of tests/label/test_page.py.

import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Browser, type BrowserContextOptions, type Page, chromium } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const { CHROMIUM, FOLDERS, PYTHON } = process.env as Record<string, string>;
type Place = [number, number];
interface View { scale: number; left: number; top: number }
let browser: Browser, page: Page;
const START = 180_000; // milliseconds that a command may take to start, on a busy machine
const errors: string[] = [], elsewhere: string[] = [], servers: ChildProcess[] = [];

beforeAll(async () => {
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--headless=new", "--no-sandbox", "--disable-gpu"] });
});
afterAll(async () => {
  servers.forEach((server) => server.kill("SIGKILL"));
  await browser.close();
});

/** `keypoints label FOLDER FLAGS`: its process and the address that it prints. */
async function serve(folder: string, ...flags: string[]): Promise<[ChildProcess, string]> {
  const server = spawn(PYTHON, ["-m", "tools.label", join(FOLDERS, folder), ...flags], { cwd: join(import.meta.dirname, "../.."), stdio: ["ignore", "pipe", "inherit"] });
  servers.push(server);
  const address = await new Promise<string>((found) => server.stdout.once("data", (data) => found(String(data).trim())));
  return [server, address];
}

async function open(address: string, options: BrowserContextOptions = {}): Promise<void> {
  await page?.context().close();
  page = await (await browser.newContext({ viewport: { width: 1100, height: 720 }, ...options })).newPage();
  const { origin } = new URL(address);
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  page.on("request", (request) => request.url().startsWith(origin) || request.url().startsWith("blob:") || elsewhere.push(request.url()));
  await page.goto(address);
  await page.waitForFunction(() => document.documentElement.dataset.picture);
  await page.focus("#stage");
}

const state = <T>(name: string): Promise<T> => page.evaluate((own) => JSON.parse(document.documentElement.dataset[own]!), name) as Promise<T>;
const word = (name: string) => page.evaluate((own) => document.documentElement.dataset[own]!, name);
const faces = () => state<(Place | null)[][]>("faces");
const keys = async (...all: string[]) => {
  for (const key of all) await page.keyboard.press(key);
};

/** Where a place of the picture is in the window of the browser. */
async function seat([x, y]: Place): Promise<Place> {
  const { scale, left, top } = await state<View>("view");
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

const text = (folder: string) => readFileSync(join(FOLDERS, folder, "points.csv"), "utf8");
const rows = (folder: string) => text(folder).trim().split("\n").map((line) => line.split(","));
const another = (name: string) => page.waitForFunction((own) => document.documentElement.dataset.picture !== own, name);

async function choose(name: string): Promise<void> {
  if ((await word("picture")) !== name) { // else it would be opened again, and keys be passed over meanwhile
    await page.selectOption("#list", name);
    await page.waitForFunction((own) => document.documentElement.dataset.picture === own, name);
  }
  await page.focus("#stage");
}

async function accept(): Promise<void> {
  const name = await word("picture");
  await keys("Space");
  await another(name);
}

describe("the 68 points of a model", () => {
  beforeAll(async () => {
    await open((await serve("ibug68"))[1]);
  }, START);

  test("a drag in a zoomed picture lands where the pointer is, to a tenth of a pixel, and is undone", async () => {
    const [before] = await faces(), exact = await seat(before[30]!);
    const from: Place = [Math.round(exact[0]), Math.round(exact[1])]; // as a mouse has it
    const places = await state<View>("view"), under = [from[0] - exact[0], from[1] - exact[1]];
    await page.mouse.move(...from);
    for (let i = 0; i < 4; i++) await page.mouse.wheel(0, -300);
    const near = await seat(before[30]!), { scale } = await state<View>("view");
    // What is under the pointer stays: the point keeps its distance from it, in pixels of the picture.
    for (const axis of [0, 1]) expect((from[axis] - near[axis]) / scale).toBeCloseTo(under[axis] / places.scale, 3);
    expect(scale).toBeGreaterThan(15);
    await drag(near, [near[0] + 53, near[1] - 31]);
    const [moved] = await faces();
    expect(Math.abs(moved[30]![0] - (before[30]![0] + 53 / scale))).toBeLessThan(0.1);
    expect(Math.abs(moved[30]![1] - (before[30]![1] - 31 / scale))).toBeLessThan(0.1);
    expect(moved.filter((_, i) => i !== 30)).toEqual(before.filter((_, i) => i !== 30));
    await keys("Control+z");
    expect((await faces())[0]).toEqual(before);
    await keys("Control+Shift+z");
    expect((await faces())[0]).toEqual(moved);
    await keys("Control+z", "0");
  });

  test("an outline and a whole face are dragged; with Alt, neighbours on the outline follow", async () => {
    const [before] = await faces(), between = (a: Place, b: Place): Place => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
    const jaw = await seat(between(before[3]!, before[4]!)), { scale } = await state<View>("view");
    await drag(jaw, [jaw[0] + 40, jaw[1]]);
    (await faces())[0].forEach((point, i) => expect(point![0]).toBeCloseTo(before[i]![0] + (i < 17 ? 40 / scale : 0), 4));
    await keys("Control+z");
    const cheek = await seat(between(before[3]!, before[31]!));
    await drag(cheek, [cheek[0], cheek[1] + 20]);
    (await faces())[0].forEach((point, i) => expect(point![1]).toBeCloseTo(before[i]![1] + 20 / scale, 4));
    await keys("Control+z");
    const chin = await seat(before[8]!);
    await page.keyboard.down("Alt");
    await drag(chin, [chin[0], chin[1] + 20]);
    await page.keyboard.up("Alt");
    const down = (await faces())[0].map((point, i) => ((point![1] - before[i]![1]) * scale) / 20);
    expect(down[8]).toBeCloseTo(1, 4);
    const span = (axis: number) => Math.max(...before.map((point) => point![axis])) - Math.min(...before.map((point) => point![axis]));
    const reach = 0.12 * Math.max(span(0), span(1));
    for (const side of [-1, 1]) {
      const away = Math.hypot(before[8]![0] - before[8 + side]![0], before[8]![1] - before[8 + side]![1]);
      expect(Math.abs(down[8 + side] - Math.exp(-((away / reach) ** 2)))).toBeLessThan(0.1); // the drag has steps
      expect(down[8 + side]).toBeGreaterThan(0.05);
      expect(down[8 + 2 * side]).toBeLessThan(down[8 + side]);
    }
    expect(down.slice(17)).toEqual(Array(51).fill(0)); // nothing but the jaw
    await keys("Control+z");
    expect((await faces())[0]).toEqual(before);
  });

  test("parts are chosen, moved, turned and enlarged by keys", async () => {
    const [before] = await faces();
    await keys("p", "Shift+P", "p", "p", "ArrowDown", "]", ")");
    const [after] = await faces();
    const changed = after.flatMap((point, i) => (JSON.stringify(point) === JSON.stringify(before[i]) ? [] : [i]));
    expect(changed).toEqual(Array.from({ length: 5 }, (_, i) => 17 + i)); // the second outline, a brow
    const length = (face: (Place | null)[]) => Math.hypot(face[21]![0] - face[17]![0], face[21]![1] - face[17]![1]);
    expect(length(after) / length(before)).toBeCloseTo(1.02, 5);
    await keys("Control+z", "Control+z", "Control+z");
    expect((await faces())[0]).toEqual(before);
  });

  test("a swapped pair is shown by name, and swapped back", async () => {
    const [before] = await faces(), from = await seat(before[36]!), beyond = await seat(before[45]!);
    expect(await page.textContent("#hint")).toBe("");
    await drag(from, [beyond[0] + 30, beyond[1]]);
    expect(await page.textContent("#hint")).toBe("Left and right look swapped: 36 and 45");
    await page.getByRole("button", { name: "Swap them" }).click();
    expect(await page.textContent("#hint")).toBe("");
    expect((await faces())[0][36]).toEqual(before[45]);
    await page.focus("#stage");
    await keys("Control+z", "Control+z");
    expect((await faces())[0]).toEqual(before);
  });

  test("by keyboard: points are moved, covered, not to be seen, and what is accepted is in the file", async () => {
    const name = await word("picture"), [before] = await faces();
    await keys("Escape", ".", ".", "ArrowRight", "ArrowRight", "Shift+ArrowUp");
    expect(await page.textContent("#chosen")).toMatch(/point 1: /);
    await keys(".", "x");
    expect(await page.textContent("#chosen")).toMatch(/point 2: not to be seen/);
    await keys(".", ".", "o");
    expect(await page.textContent("#chosen")).toMatch(/point 4: .* \(covered\)/);
    await page.getByRole("button", { name: "Next point" }).click();
    await page.getByRole("button", { name: "The point is covered" }).click();
    expect(await page.getByRole("button", { name: "The point is covered" }).getAttribute("aria-pressed")).toBe("true");
    await page.focus("#stage");
    await accept();
    const [row] = rows("ibug68");
    expect(row).toHaveLength(138);
    expect(row[137]).toBe("covered 4 5");
    expect(row[0]).toBe(name);
    expect(Number(row[3])).toBeCloseTo(before[1]![0] + 2, 2);
    expect(Number(row[4])).toBeCloseTo(before[1]![1] - 0.1, 2);
    expect(row.slice(5, 7)).toEqual(["", ""]);
    expect(await page.textContent("#count")).toBe("1 of 2");
  });

  test("a face is removed and another one found where somebody drags", async () => {
    const [before] = await faces();
    await keys("Delete");
    expect(await faces()).toEqual([]);
    const xs = before.map((point) => point![0]), ys = before.map((point) => point![1]);
    await drag(await seat([Math.min(...xs) - 2, Math.min(...ys) - 3]), await seat([Math.max(...xs) + 2, Math.max(...ys) + 1]));
    await page.waitForFunction(() => document.documentElement.dataset.faces !== "[]");
    const [found] = await faces();
    const away = found.reduce((sum, point, i) => sum + Math.hypot(point![0] - before[i]![0], point![1] - before[i]![1]), 0) / 68;
    expect(away).toBeLessThan(4);
  });

  test("the faces of the picture before are copied, and a labelled picture is accepted without a change", async () => {
    const written = text("ibug68"), [first] = rows("ibug68").map(([name]) => name);
    await choose("1.png");
    await keys("c");
    await page.waitForFunction(() => document.querySelector("#status")?.textContent);
    const copied = first === "0.png";
    expect(await page.textContent("#status")).toBe(copied ? "The faces of 0.png." : "No picture before this one in the list has faces.");
    if (copied) expect((await faces())[0][2]).toBeNull();
    await choose(first);
    expect((await faces())[0][2]).toBeNull();
    await page.click("#accept");
    await another(first);
    expect(text("ibug68")).toBe(written);
  });

  test("changes that are not accepted stay while other pictures are looked at", async () => {
    await choose("0.png");
    const [before] = await faces();
    await keys("ArrowRight", "PageDown");
    await page.waitForFunction(() => document.documentElement.dataset.picture === "1.png");
    await keys("PageUp");
    await page.waitForFunction(() => document.documentElement.dataset.picture === "0.png");
    expect(await page.textContent("#status")).toBe("These changes are not accepted yet.");
    expect((await faces())[0][0]![0]).toBeCloseTo(before[0]![0] + 1, 5);
    await keys("Control+z");
    expect((await faces())[0]).toEqual(before);
  });

  test("fingers: a point is moved from a finger's width away; two zoom, and take back what the first began", async () => {
    await open(page.url(), { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
    await choose("0.png");
    const touch = await page.context().newCDPSession(page);
    const send = (type: string, ...points: Place[]) => touch.send("Input.dispatchTouchEvent", {
      type: type as "touchStart", touchPoints: points.map(([x, y], id) => ({ x, y, id })),
    });
    const [before] = await faces(), chin = await seat(before[8]!), { scale } = await state<View>("view");
    await send("touchStart", [chin[0], chin[1] + 20]);
    await send("touchMove", [chin[0] + 12, chin[1] + 32]);
    await send("touchEnd");
    const [moved] = await faces();
    expect(moved[8]![0]).toBeCloseTo(before[8]![0] + 12 / scale, 1);
    expect(moved[8]![1]).toBeCloseTo(before[8]![1] + 12 / scale, 1);
    const at = await seat(moved[8]!);
    await send("touchStart", at);
    await send("touchMove", [at[0] + 9, at[1]]);
    await send("touchStart", [at[0] + 9, at[1]], [at[0] - 41, at[1]]);
    expect((await faces())[0]).toEqual(moved);
    await send("touchMove", [at[0] + 34, at[1]], [at[0] - 66, at[1]]); // 50 apart, then 100
    await send("touchEnd");
    expect((await state<View>("view")).scale).toBeCloseTo(2 * scale, 2);
    expect((await faces())[0]).toEqual(moved);
    for (const button of await page.locator("button:visible").all()) {
      const { width, height } = (await button.boundingBox())!;
      expect(Math.min(width, height)).toBeGreaterThanOrEqual(44);
    }
  });
});

describe("five raw pictures, nine points of one's own", () => {
  const truth = JSON.parse(readFileSync(join(FOLDERS, "truth.json"), "utf8")) as Record<string, Place[]>;
  let server: ChildProcess, address: string;
  beforeAll(async () => {
    [server, address] = await serve("nine");
    await open(address);
  }, START);

  async function byMouse(): Promise<void> {
    const wanted = truth[await word("picture")];
    for (const [i, place] of wanted.entries()) {
      const [face] = await faces();
      await page.mouse.move(...(await seat(face[i]!)));
      for (let n = 0; n < 3; n++) await page.mouse.wheel(0, -300);
      await drag(await seat(face[i]!), await seat(place));
      await keys("0");
    }
  }

  async function byKeys(): Promise<void> {
    const wanted = truth[await word("picture")], steps = (away: number, less: string, more: string) => {
      const tenths = Math.round(10 * away), key = tenths < 0 ? less : more, size = Math.abs(tenths);
      return [...Array(Math.floor(size / 10)).fill(key), ...Array(size % 10).fill(`Shift+${key}`)] as string[];
    };
    for (const [i, [x, y]] of wanted.entries()) {
      await keys(".");
      const [own] = (await faces())[0].slice(i);
      await keys(...steps(x - own![0], "ArrowLeft", "ArrowRight"), ...steps(y - own![1], "ArrowUp", "ArrowDown"));
    }
  }

  async function compare(): Promise<void> {
    const wanted = truth[await word("picture")];
    (await faces())[0].forEach((point, i) => point!.forEach((value, axis) => expect(Math.abs(value - wanted[i][axis])).toBeLessThan(0.1)));
  }

  test("are labelled by mouse and by keyboard", async () => {
    for (const label of [byMouse, byKeys]) {
      await label();
      await compare();
      await accept();
    }
    expect(rows("nine")).toHaveLength(2);
  });

  test("a server that was killed loses the face in hand alone, and the page says so", async () => {
    const written = text("nine"), name = await word("picture"), [proposed] = await faces();
    await byMouse();
    const before = await faces(), errorsBefore = errors.length;
    server.kill("SIGKILL");
    await keys("Space");
    await page.waitForFunction(() => document.querySelector("#status.alarm"));
    expect(await page.textContent("#status")).toMatch(/does not answer: what you see is not saved/);
    expect(await faces()).toEqual(before);
    expect(text("nine")).toBe(written);
    errors.splice(errorsBefore); // the refused connection
    [server, address] = await serve("nine");
    await open(address);
    expect(await page.textContent("#count")).toBe("2 of 5");
    await choose(name);
    (await faces())[0].forEach((point, i) => expect(Math.hypot(point![0] - proposed[i]![0], point![1] - proposed[i]![1])).toBeLessThan(0.01));
  });

  test("the others are labelled, and that is said", async () => {
    for (const label of [byMouse, byKeys]) {
      await label();
      await compare();
      await accept();
    }
    await byMouse();
    await compare();
    await keys("Space");
    await page.waitForFunction(() => document.querySelector("#status")?.textContent === "All pictures are done.");
    expect(await page.textContent("#count")).toBe("5 of 5");
    await page.click("#rounds summary");
    await page.waitForFunction(() => /^round {2}faces/.test(document.querySelector("#numbers")!.textContent!));
    expect(await page.textContent("#numbers")).toMatch(/\n +1 +5 +\d+\.\d\d % +\d+\.\d /);
    expect(rows("nine").map(([name]) => name).sort()).toEqual(Object.keys(truth).sort());
  });
});

describe("without a model", () => {
  let address: string, few: string; // of a folder of two pictures
  const [RIGHT, LEFT]: Place[] = [[40, 30], [70, 35]]; // eyes of the pictures with orientation tags
  beforeAll(async () => {
    [, address] = await serve("many", "--model=none");
    [, few] = await serve("few", "--model=none");
  }, START);

  test("5,000 pictures are listed without delay", async () => {
    const opened: [number[], number[]] = [[], []];
    for (let i = 0; i < 3; i++) {
      for (const [number, each] of [few, address].entries()) { // in turns: the machine may be busy
        const began = Date.now();
        await open(each);
        opened[number].push(Date.now() - began);
      }
    }
    expect(await page.locator("#list option").count()).toBe(5000);
    const next = [];
    for (let i = 0; i < 5; i++) {
      await page.keyboard.press("a");
      for (const place of [RIGHT, LEFT]) await page.mouse.click(...(await seat(place)));
      const before = Date.now();
      await accept();
      next.push(Date.now() - before);
    }
    const median = (times: number[]) => times.sort((a, b) => a - b)[Math.floor(times.length / 2)];
    const [two, all] = opened.map(median), after = median(next);
    console.log(`opened: ${two} ms with 2 pictures, ${all} ms with 5,000; the next picture after ${after} ms`);
    expect(all).toBeLessThan(2 * two + 1000);
    expect(after).toBeLessThan(two + 500);
  });

  test("two clicks on the eyes lay the mean face there, for pictures of all orientation tags", async () => {
    for (let tag = 1; tag <= 8; tag++) {
      await choose(`turned-${tag}.jpg`);
      await keys("a");
      expect(await page.textContent("#status")).toMatch(/Click on the right eye/);
      const at = await seat(RIGHT), { x, y } = (await page.locator("#stage").boundingBox())!;
      const colour = await page.evaluate(([left, top]) => {
        const canvas = document.querySelector<HTMLCanvasElement>("#picture")!;
        return [...canvas.getContext("2d")!.getImageData(left * devicePixelRatio, top * devicePixelRatio, 1, 1).data];
      }, [at[0] - x, at[1] - y]);
      expect(colour[0]).toBeGreaterThan(200); // the mark is red there, on black
      for (const place of [RIGHT, LEFT]) await page.mouse.click(...(await seat(place)));
      expect(await faces()).toHaveLength(1);
      await accept();
    }
  });

  test("by keys alone a face is put into the middle, moved, turned and enlarged", async () => {
    await choose("0100.png");
    await keys("a", "Enter");
    const [[right, left]] = await faces() as Place[][];
    expect(right[1]).toBeCloseTo(left[1], 5);
    expect((right[0] + left[0]) / 2).toBeCloseTo(54.5, 5); // the picture has 110 columns
    await keys("]", ")", "ArrowLeft");
    const [[moved, other]] = await faces() as Place[][], span = (one: Place, two: Place) => [two[0] - one[0], two[1] - one[1]];
    const [dx, dy] = span(moved, other);
    expect(Math.hypot(dx, dy) / (left[0] - right[0])).toBeCloseTo(1.02, 5);
    expect(dy / dx).toBeCloseTo(Math.tan(Math.PI / 180), 5);
    await keys("Control+z", "Control+z", "Control+z", "Control+z");
    expect(await faces()).toEqual([]);
  });

  test("a face that was begun by mistake is undone, and the eyes are asked for by the button too", async () => {
    await page.getByRole("button", { name: "New face, by a click on each eye" }).click();
    await page.focus("#stage");
    await keys("Escape");
    expect(await word("mode")).toBe("none");
    await page.getByRole("button", { name: "New face, by a click on each eye" }).click();
    for (const place of [RIGHT, LEFT]) await page.mouse.click(...(await seat(place)));
    expect(await faces()).toHaveLength(1);
    await keys("Control+z");
    expect(await faces()).toEqual([]);
  });
});

test("a new markup: points are named while they are placed, pairs are proposed and confirmed", async () => {
  await open((await serve("new", "--markup=new", "--model=none"))[1]);
  const points: [string, Place][] = [["right ear", [20, 40]], ["left ear", [80, 40]], ["tip", [50, 50]], ["spot R", [35, 70]], ["spot", [66, 70]]];
  for (const [name, place] of points) {
    await page.fill("#next-name", name);
    await page.mouse.click(...(await seat(place)));
  }
  expect(await page.inputValue("#next-name")).toBe("point 6");
  await page.waitForFunction(() => document.querySelectorAll("#named-points li").length === 5);
  const partner = (name: string) => page.getByLabel(`Mirror partner of ${name}`, { exact: true });
  await expect.poll(() => partner("right ear").inputValue()).toBe("1"); // by the names
  expect(await partner("left ear").inputValue()).toBe("0");
  expect(await partner("spot R").inputValue()).toBe("");
  await partner("spot").selectOption("↔ spot R"); // confirmed by hand
  expect(await partner("spot R").inputValue()).toBe("4");
  await page.getByLabel("Name of point 3").fill("nose tip");
  await page.getByLabel("Name of point 3").press("Tab");
  await page.click("#write-markup");
  await page.waitForFunction(() => document.documentElement.dataset.mode === "none");
  const markup = readFileSync(join(FOLDERS, "new", "markup.toml"), "utf8");
  expect(markup).toContain('points = ["right ear", "left ear", "nose tip", "spot R", "spot"]');
  expect(markup.replace(/\s+/g, "")).toContain("pairs=[[0,1],[3,4],]");
  const placed = (await faces())[0];
  points.forEach(([, [x, y]], i) => expect(Math.hypot(placed[i]![0] - x, placed[i]![1] - y)).toBeLessThan(0.2));
  await page.focus("#stage");
  await accept();
  expect(rows("new")[0]).toHaveLength(11);
  await keys("a"); // labelling goes on: the next face is laid on the two points farthest apart
  expect(await page.textContent("#status")).toMatch(/Click on the right ear/);
}, START);

test("the page has no error, and asks nobody else", () => {
  expect(errors).toEqual([]);
  expect(elsewhere).toEqual([]);
});
