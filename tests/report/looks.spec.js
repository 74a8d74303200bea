// What readers of the page stumbled over: words, colours and places that mislead.
import { expect, test } from '@playwright/test';
import { complaints, grid, json, open, series, variant } from './pages.js';

test.afterEach(() => expect(complaints).toEqual([]));

const draw = (page) => page.evaluate(() => window.regatta.drawAll());

/** Makes a prediction one of which `known` images have a truth. */
const withTruth = (known) => (document) => {
  const [one] = document.predictions;
  one.with_truth = known;
  one.images
    .slice(Math.min(known, 3))
    .forEach((image) => Object.assign(image, { place: '', jaccard: null, dice: null }));
};

test('without a truth nothing is called right or missed', async ({ page }, info) => {
  const keys = page.locator('#predictions .keys');
  await open(page, 'lr-batch.html');
  await expect(keys).toHaveText('found rightlyfound, not theremissed');
  await open(page, variant(info.outputPath('none.html'), withTruth(0)));
  await expect(keys).toHaveText('predicted (no truth is known)');
  for (const word of ['rightly', 'missed', 'not there'])
    expect(await page.locator('#predictions').innerText()).not.toContain(word);
  await open(page, variant(info.outputPath('some.html'), withTruth(4)));
  await expect(keys).toContainText('found rightly, or predicted where no truth is known');
  await expect(page.locator('#predictions figcaption').last()).toContainText('no truth known');
});

/** Cells of the heat map with the boxes of their lines of text, in pixels. */
const cells = (page) =>
  page.evaluate(() => {
    const box = (el, of) => {
      const b = of || el.getBoundingRect().clone();
      if (el.transform) b.applyTransform(el.transform);
      return { left: b.x, top: b.y, right: b.x + b.width, bottom: b.y + b.height };
    };
    // As high as its letters are: the library guesses the height from a letter that not every font has.
    const line = (el) => {
      const b = el.getBoundingRect().clone();
      b.height = Number(/(\d+)px/.exec(el.style.font)[1]);
      b.y = el.style.y - b.height / 2;
      return box(el, b);
    };
    const all = window.regatta.figures.heat.chart.getZr().storage.getDisplayList(true);
    return all
      .filter((el) => el.type === 'rect' && el.getTextContent())
      .map((el) => ({
        cell: box(el),
        lines: all
          .filter((other) => other.type === 'tspan' && other.parent === el.getTextContent())
          .map((own) => ({ text: own.style.text, ...line(own) })),
      }));
  });

for (const [n, width, most] of [
  [3, 1280, 2],
  [12, 1280, 2],
  [3, 390, 2],
  [12, 390, 1],
])
  test(`texts of ${n} × ${n} cells can be read on ${width} pixels`, async ({ page }, info) => {
    await page.setViewportSize({ width, height: 900 });
    await open(
      page,
      variant(info.outputPath('cells.html'), (document) => grid(document, n)),
    );
    await draw(page);
    const found = await cells(page);
    const told = found.filter(({ lines }) => lines.length);
    // On a small screen twelve columns have room for colours alone.
    if (width > 1000 || n < 12) expect(told.length).toBe(n * n);
    expect(Math.max(...found.map(({ lines }) => lines.length))).toBeLessThanOrEqual(most);
    for (const { cell, lines } of told)
      for (const [i, line] of lines.entries()) {
        expect(line.left, line.text).toBeGreaterThanOrEqual(cell.left);
        expect(line.right, line.text).toBeLessThanOrEqual(cell.right);
        expect(line.top, line.text).toBeGreaterThanOrEqual(cell.top);
        expect(line.bottom, line.text).toBeLessThanOrEqual(cell.bottom);
        if (i) expect(line.top, line.text).toBeGreaterThanOrEqual(lines[i - 1].bottom);
      }
    const tip = await page.evaluate(() => {
      const { chart } = window.regatta.figures.heat;
      chart.dispatchAction({ type: 'showTip', seriesIndex: 1, dataIndex: 0 });
      return chart.getDom().innerText;
    });
    for (const text of ['no value that counts', 'cancelled, does not count', 'failed, does not count'])
      expect(tip).toContain(text);
  });

test('dots of the effects stand over their ticks, with mean and spread', async ({ page }, info) => {
  for (const name of ['lr-batch.html', variant(info.outputPath('cells.html'), (document) => grid(document, 12))]) {
    await open(page, name);
    await draw(page);
    const all = await series(page, 'effects');
    const parameters = await page.evaluate(() => window.regatta.report.parameters);
    const dots = all.filter((s) => /^e/.test(s.id));
    expect(dots.length).toBe(2);
    for (const [k, { name: path, data }] of dots.entries()) {
      const { axis, levels } = parameters.find((p) => p.path === path);
      const offsets = axis.labels.map(() => []);
      const pixels = await page.evaluate(
        ([at, points]) => {
          const { chart } = window.regatta.figures.effects;
          return points.map(([x]) => chart.convertToPixel({ xAxisIndex: at, yAxisIndex: at }, [x, 0.8])[0]);
        },
        [k, [...axis.labels.map((_, i) => [i]), ...data.map((d) => d.value)]],
      );
      data.forEach((d, i) => {
        const step = axis.steps[d.at];
        offsets[step].push(pixels[axis.labels.length + i] - pixels[step]);
      });
      const half = Math.min(11, (pixels[1] - pixels[0]) / 4);
      for (const own of offsets) {
        expect(Math.max(...own.map(Math.abs))).toBeLessThanOrEqual(half);
        expect(Math.abs(own.reduce((a, b) => a + b, 0) / own.length)).toBeLessThanOrEqual(2);
      }
      const means = all.find((s) => s.id === `m${k}`).data;
      const spreads = all.find((s) => s.id === `s${k}`).data;
      levels.forEach((level, step) => {
        expect(means[step].value).toEqual([step, level.mean]);
        expect(spreads[step].coords).toEqual([-level.sd, level.sd].map((by) => [step, level.mean + by]));
      });
    }
  }
});

