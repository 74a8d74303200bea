// The page of `regatta serve`, in a real browser, while a sweep is trained: what is new appears, and what the
// reader chose stays.
import { expect, test } from '@playwright/test';
import { ended, home } from './living.js';

let complaints = [];
let allowed = null;

/** Remembers what a page should not do. */
function watch(page, origin) {
  page.on('console', (m) => {
    if (['error', 'warning'].includes(m.type()) && !(allowed && allowed.test(m.text()))) complaints.push(m.text());
  });
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
  page.on('request', (request) => {
    if (!/^(data|blob):/.test(request.url()) && new URL(request.url()).origin !== origin)
      complaints.push(`request: ${request.url()}`);
  });
}

test.beforeEach(() => {
  complaints = [];
  allowed = null;
});
test.afterEach(() => expect(complaints).toEqual([]));

const states = (page) => page.evaluate(() => window.regatta.report.trials.map((t) => t.state));
const epochs = (page) => page.evaluate(() => window.regatta.report.trials.reduce((sum, t) => sum + t.epochs_done, 0));
const curve = (page) =>
  page.evaluate(() => {
    const { series, dataZoom } = window.regatta.figures.curves.chart.getOption();
    return { points: series.filter((s) => s.type === 'line').map((s) => s.data.length), zoom: dataZoom[0] };
  });

test('new epochs and trials appear, and what was chosen stays', async ({ page, browser }) => {
  const own = home(0.4);
  try {
    own.submit();
    const served = await own.serve();
    const { origin } = new URL(served.url);
    expect(origin).toBe(`http://127.0.0.1:${served.port}`);
    expect(served.forward).toContain(`-L ${served.port}:127.0.0.1:${served.port}`);
    watch(page, origin);
    const asked = [];
    page.on('response', async (answer) => {
      if (answer.url().includes('/news')) asked.push((await answer.body().catch(() => '')).length);
    });
    await page.goto(served.url);
    await page.waitForFunction(() => window.regatta);
    expect(page.url()).not.toContain('token');
    await expect(page.locator('#pulse')).toContainText('Live, as of');

    // A part of what there is: a filter, a trial, a zoom, dark colours, a place.
    await expect.poll(() => epochs(page), { timeout: 15000 }).toBeGreaterThan(3);
    await page.evaluate(() => (window.mark = 'not loaded again'));
    await page.locator('#query').fill('batch_size=4');
    await page.locator('#theme').click();
    const dark = await page.evaluate(() => document.documentElement.dataset.theme);
    const first = page.locator('#leaderboard button.trial').first();
    await first.focus();
    await page.keyboard.press('Enter');
    const chosen = await page.locator('#detail h3').textContent();
    await page.locator('#chart-curves').scrollIntoViewIfNeeded();
    await page.getByRole('button', { name: 'Zoom in' }).click();
    await page.locator('#curve-metric').selectOption({ label: 'val/loss' });
    const before = await curve(page);
    expect(before.zoom.start).toBeGreaterThan(1);
    const top = () => page.evaluate(() => document.getElementById('curves').getBoundingClientRect().top);
    const place = await top();

    // Somebody else looks, too.
    const context = await browser.newContext();
    const other = await context.newPage();
    watch(other, origin);
    await other.goto(served.url);
    await other.waitForFunction(() => window.regatta);

    await expect
      .poll(async () => (await states(page)).filter((state) => state === 'finished').length, { timeout: 40000 })
      .toBe(6);
    expect(await page.evaluate(() => window.mark)).toBe('not loaded again');
    await expect(page.locator('#count')).toHaveText('3 of 6 trials');
    await expect(page.locator('#query')).toHaveValue('batch_size=4');
    await expect(page.locator('#detail h3')).toHaveText(chosen);
    expect(await page.evaluate(() => document.documentElement.dataset.theme)).toBe(dark);
    await expect(first).toBeAttached();
    expect(Math.abs((await top()) - place)).toBeLessThan(3);
    const after = await curve(page);
    expect(after.zoom.startValue).toBe(before.zoom.startValue);
    expect(after.zoom.endValue).toBe(before.zoom.endValue);
    expect(Math.max(...after.points)).toBe(12);
    expect(await page.locator('#curve-metric').inputValue()).not.toBe('0');

    // Both show the database's numbers.
    const best = own.json('best', 'live');
    const told = (p) => p.evaluate(() => window.regatta.report.trials.map((t) => [t.trial, t.value, t.epoch]));
    const expected = best.trials.map((t) => [t.trial, t.value, t.epoch]);
    await expect.poll(() => told(page)).toEqual(expected);
    await expect.poll(() => told(other)).toEqual(expected);
    const show = own.json('show', best.trials[0].trial);
    const values = await page.evaluate(() => window.regatta.report.curves.trials[0].values[0]);
    expect(values).toEqual(show.history.map((epoch) => epoch.metrics['val/jaccard']));
    await page.getByRole('button', { name: 'Show all' }).first().click();
    await expect(page.locator('#leaderboard tr[data-trial]')).toHaveCount(6);
    await expect(page.locator('#leaderboard tr[data-trial]').first()).toHaveAttribute(
      'data-trial',
      best.trials[0].trial,
    );
    await expect(page.locator('#summary')).toContainText('6 finished');
    await page.evaluate(() => window.regatta.drawAll());
    expect(await page.locator('#chart-heat[data-drawn]').count()).toBe(1);

    // Nothing new, and only so much is said.
    await expect.poll(() => asked.at(-1), { timeout: 5000 }).toBeLessThan(300);
    await context.close();
  } finally {
    own.end();
  }
});

test('a page lives through an end and a new start, and a stranger sees nothing', async ({ page, context, browser }) => {
  const own = home(0.01);
  try {
    own.submit();
    const served = await own.serve();
    const { origin } = new URL(served.url);
    watch(page, origin);
    await page.goto(served.url);
    await page.waitForFunction(() => window.regatta);
    await page.locator('#query').fill('lr=0.1');
    await expect(page.locator('#count')).toHaveText('2 of 6 trials');

    const stranger = await (await browser.newContext()).newPage();
    const none = await stranger.goto(page.url());
    expect(none.status()).toBe(401);
    await expect(stranger.locator('body')).toContainText('Open the address that it printed');
    const wrong = await stranger.goto(`${origin}/?token=${'x'.repeat(43)}`);
    expect(wrong.status()).toBe(403);
    await expect(stranger.locator('body')).toContainText('That is not the token');
    expect((await stranger.goto(`${origin}/document.json`)).status()).toBe(401);

    allowed = /Failed to load resource/;
    await ended(served);
    await expect(page.locator('#pulse')).toContainText('Connection lost, trying again', { timeout: 10000 });
    const again = await own.serve('--port', String(served.port));
    await expect(page.locator('#pulse')).toContainText('started anew', { timeout: 10000 });
    const fresh = await context.newPage();
    await fresh.goto(again.url);
    await fresh.waitForFunction(() => window.regatta);
    await expect(page.locator('#pulse')).toContainText('Live, as of', { timeout: 10000 });
    await expect(page.locator('#query')).toHaveValue('lr=0.1');
    await expect(page.locator('#count')).toHaveText('2 of 6 trials');
    expect(new URL(page.url()).pathname).toBe(new URL(fresh.url()).pathname);
  } finally {
    own.end();
  }
});
