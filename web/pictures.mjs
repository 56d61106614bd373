// The pictures of docs/web.md and docs/label.md: `node pictures.mjs ADDRESS CHROMIUM FACES NAMING`, with the
// page served at ADDRESS, and the label page at FACES, on a folder with docs/astronaut.jpg and the same
// picture at a fifth of its brightness as dark.jpg, and at NAMING, on one with the former and --markup=new.

import { join } from "node:path";
import { chromium } from "playwright-core";

const [address, executablePath, faces, naming] = process.argv.slice(2);
const docs = join(import.meta.dirname, "../docs");
const browser = await chromium.launch({ executablePath, args: ["--headless=new", "--no-sandbox", "--disable-gpu"] });
const shots = [
  ["web-desktop.jpg", "light", 1180, 720, "sunglasses"],
  ["web-dark.jpg", "dark", 1180, 720, ""],
  ["web-phone.jpg", "light", 390, 844, "crown"],
];
for (const [name, colorScheme, width, height, filter] of shots) {
  const page = await browser.newPage({ colorScheme, viewport: { width, height } });
  await page.goto(address);
  await page.check(`input[value="${filter}"]`, { force: true });
  await page.setInputFiles("#file", join(docs, "astronaut.jpg"));
  await page.waitForFunction(() => document.getElementById("status").textContent === "1 face");
  await page.screenshot({ path: join(docs, name), type: "jpeg", quality: 82 });
  await page.close();
}
const label = async (address, options, name = "astronaut.jpg") => {
  const page = await browser.newPage({ viewport: { width: 1180, height: 720 }, ...options });
  await page.goto(address);
  await page.waitForFunction(() => document.documentElement.dataset.picture);
  await page.selectOption("#list", name);
  await page.waitForFunction((own) => document.documentElement.dataset.picture === own, name);
  return page;
};
const state = async (page, name) => JSON.parse(await page.evaluate((own) => document.documentElement.dataset[own], name));
const seat = async (page, [x, y]) => {
  const { scale, left, top } = await state(page, "view"), stage = await page.locator("#stage").boundingBox();
  return [stage.x + left + (x + 0.5) * scale, stage.y + top + (y + 0.5) * scale];
};
const take = async (page, name) => {
  await page.waitForTimeout(300);
  await page.screenshot({ path: join(docs, name), type: "jpeg", quality: 82 });
  await page.close();
};
const set = (page, id, value) => page.locator(`#${id}`).evaluate((own, to) => {
  own.value = to;
  own.dispatchEvent(new Event("input"));
}, String(value));

// A point that is dragged, with the loupe; another one is covered.
let page = await label(faces);
let [face] = await state(page, "faces");
await page.mouse.move(...(await seat(page, face[30])));
for (let i = 0; i < 2; i++) await page.mouse.wheel(0, -200);
await page.mouse.click(...(await seat(page, face[42])));
await page.keyboard.press("o");
const from = await seat(page, face[36]);
await page.mouse.move(...from);
await page.mouse.down();
await page.mouse.move(from[0] + 1, from[1] + 1);
await take(page, "label.jpg");

page = await label(faces, { colorScheme: "dark" }, "dark.jpg");
await set(page, "brightness", 4);
await page.locator("#brightness").scrollIntoViewIfNeeded();
await take(page, "label-dark.jpg");

page = await label(faces, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
await take(page, "label-phone.jpg");

page = await label(naming);
for (const [name, x, y] of [["right eye", 111, 102], ["left eye", 150, 101], ["nose tip", 133, 129], ["right mouth corner", 115, 142], ["left mouth corner", 152, 142]]) {
  await page.fill("#next-name", name);
  await page.mouse.click(...(await seat(page, [x, y])));
}
await page.mouse.move(0, 0);
await take(page, "label-markup.jpg");
await browser.close();
