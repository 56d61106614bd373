// The pictures of docs/web.md and docs/label.md: `node pictures.mjs ADDRESS CHROMIUM LABEL`, with the page
// served at ADDRESS, and the label page, on a folder with docs/astronaut.jpg alone, at LABEL.

import { join } from "node:path";
import { chromium } from "playwright-core";

const [address, executablePath, label] = process.argv.slice(2);
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
const page = await browser.newPage({ viewport: { width: 1180, height: 720 } });
await page.goto(label);
await page.waitForFunction(() => (document.documentElement.dataset.faces ?? "[]") !== "[]");
const { scale, left, top } = JSON.parse(await page.evaluate(() => document.documentElement.dataset.view));
const [[face]] = [JSON.parse(await page.evaluate(() => document.documentElement.dataset.faces))];
const stage = await page.locator("#stage").boundingBox();
await page.mouse.move(stage.x + left + face[30][0] * scale, stage.y + top + face[30][1] * scale);
for (let i = 0; i < 3; i++) await page.mouse.wheel(0, -200);
await page.mouse.down();
await page.mouse.up();
await page.keyboard.press("n");
await page.waitForTimeout(300);
await page.screenshot({ path: join(docs, "label.jpg"), type: "jpeg", quality: 82 });
await browser.close();
