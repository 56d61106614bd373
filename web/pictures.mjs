// The pictures of docs/web.md: `node pictures.mjs ADDRESS CHROMIUM`, with the page served at ADDRESS.

import { join } from "node:path";
import { chromium } from "playwright-core";

const [address, executablePath] = process.argv.slice(2);
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
await browser.close();
