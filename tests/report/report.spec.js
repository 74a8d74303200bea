// The page of `regatta report`, in a real browser: what it draws are the database's numbers, it can be used
// with pointer and keys, and it asks nobody for anything.
import { expect, test } from '@playwright/test';
import { readFileSync } from 'node:fs';
import { complaints, file, json, open, series, short } from './pages.js';

test.afterEach(() => expect(complaints).toEqual([]));

test('every panel is drawn', async ({ page }) => {
  await open(page, 'lr-batch.html');
  await page.evaluate(() => window.regatta.drawAll());
  const panels = [
    'summary',
    'leaderboard',
    'groups',
    'heat',
    'curves',
    'parallel',
    'effects',
    'health',
    'budget',
    'gpu',
    'predictions',
    'paper',
  ];
  for (const id of panels) await expect(page.locator(`section#${id} h2`)).toBeVisible();
  expect(await page.locator('.empty').count()).toBe(0);
  const blank = await page.evaluate(() =>
    Object.values(window.regatta.figures)
      .filter(({ chart }) => {
        const canvas = chart.renderToCanvas();
        const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        const seen = new Set();
        for (let i = 0; i < pixels.length; i += 4 * 7)
          seen.add((pixels[i] << 16) | (pixels[i + 1] << 8) | pixels[i + 2]);
        return seen.size < 10;
      })
      .map((one) => one.id),
  );
  expect(blank).toEqual([]);
});

test('the leaderboard is that of best', async ({ page }) => {
  await open(page, 'lr-batch.html');
  const best = json('lr-batch.best.json');
  await page.getByRole('button', { name: 'Show 40 more' }).click();
  const rows = page.locator('#leaderboard tbody tr[data-trial]');
  await expect(rows).toHaveCount(best.trials.length);
  const told = await rows.evaluateAll((all) =>
    all.map((tr) => ({ trial: tr.dataset.trial, cells: [...tr.cells].map((td) => td.textContent) })),
  );
  best.trials.forEach((trial, at) => {
    expect(told[at].trial).toBe(trial.trial);
    expect(told[at].cells[2]).toBe(short(trial.value));
    expect(told[at].cells[3]).toBe(trial.epoch === null ? '–' : String(trial.epoch));
    expect(told[at].cells).toContain(String(trial.parameters.batch_size));
  });
  await page.locator('#leaderboard').getByRole('button', { name: 'Stability' }).click();
  await expect(page.locator('#leaderboard th[aria-sort="ascending"]')).toHaveText('Stability ↑');
});

test('the groups are those of compare', async ({ page }) => {
  await open(page, 'lr-batch.html');
  const compare = json('lr-batch.compare.json');
  const rows = page.locator('#groups tbody tr');
  const first = await rows.first().locator('td').allTextContents();
  const group = compare.groups[0];
  expect(first).toContain(short(group.mean));
  expect(first).toContain(short(group.sd));
  expect(first).toContain(short(group.best.value));
  for (const note of compare.notes) await expect(page.locator('#groups')).toContainText(note);
});

test('the heat map has the means, spreads and numbers of seeds', async ({ page }) => {
  await open(page, 'lr-batch.html');
  const trials = json('lr-batch.trials.json').trials;
  await page.locator('#chart-heat').scrollIntoViewIfNeeded();
  await expect(page.locator('#chart-heat')).toHaveAttribute('data-drawn', 'yes');
  const [means] = await series(page, 'heat');
  const labels = await page.evaluate(() => {
    const o = window.regatta.figures.heat.chart.getOption();
    return [o.xAxis[0].data, o.yAxis[0].data];
  });
  expect(labels).toEqual([
    ['1e-4', '3e-4', '0.001', '0.003', '0.01'],
    ['2', '4', '8', '16'],
  ]);
  let seen = 0;
  for (const { cell } of means.data) {
    const own = trials.filter(
      (t) =>
        t.state === 'finished' &&
        t.parameters['optimizer.lr'] === Number(labels[0][cell.x]) &&
        t.parameters.batch_size === Number(labels[1][cell.y]),
    );
    expect(cell.n).toBe(own.length);
    const mean = own.reduce((sum, t) => sum + t.value, 0) / own.length;
    expect(Math.abs(cell.mean - mean)).toBeLessThan(1e-12);
    seen += 1;
  }
  expect(seen).toBe(20);
});