test('means of the effects are of what the filter has left', async ({ page }) => {
  await open(page, 'lr-batch.html');
  await draw(page);
  await page.locator('#query').fill('batch_size=4');
  await expect(page.locator('#count')).toHaveText('15 of 60 trials');
  await draw(page);
  const all = await series(page, 'effects');
  const k = all.find((s) => s.name === 'optimizer.lr').id.slice(1);
  const [mean] = all.find((s) => s.id === `m${k}`).data;
  const own = await page.evaluate(() =>
    window.regatta.report.trials.filter((t) => t.counts && t.values.includes(4) && t.values.includes(1e-4)),
  );
  expect(mean.level.n).toBe(own.length);
  expect(mean.value[1]).toBeCloseTo(own.reduce((sum, t) => sum + t.value, 0) / own.length, 10);
});

test('a colour means the same value in heat map and parallel coordinates', async ({ page }) => {
  const scale = (id) =>
    page.evaluate((which) => {
      const [map] = window.regatta.figures[which].chart.getOption().visualMap;
      return { min: map.min, max: map.max, colours: map.inRange.color, text: map.text, show: map.show };
    }, id);
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    await open(page, 'lr-batch.html');
    await draw(page);
    const whole = await scale('heat');
    expect(whole).toEqual(await scale('parallel'));
    expect(whole.show).toBe(true);
    const values = await page.evaluate(() =>
      window.regatta.report.trials.map((t) => t.value).filter((v) => v !== null),
    );
    expect(whole.max).toBe(Math.max(...values));
    expect(whole.text[0]).toBe(`${Math.max(...values).toFixed(4)} val/jaccard`);
    // What lies far off does not take the colours, and the legend says so.
    expect(whole.min).toBeGreaterThan(Math.min(...values));
    expect(whole.text[1]).toBe(`≤ ${whole.min.toFixed(4)}`);
    await page.locator('#query').fill('batch_size=4');
    await expect(page.locator('#count')).toHaveText('15 of 60 trials');
    await draw(page);
    expect([await scale('heat'), await scale('parallel')]).toEqual([whole, whole]);
  }
});

test('settings and times are written in one way', async ({ page }) => {
  await open(page, 'lr-batch.html');
  await draw(page);
  await page.locator('#leaderboard button.trial').first().click();
  const text = await page.locator('body').innerText();
  expect(text).toContain('optimizer.lr=0.001');
  expect(text.match(/(?<![.\w])lr\b(?!-batch)/g)).toBe(null);
  expect(text).toMatch(/\b5m 07s\b/);
  expect(text.match(/\d (min|h|d)\b|\d:\d\d:\d\d\b(?! UTC)/g)).toBe(null);
  for (const name of await page.locator('#curve-colour option').allTextContents()) expect(name).not.toBe('lr');
  await expect(page.locator('#asked')).toHaveText(
    /^Attempts with a time limit used \d+ % of the time they had asked for: \S+ \S+ of \S+ \S+\.$/,
  );
});

test('several data sets are looked at one at a time', async ({ page }) => {
  const { data, trials } = json('both.json');
  expect(data.length).toBe(2);
  const on = (at) => trials.filter((t) => t.data === at);
  const select = page.getByLabel('Data', { exact: true });
  const count = page.locator('#count');
  const points = async () => {
    await draw(page);
    const all = await series(page, 'gap');
    return all.flatMap((one) => (one.type === 'scatter' ? one.data : [])).length;
  };
  await open(page, 'both.html');
  // It begins with the data of the first group.
  await expect(select).toHaveValue(data[0]);
  await expect(count).toHaveText(`${on(0).length} of ${trials.length} trials`);
  await expect(page.locator('#data-mixed')).toBeHidden();
  const first = await points();
  await select.selectOption(data[1]);
  await expect(count).toHaveText(`${on(1).length} of ${trials.length} trials`);
  expect(await points()).toBeLessThan(first);
  await select.selectOption('');
  await expect(page.locator('#data-mixed')).toBeVisible();
  await expect(count).toHaveText(`${trials.length} trials`);
  expect(await points()).toBeGreaterThan(first);
  // Split and data are words of the filter, too.
  await page.locator('#query').fill('leaky_random_patches');
  await expect(count).toHaveText(`${on(1).length} of ${trials.length} trials`);
  await open(page, 'lr-batch.html');
  await expect(select).toBeHidden();
});
