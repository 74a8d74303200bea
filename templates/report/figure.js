// A figure: drawn when it comes into sight, again when theme, filter or size change, and saved as SVG or PNG.

const figures = {};
const panels = [];
/** The panel that is being filled. */
let filling = null;
const system = matchMedia('(prefers-color-scheme: dark)');
let wish = null;
let printing = false;
const theme = () => (printing ? 'light' : wish || (system.matches ? 'dark' : 'light'));

/** What all charts share. */
const shared = (c) => ({
  backgroundColor: 'transparent',
  animation: false,
  // No quotes: they would end the attribute of an SVG.
  textStyle: { fontFamily: 'system-ui, sans-serif', color: c.ink },
  tooltip: {
    backgroundColor: c.back,
    borderColor: c.line,
    textStyle: { color: c.ink, fontSize: 12 },
    confine: true,
    transitionDuration: 0,
    extraCssText: 'max-width:28rem;white-space:normal',
  },
});

/** A grid whose axes, names and all, stay inside. */
const grid = (top, bottom, right = 20) => ({
  left: 8,
  right,
  top,
  bottom,
  outerBoundsMode: 'same',
  outerBoundsContain: 'all',
});

/** An axis in the colours of the theme. */
const axis = (c, more) => ({
  nameTextStyle: { color: c.ink },
  axisLabel: { color: c.ink, hideOverlap: true, ...(more.axisLabel || {}) },
  axisLine: { show: true, onZero: false, lineStyle: { color: c.quiet } },
  axisTick: { show: more.type !== 'category', lineStyle: { color: c.quiet } },
  splitLine: { show: more.type !== 'category', lineStyle: { color: c.line, opacity: 0.6 } },
  ...Object.fromEntries(Object.entries(more).filter(([name]) => name !== 'axisLabel')),
});

/**
 * Adds a figure to a panel. `build(colours, width, still)` returns the chart's option, `still` for one that is
 * saved; `height(width)` its height; `after(chart)` is called once, `drawn(chart)` after each drawing;
 * `band` is the height of a row of small charts;
 * `keys(chart, key)` walks with arrow keys, does with enter what a click does, and returns what to say.
 */
function figure(panel, id, { label, height, build, after, drawn, keys, band }) {
  const box = make('div', { class: 'chart', id: `chart-${id}`, tabIndex: 0, role: 'img', 'aria-label': label });
  const own = { id, box, build, band, chart: null, dirty: true };
  figures[id] = own;
  const size = () => Math.max(box.clientWidth, 280);
  own.draw = () => {
    box.style.height = `${height(size())}px`;
    if (!own.chart) {
      own.chart = echarts.init(box, null, { renderer: 'canvas' });
      if (after) after(own.chart);
    } else {
      own.chart.resize();
    }
    own.chart.setOption(build(colours(theme()), size(), false), { notMerge: true });
    if (drawn) drawn(own.chart);
    own.dirty = false;
    own.width = size();
    box.dataset.drawn = 'yes';
  };
  own.inSight = false;
  own.refresh = () => {
    own.dirty = true;
    if (own.inSight) own.draw();
  };
  box.style.height = `${height(800)}px`;
  const saved = (renderer, width = 900) => {
    const host = make('div', {});
    const chart =
      renderer === 'svg'
        ? echarts.init(null, null, { renderer: 'svg', ssr: true, width, height: height(width) })
        : echarts.init(host, null, { renderer: 'canvas', width, height: height(width), devicePixelRatio: 3 });
    chart.setOption({ ...build(colours('light'), width, true), backgroundColor: '#ffffff' });
    return chart;
  };
  own.svg = (width) => {
    const chart = saved('svg', width);
    const text = chart.renderToSVGString();
    chart.dispose();
    return text;
  };
  own.png = () => {
    const chart = saved('canvas');
    const url = chart.getDataURL({ type: 'png', pixelRatio: 3, backgroundColor: '#ffffff' });
    chart.dispose();
    return url;
  };
  const button = (text, act, what) => {
    const b = make('button', { type: 'button', 'aria-label': `${text}: ${what}` }, text);
    b.addEventListener('click', act);
    return b;
  };
  const tools = make(
    'div',
    { class: 'tools' },
    make(
      'span',
      { class: 'end' },
      button('SVG', () => save(`${id}.svg`, own.svg(), 'image/svg+xml'), label),
      button('PNG', () => saveUrl(`${id}.png`, own.png()), label),
    ),
  );
  own.tools = tools;
  if (keys) {
    box.addEventListener('keydown', (event) => {
      const key = event.key === 'Enter' ? 'enter' : /^Arrow(.+)$/.exec(event.key)?.[1].toLowerCase();
      if (!key) return;
      event.preventDefault();
      if (!own.chart) own.draw();
      const told = keys(own.chart, key);
      if (told) say(told);
    });
  }
  panel.append(tools, box);
  sight.observe(box);
  resized.observe(box);
  return own;
}