test('a pointer over the heat map tells the seeds', async ({ page }) => {
  await open(page, 'lr-batch.html');
  const box = page.locator('#chart-heat');
  await box.scrollIntoViewIfNeeded();
  await expect(box).toHaveAttribute('data-drawn', 'yes');
  const at = await page.evaluate(() => {
    const { chart } = window.regatta.figures.heat;
    const { value, cell } = chart.getOption().series[0].data[5];
    return { pixel: chart.convertToPixel({ seriesIndex: 0 }, [value[0], value[1]]), cell };
  });
  await box.hover({ position: { x: at.pixel[0], y: at.pixel[1] } });
  await expect(box).toContainText(`mean ${short(at.cell.mean)}`);
  await expect(box).toContainText('seed 0:');
});

test('learning curves are those of show, tell their values and zoom', async ({ page }) => {
  await open(page, 'lr-batch.html');
  const box = page.locator('#chart-curves');
  await box.scrollIntoViewIfNeeded();
  await expect(box).toHaveAttribute('data-drawn', 'yes');
  const shown = json('lr-batch.show.json');
  const all = await series(page, 'curves');
  const best = all.find((one) => one.id === 't0');
  expect(best.data).toEqual(shown.history.map((epoch) => [epoch.epoch, epoch.metrics['val/jaccard']]));
  const pixel = await page.evaluate(
    (point) => window.regatta.figures.curves.chart.convertToPixel({ xAxisIndex: 0, yAxisIndex: 0 }, point),
    best.data[19],
  );
  await box.hover({ position: { x: pixel[0], y: pixel[1] } });
  await expect(page.locator('#curve-tip')).toBeVisible();
  await expect(page.locator('#curve-tip')).toContainText('epoch 20: val/jaccard');
  await page.mouse.wheel(0, -400);
  const zoomed = () =>
    page.evaluate(() => {
      const { start, end } = window.regatta.figures.curves.chart.getOption().dataZoom[0];
      return end - start;
    });
  await expect.poll(zoomed).toBeLessThan(95);
  await page.getByRole('button', { name: 'Show all epochs' }).click();
  await expect.poll(zoomed).toBe(100);
  await page.locator('#curve-metric').selectOption({ label: 'val/loss' });
  const losses = (await series(page, 'curves')).find((one) => one.id === 't0');
  expect(losses.data[4]).toEqual([5, shown.history[4].metrics['val/loss']]);
});

test('parallel coordinates and effects hold every trial', async ({ page }) => {
  await open(page, 'lr-batch.html');
  await page.evaluate(() => window.regatta.drawAll());
  const best = json('lr-batch.best.json').trials;
  const [lines] = await series(page, 'parallel');
  expect(lines.data.length).toBe(best.length);
  const last = lines.data.map((line) => line.value.at(-1)).sort();
  expect(last).toEqual(best.map((t) => t.value).sort());
  const effects = await series(page, 'effects');
  const counted = json('lr-batch.trials.json').trials.filter((t) => t.state === 'finished').length;
  for (const one of effects.filter((s) => s.id.startsWith('e'))) expect(one.data.length).toBe(counted);
  const means = effects.find((s) => s.id.startsWith('m'));
  const told = json('lr-batch.json').parameters.flatMap((p) => p.levels.map((l) => l.mean));
  for (const mean of means.data) expect(told).toContain(mean.value[1]);
});

test('dragging along an axis of the parallel coordinates filters all panels', async ({ page }) => {
  await open(page, 'lr-batch.html');
  const box = page.locator('#chart-parallel');
  await box.scrollIntoViewIfNeeded();
  await expect(box).toHaveAttribute('data-drawn', 'yes');
  const frame = await box.boundingBox();
  const x = frame.x + frame.width - 70;
  await page.mouse.move(x, frame.y + 40);
  await page.mouse.down();
  await page.mouse.move(x, frame.y + 80, { steps: 6 });
  await page.mouse.up();
  await expect(page.locator('#count')).toContainText('of 60 trials');
  await page.getByRole('button', { name: 'Let all go' }).click();
  await expect(page.locator('#count')).toHaveText('60 trials');
});

