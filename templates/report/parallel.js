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

/** Labels that lines pass behind, and that end before the next axis, `room` pixels to the right. */
const label = (c, room, text = String) => ({
  color: c.ink,
  backgroundColor: c.back,
  padding: [1, 3],
  borderRadius: 2,
  formatter: (v) => cutTo(text(v), Math.max(4, (room - 16) / 7)),
});

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
    intro: () => 'Each line is a trial, coloured by its value as in the heat map; grey is one without a value.',
    how: 'Drag along an axis to keep the lines that pass there; a click on the axis lets go. What is kept is filtered in all panels.',
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
    const metric = { path: report.metric, name: report.metric };
    const many = rows.length > 300;
    const room = (width - 120) / axes.length;
    const isTight = room < 64;
    const common = (dim, p, more) => ({
      dim,
      name: fittingName(p, isTight ? 14 : room < 110 ? room / 6.6 : room / 8 - 1),
      nameRotate: isTight ? 60 : 0,
      tooltip: { show: true, formatter: () => escaped(p.path) },
      nameTextStyle: { color: c.ink, fontWeight: 600, fontSize: room < 110 ? 10 : 12 },
      nameLocation: 'end',
      axisLabel: label(c, room),
      axisLine: { lineStyle: { color: c.quiet } },
      axisTick: { alignWithLabel: true, lineStyle: { color: c.quiet } },
      areaSelectStyle: { width: 22, color: c.mark, borderColor: c.mark, opacity: 0.3 },
      ...more,
    });
    return {
      ...shared(c),
      parallel: { left: 50, right: 70, top: isTight ? 84 : 36, bottom: 56 },
      parallelAxis: [
        ...axes.map((one, dim) =>
          isPlain(one)
            ? common(dim, one.p, {
                type: one.p.axis.log ? 'log' : 'value',
                scale: true,
                min: 'dataMin',
                max: 'dataMax',
                axisLabel: label(c, room, tick),
              })
            : common(dim, one.p, { type: 'category', data: one.p.axis.labels }),
        ),
        common(axes.length, metric, {
          type: 'value',
          scale: true,
          inverse: report.direction === 'minimize',
          axisLabel: label(c, 70, tick),
        }),
      ],
      visualMap: valueLegend(c, width, axes.length),
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
    height: (width) => Math.max(320, Math.min(400, width * 0.45)),
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
