// Where the time went, and what the GPUs did.

/** What trials on the chosen data cost together; all of them: what the document tells. */
function costNow() {
  if (state.data === null) return report.cost;
  const add = (sum, one) => {
    for (const [name, value] of Object.entries(one)) {
      if (typeof value === 'number') sum[name] = (sum[name] ?? 0) + value;
      else if (value) sum[name] = add(sum[name] ?? {}, value);
    }
    return sum;
  };
  const none = Object.fromEntries(Object.entries(report.cost).map(([name, v]) => [name, typeof v === 'number' ? 0 : {}]));
  return onData().reduce((sum, t) => add(sum, t.cost), none);
}

const facts = (pairs) =>
  make(
    'div',
    { class: 'numbers' },
    pairs.map(([value, name]) => make('div', {}, make('b', {}, value), make('span', { class: 'quiet' }, name))),
  );

function drawBudget() {
  panel('budget', 'Budget and time lost to interruptions', {
    intro: () =>
      'What attempts spent from their start to their last sign of life. A preemption costs the waiting until the next attempt, its start, and the work since the last checkpoint (part of “done again and rest”).',
    fill: fillBudget,
    shape: () => report.cost.attempts > 0,
  });
}

function fillBudget(section) {
  if (!report.cost.attempts) {
    section.append(make('p', { class: 'empty' }, 'No attempt has begun.'));
    return;
  }
  following(section, () => {
    const cost = costNow();
    const interrupted = Object.values(cost.interruptions).reduce((sum, one) => sum + one.count, 0);
    return [
      facts([
        [span(cost.wall), 'attempts ran, together'],
        [cost.wall ? percent(cost.counted / cost.wall) : '–', 'of that in epochs that count'],
        [String(interrupted), interrupted === 1 ? 'interruption' : 'interruptions'],
        [span(cost.waiting), 'waited between attempts'],
        [span(cost.later_starts), 'spent on starting again'],
      ]),
      cost.given
        ? make(
            'p',
            { id: 'asked' },
            `Attempts with a time limit used ${percent((cost.given - cost.unused) / cost.given)} of the time they had asked for: ${span(cost.given - cost.unused)} of ${span(cost.given)}.`,
          )
        : null,
    ];
  });
  const parts = [
    ['counted', 'epochs that count', 0],
    ['checkpoints', 'stood still for checkpoints', 4],
    ['first_start', 'first starts', 2],
    ['later_starts', 'starts again', 1],
    ['rest', 'done again and rest', 3],
  ];
  /** A unit in which the longer bar is a number that people read. */
  const unit = () => {
    const most = Math.max(costNow().wall, costNow().waiting);
    return most >= 7200 ? ['hours', 3600] : most >= 120 ? ['minutes', 60] : ['seconds', 1];
  };
  const build = (c, width) => ({
    ...shared(c),
    legend: { top: 0, left: 0, itemWidth: 14, itemHeight: 10, textStyle: { color: c.ink } },
    grid: grid(width < 620 ? 110 : 44, 4, 30),
    xAxis: axis(c, { type: 'value', name: unit()[0], nameLocation: 'middle', nameGap: 26 }),
    yAxis: axis(c, { type: 'category', data: ['waited in between', 'attempts ran'] }),
    tooltip: { ...shared(c).tooltip, formatter: (p) => `${escaped(p.seriesName)}<br><b>${span(p.data.seconds)}</b>` },
    series: [
      ...parts.map(([key, name, colour]) => ({
        type: 'bar',
        stack: 'all',
        name,
        barWidth: 26,
        itemStyle: { color: c.palette[colour] },
        data: [
          { value: 0, seconds: 0 },
          { value: costNow()[key] / unit()[1], seconds: costNow()[key] },
        ],
      })),
      {
        type: 'bar',
        stack: 'all',
        name: 'waited',
        barWidth: 26,
        itemStyle: { color: c.quiet },
        data: [
          { value: costNow().waiting / unit()[1], seconds: costNow().waiting },
          { value: 0, seconds: 0 },
        ],
      },
    ],
  });
  const own = figure(section, 'budget', {
    label: 'Where the time went',
    build,
    height: (width) => (width < 620 ? 260 : 190),
  });
  listen((what) => {
    if (what === 'data') own.refresh();
  });
  following(section, () => {
    const wasted = onData().filter((t) => !t.counts).reduce((sum, t) => sum + t.cost.wall, 0);
    return [
      make('p', {}, `${span(wasted)} went into trials that do not count (lost, cancelled, or not finished yet).`),
      ...interruptions(),
    ];
  });
}

const CAUSES = {
  preempted: 'preemption',
  time_limit: 'time limit',
  signal: 'a signal of the scheduler: preemption or time limit, nothing tells which',
  train_time: 'max_train_time used up',
  cancelled: 'cancelled',
  by_hand: 'stopped by hand (Ctrl-C)',
  out_of_memory: 'out of memory',
  node_failed: 'its node failed',
  killed: 'gone without a word, and nobody told why',
  other: 'a word of another version',
};