test('stability, budget and GPU are what trials and attempts told', async ({ page }) => {
  await open(page, 'lr-batch.html');
  await page.evaluate(() => window.regatta.drawAll());
  const trials = json('lr-batch.trials.json').trials;
  const document = json('lr-batch.json');
  const gaps = (await series(page, 'gap'))
    .filter((s) => s.id !== 'chosen')
    .flatMap((s) => s.data.map((d) => d.value[0]))
    .sort();
  expect(gaps).toEqual(
    trials
      .map((t) => t.analysis.gap)
      .filter((gap) => gap !== null)
      .sort(),
  );
  const bars = await series(page, 'budget');
  expect(bars[0].data[1].seconds).toBe(document.cost.counted);
  const causes = document.cost.interruptions;
  const interruptions = Object.values(causes).reduce((sum, one) => sum + one.count, 0);
  expect(interruptions).toBe(15);
  expect([causes.preempted.count, causes.time_limit.count]).toEqual([8, 7]);
  const rows = page.locator('#interruptions tbody tr');
  await expect(rows.filter({ hasText: 'preemption' }).locator('td').nth(1)).toHaveText('8');
  await expect(rows.filter({ hasText: 'time limit' }).locator('td').nth(1)).toHaveText('7');
  await expect(page.locator('#budget .numbers')).toContainText(`${interruptions}interruptions`);
  const [gpu] = await series(page, 'gpu');
  expect(gpu.data.length).toBe(trials.length);
});

test('flags are honest', async ({ page }) => {
  await open(page, 'lr-batch.html');
  const kinds = await page.locator('#flags [data-kind]').evaluateAll((all) => all.map((one) => one.dataset.kind));
  expect(kinds).toEqual(['collapsed', 'lost', 'unfinished', 'chosen']);
  await page.locator('[data-kind="collapsed"] button').click();
  await expect(page.locator('#count')).toContainText('of 60 trials');
  await open(page, 'leaky.html');
  await expect(page.locator('[data-kind="leaky"]')).toContainText(
    '2 of 2 trials were validated on leaky_random_patches',
  );
  await expect(page.locator('[data-kind="single_seed"]')).toContainText('single seed');
});

test('the filter finds trials by settings, state and number', async ({ page }) => {
  await open(page, 'lr-batch.html');
  const query = page.locator('#query');
  await query.fill('lr=0.001');
  await expect(page.locator('#count')).toHaveText('12 of 60 trials');
  await query.fill('lr=0.001 -collapsed batch_size<=4');
  const trials = json('lr-batch.trials.json').trials;
  const own = trials.filter(
    (t) =>
      t.parameters['optimizer.lr'] === 0.001 &&
      t.parameters.batch_size <= 4 &&
      !t.analysis.verdict.includes('collapsed'),
  );
  await expect(page.locator('#count')).toHaveText(`${own.length} of 60 trials`);
  await query.fill('nothing has this');
  await expect(page.locator('#count')).toHaveText('0 of 60 trials');
  await page.evaluate(() => window.regatta.drawAll());
  await page.getByRole('button', { name: 'Show all' }).first().click();
  await page.getByLabel('failed').uncheck();
  await expect(page.locator('#count')).toHaveText(`${trials.filter((t) => t.state !== 'failed').length} of 60 trials`);
});

test('dark and light, by the system and by the button', async ({ page }) => {
  await page.emulateMedia({ colorScheme: 'dark' });
  await open(page, 'lr-batch.html');
  await page.evaluate(() => window.regatta.drawAll());
  const back = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const ink = () => page.evaluate(() => window.regatta.figures.heat.chart.getOption().xAxis[0].axisLabel.color);
  expect([await back(), await ink()]).toEqual(['rgb(15, 20, 25)', '#e6edf3']);
  await page.locator('#chart-heat').scrollIntoViewIfNeeded();
  await page.getByRole('button', { name: 'Light colours' }).click();
  await page.locator('#chart-heat').scrollIntoViewIfNeeded();
  expect(await back()).toBe('rgb(255, 255, 255)');
  await expect.poll(ink).toBe('#1b1f24');
});

test('everything can be reached by keys', async ({ page }) => {
  await open(page, 'lr-batch.html');
  await page.keyboard.press('Tab');
  await expect(page.getByRole('link', { name: 'Skip to the report' })).toBeFocused();
  const first = page.locator('#leaderboard button.trial').first();
  await first.focus();
  await page.keyboard.press('Enter');
  await expect(page.locator('#detail h3')).toContainText(json('lr-batch.best.json').trials[0].trial);
  await page.locator('#chart-curves').focus();
  await expect(page.locator('#chart-curves')).toHaveAttribute('data-drawn', 'yes');
  await page.keyboard.press('ArrowRight');
  await expect(page.locator('#live')).toContainText('epoch 2: val/jaccard');
  await page.locator('#chart-heat').focus();
  await expect(page.locator('#chart-heat')).toHaveAttribute('data-drawn', 'yes');
  await page.keyboard.press('ArrowRight');
  await expect(page.locator('#live')).toContainText('optimizer.lr=1e-4 batch_size=2');
  await page.keyboard.press('ArrowUp');
  await expect(page.locator('#live')).toContainText('batch_size=4');
  await page.keyboard.press('Enter');
  await expect(page.locator('#count')).toHaveText('3 of 60 trials');
  await page.locator('#reset').focus();
  await page.keyboard.press('Enter');
  await expect(page.locator('#count')).toHaveText('60 trials');
  await page.locator('#chart-curves').focus();
  await page.keyboard.press('Enter');
  await expect(page.locator('#leaderboard tr.selected')).toHaveCount(1);
  for (const label of await page
    .locator('.chart')
    .evaluateAll((all) => all.map((one) => one.getAttribute('aria-label'))))
    expect(label.length).toBeGreaterThan(8);
});

