// What all rooms use: the document, elements, numbers in words, colours. Text is only ever set as text.

const report = JSON.parse(document.getElementById('data').textContent);
const trials = report.trials;
const better = report.direction === 'minimize' ? (a, b) => a - b : (a, b) => b - a;

const byId = (id) => document.getElementById(id);

/** Makes an element; `properties` are set on it, attributes where they begin with `aria` or have a dash. */
function make(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (value === undefined || value === null) continue;
    if (name === 'class') element.className = value;
    else if (name.includes('-') || name === 'role' || name === 'for' || name === 'scope')
      element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Text for HTML, as tooltips want it. */
const escaped = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

/** A value of a metric: four decimals, or four digits where it is very small or large. */
function number(value) {
  if (typeof value !== 'number' || !Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  return value !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(3) : value.toFixed(4);
}

/** A setting as people write it. */
function setting(value) {
  if (value === null || value === undefined) return '–';
  if (typeof value === 'string') return value;
  if (typeof value !== 'number') return JSON.stringify(value);
  const short = Number(value.toPrecision(6));
  return short !== 0 && !Number.isInteger(short) && Math.abs(short) < 1e-3
    ? short.toExponential().replace('e+', 'e')
    : String(short);
}

/** Seconds, as in the sentences of the summary and on the command line: `45s`, `3m 20s`, `2h 05m`, `3d 04h`. */
function span(seconds) {
  if (typeof seconds !== 'number') return '–';
  const s = Math.round(seconds);
  const two = (n) => String(n).padStart(2, '0');
  if (s < 60) return seconds > 0 && seconds < 9.95 ? `${seconds.toFixed(1)}s` : `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m ${two(s % 60)}s`;
  if (s < 86400) return `${Math.floor(s / 3600)}h ${two(Math.floor((s / 60) % 60))}m`;
  return `${Math.floor(s / 86400)}d ${two(Math.floor((s / 3600) % 24))}h`;
}

const plural = (count, noun) => `${count} ${noun}${count === 1 ? '' : 's'}`;
const percent = (part) => `${(100 * part).toFixed(part > 0 && part < 0.1 ? 1 : 0)} %`;
const named = (t) => `${t.sweep}/${t.trial}`;
const bytes = (n) => (n >= 1e9 ? `${(n / 1e9).toFixed(1)} GB` : `${Math.round(n / 1e6)} MB`);

/** The length to which identities can be cut and still be told apart. */
let idLength = 8;
let several = false;
function measureNames() {
  const ids = [...new Set(trials.map((t) => t.trial))].sort();
  let most = 7;
  for (let i = 1; i < ids.length; i += 1) {
    let same = 0;
    while (same < ids[i].length && ids[i][same] === ids[i - 1][same]) same += 1;
    most = Math.max(most, same);
  }
  idLength = most + 1;
  several = report.sweeps.length > 1;
}
measureNames();
const shortId = (trial) => (several ? `${trial.sweep}/` : '') + trial.trial.slice(0, idLength);

/** A text, cut where it has more than so many letters. */
const cutTo = (text, letters) => (text.length > letters ? `${text.slice(0, Math.max(1, letters - 1))}…` : text);

/** A setting's dotted path, as everywhere on the page; its last word where that has no room for so many letters. */
const fittingName = (p, letters) => cutTo(p.path.length <= letters ? p.path : p.name, letters);

/** A trial's settings: `optimizer.lr=0.001 batch_size=4`, or with `name` where there is little room. */
const settings = (trial, by = 'path') =>
  report.parameters
    .map((p, at) => [p[by], trial.values[at]])
    .filter(([, v]) => v !== null)
    .map(([name, v]) => `${name}=${typeof v === 'string' && /\s/.test(v) ? `“${v}”` : setting(v)}`)
    .join(' ');

/** Colours after Okabe and Ito, for any kind of colour vision; viridis for what grows. */
const PALETTE = {
  light: ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#000000'],
  dark: ['#56b4e9', '#e69f00', '#2cc295', '#e3a1c8', '#f0e442', '#ffffff'],
};
const VIRIDIS = [
  '#440154',
  '#482878',
  '#3e4989',
  '#31688e',
  '#26828e',
  '#1f9e89',
  '#35b779',
  '#6ece58',
  '#b5de2b',
  '#fde725',
];

/** Colours of what grows, on this background. */
const growing = (c) => (c.dark ? VIRIDIS.slice(2) : VIRIDIS.slice(0, 9));

/** A number on an axis. */
const tick = (v) => setting(Number(v.toPrecision(4)));

/** Colours of a theme; figures for papers ask for `light`. */
function colours(theme) {
  const dark = theme === 'dark';
  return {
    dark,
    palette: dark ? PALETTE.dark : PALETTE.light,
    ink: dark ? '#e6edf3' : '#1b1f24',
    quiet: dark ? '#9aa7b4' : '#57606a',
    line: dark ? '#35404b' : '#d0d7de',
    faint: dark ? 'rgba(154,167,180,0.22)' : 'rgba(87,96,106,0.20)',
    back: dark ? '#151b22' : '#ffffff',
    mark: dark ? '#ff6f4d' : '#d55e00',
    none: dark ? '#2a333d' : '#e6e9ec',
  };
}

/** Says something to those who listen to the page. */
const say = (text) => {
  byId('live').textContent = text;
};