const ownerOf = (box) => Object.values(figures).find((one) => one.box === box);
const sight = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      const one = ownerOf(entry.target);
      if (!one) continue;
      one.inSight = entry.isIntersecting;
      if (one.inSight && one.dirty) one.draw();
    }
  },
  { rootMargin: '400px 0px' },
);
const resized = new ResizeObserver((entries) => {
  for (const entry of entries) {
    const one = ownerOf(entry.target);
    if (one && one.chart && one.box.clientWidth && Math.abs(one.box.clientWidth - one.width) > 2) one.refresh();
  }
});

const redrawAll = () => Object.values(figures).forEach((one) => one.refresh());

/** Draws everything, in sight or not. */
const drawAll = () => Object.values(figures).forEach((one) => one.draw());

/**
 * Adds a panel. `intro()` is its first sentence, `how` tells what a pointer does in it, `fill(host)` puts into it what it shows. What is there follows
 * the document by itself (`listen`, `following`); where `shape()` tells something else than before, the panel is
 * filled anew.
 */
function panel(id, title, { intro, how, fill, shape = () => '' }) {
  const heading = make('h2', { id: `${id}-title` }, title);
  const words = make('p', { class: 'quiet intro' });
  const host = make('div', {});
  const section = make('section', { id, 'aria-labelledby': `${id}-title` }, heading, words, host);
  byId('main').append(section);
  byId('nav').append(make('a', { href: `#${id}` }, title));
  const own = { id, listeners: [], shape: null };
  own.renew = () => {
    words.replaceChildren(...(intro ? [intro()] : []), ...(how ? [make('span', { class: 'control' }, ` ${how}`)] : []));
    words.hidden = !intro;
    const now = JSON.stringify(shape());
    if (own.shape === now) return;
    own.shape = now;
    own.listeners = [];
    for (const [name, one] of Object.entries(figures)) {
      if (!host.contains(one.box)) continue;
      sight.unobserve(one.box);
      resized.unobserve(one.box);
      if (one.chart) one.chart.dispose();
      delete figures[name];
    }
    const chosen = [...host.querySelectorAll('select')].map((one) => [one.id, one.selectedOptions[0]?.textContent]);
    host.replaceChildren();
    filling = own;
    fill(host);
    filling = null;
    for (const [name, text] of chosen) {
      const select = byId(name);
      const option = select && [...select.options].find((one) => one.textContent === text);
      if (option && !option.selected) {
        option.selected = true;
        select.dispatchEvent(new Event('change'));
      }
    }
  };
  panels.push(own);
  own.renew();
}

/** Does something to a part of the page; what had the focus there has it after, too. */
function keepingFocus(host, act) {
  const name = host.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  act();
  if (name === undefined) return;
  const again = [...host.querySelectorAll('[data-key]')].find((one) => one.dataset.key === name);
  if (again) again.focus({ preventScroll: true });
}

/** A part of a panel that is drawn anew with each document: `draw()` returns its elements. */
function following(host, draw) {
  const box = make('div', {});
  const again = () => keepingFocus(box, () => box.replaceChildren(...draw().filter(Boolean)));
  host.append(box);
  again();
  listen((what) => {
    if (what === 'data') again();
  });
  return box;
}