test('figures are saved as SVG and PNG, tables as Markdown and LaTeX', async ({ page }) => {
  // In light colours, whatever the page has.
  await page.emulateMedia({ colorScheme: 'dark' });
  await open(page, 'lr-batch.html');
  await page.evaluate(() => window.regatta.drawAll());
  const saved = async (click) => {
    const [download] = await Promise.all([page.waitForEvent('download'), click()]);
    return readFileSync(await download.path());
  };
  for (const id of await page.evaluate(() => Object.keys(window.regatta.figures))) {
    const tools = page.locator(`#chart-${id}`).locator('xpath=preceding-sibling::*[1]');
    const svg = (await saved(() => tools.getByRole('button', { name: 'SVG' }).click())).toString();
    expect(svg.startsWith('<svg'), id).toBe(true);
    expect(svg).toContain('</svg>');
    const fault = await page.evaluate(
      (text) => new DOMParser().parseFromString(text, 'image/svg+xml').querySelector('parsererror')?.textContent,
      svg,
    );
    expect(fault, id).toBeUndefined();
    expect(svg, id).toMatch(/^<svg width="900" height="[1-9][0-9]+"/);
    expect(svg, id).toContain('#ffffff');
    for (const dark of ['#0f1419', '#151b22', '#e6edf3']) expect(svg.includes(dark), `${id} ${dark}`).toBe(false);
    const png = await saved(() => tools.getByRole('button', { name: 'PNG' }).click());
    expect(png.subarray(1, 4).toString(), id).toBe('PNG');
    expect(png.length).toBeGreaterThan(5000);
    const height = Number(/ height="([0-9]+)"/.exec(svg)[1]);
    expect([png.readUInt32BE(16), png.readUInt32BE(20)], id).toEqual([2700, 3 * height]);
    // The corner is white, and there is ink: what is dark of it, and what is coloured.
    const seen = await page.evaluate(async (base64) => {
      const image = new Image();
      image.src = `data:image/png;base64,${base64}`;
      await image.decode();
      const canvas = Object.assign(document.createElement('canvas'), { width: image.width, height: image.height });
      const context = canvas.getContext('2d');
      context.drawImage(image, 0, 0);
      const { data } = context.getImageData(0, 0, image.width, image.height);
      let [white, ink, coloured] = [0, 0, 0];
      for (let i = 0; i < data.length; i += 4 * 11) {
        const [low, high] = [Math.min(data[i], data[i + 1], data[i + 2]), Math.max(data[i], data[i + 1], data[i + 2])];
        white += low > 250;
        ink += high < 110;
        coloured += high - low > 60;
      }
      return { corner: [...data.slice(0, 4)], white: white / (data.length / 44), ink, coloured };
    }, png.toString('base64'));
    expect(seen.corner, id).toEqual([255, 255, 255, 255]);
    expect(seen.white, id).toBeGreaterThan(0.2);
    expect(Math.min(seen.ink, seen.coloured), id).toBeGreaterThan(20);
  }
  expect((await saved(() => page.getByRole('button', { name: 'Save as Markdown' }).click())).toString()).toBe(
    readFileSync(file('lr-batch.md'), 'utf8'),
  );
  expect((await saved(() => page.getByRole('button', { name: 'Save as LaTeX' }).click())).toString()).toBe(
    readFileSync(file('lr-batch.tex'), 'utf8'),
  );
});

test('print is light and complete', async ({ page }) => {
  await page.emulateMedia({ colorScheme: 'dark' });
  await open(page, 'lr-batch.html');
  await page.emulateMedia({ media: 'print', colorScheme: 'dark' });
  await expect.poll(() => page.evaluate(() => document.documentElement.dataset.theme)).toBe('light');
  await expect(page.locator('#filter')).toBeHidden();
  const figures = await page.evaluate(() => Object.keys(window.regatta.figures).length);
  await expect(page.locator('.print svg')).toHaveCount(figures);
  for (const text of ['0.8969', 'val/jaccard'])
    await expect(page.locator('.print svg', { hasText: text }).first()).toBeVisible();
  const pdf = await page.pdf({ preferCSSPageSize: true });
  expect(pdf.length).toBeGreaterThan(50_000);
  // Panels share pages: each on its own would need twelve.
  expect(pdf.toString('latin1').match(/\/Type\s*\/Page\b/g).length).toBeLessThanOrEqual(7);
  await page.emulateMedia({ media: 'screen', colorScheme: 'dark' });
  await expect(page.locator('.print')).toHaveCount(0);
  await expect.poll(() => page.evaluate(() => document.documentElement.dataset.theme)).toBe('dark');
});

