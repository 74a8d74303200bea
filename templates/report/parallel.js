// Parallel coordinates over all settings: a line a trial, axes that filter.

/** Settings that have an axis of their own, with their places. */
const withAxes = (() => {
  let [of, known] = [null, []];
  return () => {
    if (of !== report.parameters) {
      of = report.parameters;
      known = of.map((p, i) => ({ p, i })).filter(({ p }) => p.axis && p.axis.labels.length > 1);
    }
    return known;
  };
})();
const isPlain = ({ p }) => p.axis.numeric && (p.axis.binned || p.axis.labels.length > 6);
const place = (one, at) => {
  const value = trials[at].values[one.i];
  if (isPlain(one)) return typeof value === 'number' ? value : null;
  return one.p.axis.steps[at];
};

/** What is kept of each axis, by its path: intervals of numbers, or words. */
const kept = new Map();
const pathOf = (dim) => (dim < withAxes().length ? withAxes()[dim].p.path : '');
const isWords = (dim) => dim < withAxes().length && !isPlain(withAxes()[dim]);

/** Labels that lines pass behind. */
const label = (c) => ({ color: c.ink, backgroundColor: c.back, padding: [1, 3], borderRadius: 2 });

/** Whether a trial passes through all that is kept. */
function passes(at) {
  const axes = withAxes();
  for (let dim = 0; dim <= axes.length; dim += 1) {
    const own = kept.get(pathOf(dim));
    if (!own) continue;
    const value = dim < axes.length ? place(axes[dim], at) : trials[at].value;
    if (value === null) return false;
    const inside = isWords(dim)
      ? own.words.has(axes[dim].p.axis.labels[value])
      : own.pairs.some(([a, b]) => value >= a && value <= b);
    if (!inside) return false;
  }
  return true;
}

function drawParallel() {
  panel('parallel', 'Parallel coordinates', {
    intro: () =>
      'Each line is a trial, coloured by its value. Drag along an axis to keep the lines that pass there; a click on the axis lets go. What is kept is filtered in all panels.',
    fill: fillParallel,
    shape: () => withAxes().map(({ p, i }) => [p.path, p.name, i]),
  });
}

