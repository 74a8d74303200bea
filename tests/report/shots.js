// Screenshots of the page: node shots.js DIR. Somebody should look at them.
import { chromium } from '@playwright/test';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { home } from './living.js';

const PAGES = process.env.REPORT_PAGES;
const out = process.argv[2];
const browser = await chromium.launch({
  executablePath: process.env.REPORT_CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox'],
});

async function shot(name, file, { width = 1280, media = 'screen', colorScheme = 'light', act } = {}) {
  const page = await browser.newPage({ viewport: { width, height: 900 } });
  await page.emulateMedia({ media, colorScheme });
  await page.goto(pathToFileURL(join(PAGES, file)).href);
  await page.waitForFunction(() => window.regatta);
  await page.evaluate(() => window.regatta.drawAll());
  if (act) await act(page);
  await page.waitForTimeout(300);
  await page.screenshot({ path: join(out, `${name}.png`), fullPage: true });
  if (media === 'print') await page.pdf({ path: join(out, `${name}.pdf`) });
  await page.close();
}

await shot('light', 'lr-batch.html');
await shot('dark', 'lr-batch.html', {
  colorScheme: 'dark',
  act: (page) => page.locator('#leaderboard button.trial').nth(3).click(),
});
await shot('print', 'lr-batch.html', { media: 'print', width: 1040 });
await shot('narrow', 'lr-batch.html', { width: 390 });
await shot('many', 'many.html');
await shot('leaky', 'leaky.html');

// The panels that docs/report.md shows.
const page = await browser.newPage({ viewport: { width: 1100, height: 900 } });
await page.goto(pathToFileURL(join(PAGES, 'lr-batch.html')).href);
await page.waitForFunction(() => window.regatta);
await page.evaluate(() => window.regatta.drawAll());
for (const id of ['summary', 'heat', 'curves', 'effects', 'parallel', 'budget'])
  await page.locator(`section#${id}`).screenshot({ path: join(out, `panel-${id}.png`) });

// The page that docs/serve.md shows: a sweep that is trained while one looks.
const own = home(0.4);
try {
  own.submit();
  const served = await own.serve();
  const live = await browser.newPage({ viewport: { width: 1100, height: 1150 } });
  await live.goto(served.url);
  await live.waitForFunction(
    () => window.regatta && window.regatta.report.trials.filter((t) => t.state === 'finished').length >= 2,
    null,
    { timeout: 60000 },
  );
  await live.evaluate(() => window.regatta.drawAll());
  await live.waitForTimeout(1500);
  await live.screenshot({ path: join(out, 'live.png') });
  await live.locator('section#curves').screenshot({ path: join(out, 'live-curves.png') });
} finally {
  own.end();
}
await browser.close();