test('a narrow screen needs no sideways scrolling', async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 800 });
  await open(page, 'lr-batch.html');
  await page.evaluate(() => window.regatta.drawAll());
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
});

test('names that mean harm are words', async ({ page }) => {
  await open(page, 'leaky.html');
  await page.evaluate(() => window.regatta.drawAll());
  await expect(page.locator('#leaderboard')).toContainText('</script><img src=x onerror=alert(1)>');
  expect(await page.locator('img[src="x"]').count()).toBe(0);
  const box = page.locator('#chart-effects');
  await box.scrollIntoViewIfNeeded();
  await page.evaluate(() =>
    window.regatta.figures.effects.chart.dispatchAction({ type: 'showTip', seriesIndex: 0, dataIndex: 0 }),
  );
  await page.locator('#chart-curves').focus();
  await page.keyboard.press('ArrowRight');
  await expect(page.locator('#curve-tip')).toBeVisible();
  expect(await page.locator('img[src="x"]').count()).toBe(0);
});

test('the policy lets nothing out', async ({ page }) => {
  await open(page, 'lr-batch.html');
  const told = await page.evaluate(() =>
    fetch('https://example.com/').then(
      () => 'went out',
      () => 'refused',
    ),
  );
  expect(told).toBe('refused');
  const expected = /Content Security Policy|request: https:\/\/example\.com|Refused to connect|Fetch API cannot load/;
  complaints.splice(0, complaints.length, ...complaints.filter((text) => !expected.test(text)));
});

test('two thousand trials can be used', async ({ page }) => {
  await open(page, 'many.html');
  await page.evaluate(() => window.regatta.drawAll());
  await expect(page.locator('#count')).toHaveText('2000 trials');
  const box = page.locator('#chart-curves');
  await box.scrollIntoViewIfNeeded();
  const pixel = await page.evaluate(() => {
    const { chart } = window.regatta.figures.curves;
    return chart.convertToPixel(
      { xAxisIndex: 0, yAxisIndex: 0 },
      chart.getOption().series.find((s) => s.id === 't0').data[30],
    );
  });
  await box.hover({ position: { x: pixel[0], y: pixel[1] } });
  await expect(page.locator('#curve-tip')).toBeVisible();
  await page.locator('#query').fill('swin');
  await expect(page.locator('#count')).toHaveText(/^\d+ of 2000 trials$/);
  const times = await page.evaluate(() => {
    const told = {};
    for (const [id, one] of Object.entries(window.regatta.figures)) {
      const start = performance.now();
      one.draw();
      told[id] = Math.round(performance.now() - start);
    }
    return told;
  });
  console.log(`milliseconds to draw: ${JSON.stringify(times)}`);
  // What a reader waits for: from a word of the filter to the next frame, and from a move of the pointer.
  const waits = await page.evaluate(async () => {
    const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
    const median = (all) => all.sort((a, b) => a - b)[Math.floor(all.length / 2)];
    const query = document.getElementById('query');
    const of = async (act) => {
      const start = performance.now();
      act();
      await frame();
      return performance.now() - start;
    };
    const filters = [];
    for (const word of ['unet', 'swin', 'lr<0.001', 'batch_size=4', '']) {
      query.value = word;
      const submit = new Event('submit', { cancelable: true });
      filters.push(await of(() => document.getElementById('filter').dispatchEvent(submit)));
    }
    const canvas = document.querySelector('#chart-curves canvas');
    const box = canvas.getBoundingClientRect();
    const moves = [];
    for (let i = 0; i < 40; i += 1) {
      const at = { clientX: box.left + box.width * (0.2 + i / 60), clientY: box.top + box.height * 0.4, bubbles: true };
      moves.push(await of(() => canvas.dispatchEvent(new MouseEvent('mousemove', at))));
    }
    return {
      filter: Math.round(median(filters)),
      filterMost: Math.round(Math.max(...filters)),
      move: Math.round(median(moves)),
    };
  });
  console.log(`milliseconds until it is seen: ${JSON.stringify(waits)}`);
});
