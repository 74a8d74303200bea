// Reports for the tests of the page: opened, changed, asked.
import { writeFileSync, readFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { pathToFileURL } from 'node:url';

const PAGES = process.env.REPORT_PAGES;
export const file = (name) => (isAbsolute(name) ? name : join(PAGES, name));
export const json = (name) => JSON.parse(readFileSync(file(name), 'utf8'));
export const short = (value) =>
  value === null ? '–' : Math.abs(value) < 1e-3 && value !== 0 ? value.toExponential(3) : value.toFixed(4);

/** What a page did that it should not do. */
export const complaints = [];

/** Opens a page and remembers what it should not do. */
export async function open(page, name) {
  complaints.length = 0;
  for (const event of ['console', 'pageerror', 'dialog', 'request']) page.removeAllListeners(event);
  page.on('console', (m) => {
    if (['error', 'warning'].includes(m.type())) complaints.push(`${m.type()}: ${m.text()}`);
  });
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
  page.on('dialog', (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  const own = pathToFileURL(file(name)).href;
  page.on('request', (request) => {
    if (!/^(data|blob):/.test(request.url()) && request.url().split('#')[0] !== own)
      complaints.push(`request: ${request.url()}`);
  });
  await page.goto(own);
  await page.waitForFunction(() => window.regatta);
}

/** Data of a chart's series. */
export const series = (page, id) =>
  page.evaluate(
    (which) =>
      window.regatta.figures[which].chart.getOption().series.map((s) => ({
        type: s.type,
        id: s.id,
        name: s.name,
        data: s.data,
      })),
    id,
  );

/** Writes the report `lr-batch` with a document that `change` has changed, and returns its file. */
export function variant(path, change) {
  const text = readFileSync(file('lr-batch.html'), 'utf8');
  const [before, rest] = text.split('id="data">');
  const end = rest.indexOf('</script>');
  const document = JSON.parse(rest.slice(0, end));
  change(document);
  writeFileSync(path, `${before}id="data">${JSON.stringify(document).replaceAll('<', '\\u003c')}${rest.slice(end)}`);
  return path;
}

/** Makes a document one of `n` × `n` cells with three seeds each; the trials of every fifth cell were lost. */
export function grid(document, n) {
  const index = (path) => document.parameters.findIndex((p) => p.path === path);
  const [x, y] = [index('optimizer.lr'), index('batch_size')];
  const trials = Array.from({ length: 3 * n * n }, (_, at) => {
    const [column, row, seed] = [Math.floor(at / 3) % n, Math.floor(at / 3 / n), at % 3];
    const trial = structuredClone(document.trials[at % 50]);
    const isLost = (column + 2 * row) % 5 === 0;
    const value = 0.9 - 0.3 * (((column - n / 2) / n) ** 2 + ((row - n / 2) / n) ** 2) + 0.01 * seed;
    trial.values[x] = (column + 1) / 1000;
    trial.values[y] = 2 * (row + 1);
    Object.assign(trial, { trial: at.toString(16).padStart(16, '0'), seed, counts: !isLost });
    Object.assign(trial, {
      state: isLost ? ['cancelled', 'failed'][seed % 2] : 'finished',
      value: isLost ? null : value,
    });
    return { trial, column, row, curve: document.curves.trials[at % 50] };
  }).sort((a, b) => (b.trial.value ?? -1) - (a.trial.value ?? -1));
  const level = (own) => {
    const values = own.filter((one) => one.trial.counts).map((one) => one.trial.value);
    const mean = values.length ? values.reduce((a, b) => a + b, 0) / values.length : null;
    const sum = values.reduce((a, v) => a + (v - mean) ** 2, 0);
    return { n: values.length, mean, sd: values.length > 1 ? Math.sqrt(sum / (values.length - 1)) : null };
  };
  const at = (test) => trials.flatMap((one, i) => (test(one) ? [i] : []));
  const steps = Array.from({ length: n }, (_, i) => i);
  const change = (which, of, label) => {
    const p = document.parameters[which];
    Object.assign(p.axis, { labels: steps.map(label), steps: trials.map(of), binned: false });
    p.levels = steps.map((step) => level(trials.filter((one) => of(one) === step)));
  };
  change(
    x,
    (one) => one.column,
    (step) => String((step + 1) / 1000),
  );
  change(
    y,
    (one) => one.row,
    (step) => String(2 * (step + 1)),
  );
  const cell = (column, row) => {
    const own = at((one) => one.column === column && one.row === row);
    return { x: column, y: row, ...level(own.map((i) => trials[i])), trials: own };
  };
  document.maps = [{ x, y, cells: steps.flatMap((column) => steps.map((row) => cell(column, row))) }];
  document.trials = trials.map((one) => one.trial);
  document.curves.trials = trials.map((one) => one.curve);
  document.flags = [];
}