/** What cut attempts short, and what each of these cost. */
function interruptions() {
  const all = Object.entries(costNow().interruptions);
  if (!all.length) return [];
  const head = [
    'What cut attempts short',
    'How often',
    'Ran before',
    'Used of the time asked for',
    'Waited after',
    'Started again',
  ];
  const row = ([cause, one]) => [
    CAUSES[cause] || cause,
    String(one.count),
    span(one.wall),
    one.given ? percent((one.given - one.unused) / one.given) : '–',
    span(one.waiting),
    span(one.starting),
  ];
  return [
    make('h3', {}, 'What cut attempts short'),
    make(
      'div',
      { class: 'scroll', tabIndex: 0, role: 'region', 'aria-label': 'What cut attempts short' },
      make(
        'table',
        { id: 'interruptions' },
        make(
          'thead',
          {},
          make(
            'tr',
            {},
            head.map((name, i) => make('th', { scope: 'col', class: i ? 'number' : '' }, name)),
          ),
        ),
        make(
          'tbody',
          {},
          all.map((one) =>
            make(
              'tr',
              {},
              row(one).map((text, i) => make('td', { class: i ? 'number' : 'wrap' }, text)),
            ),
          ),
        ),
      ),
    ),
  ];
}

const withGpu = () => trials.map((t, at) => ({ t, at })).filter(({ t }) => t.gpu && t.gpu.utilisation !== null);
const withGpuNow = () => withGpu().filter(({ t }) => isOnData(t));

function drawGpu() {
  panel('gpu', 'GPU use', {
    intro: () => 'What the worker saw of the first GPU of each trial, as a mean or the most over its samples.',
    fill: fillGpu,
    shape: () => withGpu().length > 0,
  });
}

/** What was seen of all GPUs together. */
function gpuFacts() {
  const seen = withGpuNow();
  if (!seen.length) return [make('p', { class: 'empty' }, 'No GPU was seen with trials on this data.')];
  const weight = seen.reduce((sum, { t }) => sum + Math.max(t.cost.wall, 1), 0);
  const mean = (of) => {
    const own = seen.filter(({ t }) => of(t) !== null);
    return own.length
      ? own.reduce((sum, { t }) => sum + of(t) * Math.max(t.cost.wall, 1), 0) /
          own.reduce((sum, { t }) => sum + Math.max(t.cost.wall, 1), 0)
      : null;
  };
  const most = (of) => Math.max(...seen.map(({ t }) => of(t) ?? 0));
  const power = mean((t) => t.gpu.power);
  return [
    facts([
      [`${mean((t) => t.gpu.utilisation).toFixed(0)} %`, 'busy, over the time of all attempts'],
      [bytes(most((t) => t.gpu.memory)), 'most memory used'],
      [power === null ? '–' : `${power.toFixed(0)} W`, 'mean power'],
      [power === null ? '–' : `${((power * weight) / 3.6e6).toFixed(1)} kWh`, 'about, for all of them'],
      [[...new Set(seen.map(({ t }) => t.device).filter(Boolean))].join(', ') || '–', 'device'],
    ]),
  ];
}

function fillGpu(section) {
  if (!withGpu().length) {
    following(section, () => {
      const devices = [...new Set(trials.map((t) => t.device).filter(Boolean))];
      const where = devices.length ? `: trials ran on ${devices.join(', ')}` : '';
      return [make('p', { class: 'empty' }, `No GPU was seen${where}.`)];
    });
    return;
  }
  following(section, gpuFacts);
  const build = (c) => ({
    ...shared(c),
    grid: grid(16, 4),
    xAxis: axis(c, { type: 'value', name: 'GPU busy, %', nameLocation: 'middle', nameGap: 26, min: 0, max: 100 }),
    yAxis: axis(c, { type: 'value', name: 'images a second', nameLocation: 'middle', nameGap: 46, scale: true }),
    tooltip: {
      ...shared(c).tooltip,
      formatter: (p) =>
        `<b>${escaped(shortId(trials[p.data.at]))}</b><br>${escaped(settings(trials[p.data.at]))}<br>busy ${p.data.value[0].toFixed(1)} %, ${p.data.value[1].toFixed(1)} images a second<br>memory ${bytes(trials[p.data.at].gpu.memory ?? 0)}`,
    },
    series: [
      {
        type: 'scatter',
        symbolSize: 8,
        itemStyle: { color: c.palette[0], opacity: 0.7 },
        data: state.visible
          .filter((at) => trials[at].gpu && trials[at].gpu.utilisation !== null)
          .map((at) => ({ value: [trials[at].gpu.utilisation, trials[at].analysis.images_per_second ?? 0], at })),
      },
    ],
  });
  const own = figure(section, 'gpu', {
    label: 'GPU use and speed of each trial',
    build,
    height: () => 300,
    after: (chart) =>
      chart.on('click', (p) => {
        if (p.data) choose(p.data.at);
      }),
  });
  listen((what) => {
    if (what === 'filter' || what === 'data') own.refresh();
  });
}