function fillParallel(section) {
  let axes = withAxes();
  if (!axes.length) {
    section.append(make('p', { class: 'empty' }, 'Trials differ in no setting.'));
    return;
  }
  const keep = make('button', { type: 'button', hidden: !kept.size }, 'Let all go');
  const build = (c, width) => {
    const rows = state.visible
      .map((at) => ({ at, value: [...axes.map((one) => place(one, at)), trials[at].value] }))
      .reverse();
    const values = state.visible.map((at) => trials[at].value).filter((v) => v !== null);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const many = rows.length > 300;
    const narrow = width / (axes.length + 1) < 90;
    const common = (dim, name, more) => ({
      dim,
      name: narrow && name.length > 10 ? `${name.slice(0, 9)}…` : name,
      nameTextStyle: { color: c.ink, fontWeight: 600 },
      nameLocation: 'end',
      axisLabel: label(c),
      axisLine: { lineStyle: { color: c.quiet } },
      axisTick: { lineStyle: { color: c.quiet } },
      areaSelectStyle: { width: 22, color: c.mark, borderColor: c.mark, opacity: 0.3 },
      ...more,
    });
    return {
      ...shared(c),
      parallel: { left: 50, right: 70, top: 36, bottom: 56 },
      parallelAxis: [
        ...axes.map((one, dim) =>
          isPlain(one)
            ? common(dim, one.p.name, {
                type: one.p.axis.log ? 'log' : 'value',
                scale: true,
                min: 'dataMin',
                max: 'dataMax',
                axisLabel: { ...label(c), formatter: tick },
              })
            : common(dim, one.p.name, { type: 'category', data: one.p.axis.labels }),
        ),
        common(axes.length, report.metric, { type: 'value', scale: true, inverse: report.direction === 'minimize' }),
      ],
      visualMap: values.length
        ? {
            type: 'continuous',
            dimension: axes.length,
            min: low,
            max: high > low ? high : low + 1e-9,
            orient: 'horizontal',
            left: 'center',
            bottom: 0,
            precision: 4,
            textStyle: { color: c.ink },
            text: [`${report.metric} ${number(high)}`, number(low)],
            itemHeight: 160,
            inRange: { color: report.direction === 'minimize' ? [...growing(c)].reverse() : growing(c) },
            outOfRange: { color: c.none },
          }
        : undefined,
      tooltip: {
        ...shared(c).tooltip,
        trigger: 'item',
        formatter: (p) =>
          [
            `<b>${escaped(shortId(trials[p.data.at]))}</b>`,
            escaped(settings(trials[p.data.at])),
            `seed ${trials[p.data.at].seed}`,
            `${escaped(report.metric)} ${number(trials[p.data.at].value)}`,
          ].join('<br>'),
      },
      series: [
        {
          type: 'parallel',
          name: 'trials',
          lineStyle: { width: many ? 1 : 1.8, opacity: many ? 0.35 : 0.7 },
          inactiveOpacity: 0.03,
          activeOpacity: many ? 0.5 : 0.9,
          emphasis: { lineStyle: { width: 4, opacity: 1 } },
          smooth: false,
          progressive: 0,
          data: rows,
        },
        state.chosen === null
          ? null
          : {
              type: 'parallel',
              name: 'chosen',
              lineStyle: { width: 4, opacity: 1, color: c.mark },
              data: [
                {
                  at: state.chosen,
                  value: [...axes.map((one) => place(one, state.chosen)), trials[state.chosen].value],
                  visualMap: false,
                },
              ],
            },
      ].filter(Boolean),
    };
  };
  let own;
  let mine = false;
  const apply = () => {
    keep.hidden = !kept.size;
    mine = true;
    state.only = kept.size ? passes : null;
    filter();
    mine = false;
  };
  /** What is kept, as the chart's intervals. */
  const intervalsOf = (dim) => {
    const own = kept.get(pathOf(dim));
    if (!own || !isWords(dim)) return own ? own.pairs : [];
    const steps = axes[dim].p.axis.labels.flatMap((label, step) => (own.words.has(label) ? [step] : []));
    const runs = [];
    for (const step of steps) {
      if (runs.length && runs.at(-1)[1] === step - 1) runs.at(-1)[1] = step;
      else runs.push([step, step]);
    }
    return runs.map(([a, b]) => [a - 0.3, b + 0.3]);
  };
  own = figure(section, 'parallel', {
    label: `Parallel coordinates of ${plural(axes.length, 'setting')} and ${report.metric}`,
    build,
    height: () => 400,
    after: (chart) => {
      chart.on('axisareaselected', () => {
        if (mine) return;
        const model = chart.getModel();
        kept.clear();
        for (let dim = 0; dim <= axes.length; dim += 1) {
          const list = model.getComponent('parallelAxis', dim).activeIntervals || [];
          const pairs = list.map(([a, b]) => [Math.min(a, b), Math.max(a, b)]);
          const within = (step) => pairs.some(([a, b]) => step >= a && step <= b);
          const words = isWords(dim) ? axes[dim].p.axis.labels.filter((_, step) => within(step)) : [];
          if (pairs.length) kept.set(pathOf(dim), { pairs, words: new Set(words) });
        }
        apply();
      });
      chart.on('click', (p) => {
        if (p.data && p.data.at !== undefined) choose(p.data.at);
      });
    },
    drawn: (chart) => {
      mine = true;
      for (let dim = 0; dim <= axes.length; dim += 1) {
        const intervals = intervalsOf(dim);
        if (intervals.length) chart.dispatchAction({ type: 'axisAreaSelect', parallelAxisIndex: dim, intervals });
      }
      mine = false;
    },
  });
  keep.addEventListener('click', () => {
    kept.clear();
    apply();
    own.refresh();
  });
  own.tools.prepend(keep);
  listen((what) => {
    axes = withAxes();
    if (what === 'theme' || what === 'why' || (what === 'filter' && mine)) return;
    // Something else decides now which trials are shown.
    if (what === 'filter' && state.only !== passes) kept.clear();
    keep.hidden = !kept.size;
    own.refresh();
  });
}
