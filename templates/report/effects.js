// What each setting does by itself: trials over its values, with mean and spread.

/** Settings with an axis, the largest share first. */
const byShare = () =>
  report.parameters.filter((p) => p.axis && p.axis.labels.length > 1).sort((a, b) => (b.share || 0) - (a.share || 0));

/** Pixels that a dot stands beside its value, at most. */
const ASIDE = 10;

/** Pixels that a small chart is high. */
const HEIGHT = 250;

/** Trials that are shown and count, by the step of a setting at which they stand. */
function standing(p, visible) {
  const all = p.axis.labels.map(() => []);
  for (const at of visible) if (p.axis.steps[at] !== null) all[p.axis.steps[at]].push(at);
  return all;
}

/** Mean and spread at each step: the document's, or those of what the filter has left. */
function levelsOf(p, steps, isWhole) {
  if (isWhole) return p.levels;
  return steps.map((own) => {
    const values = own.map((at) => trials[at].value);
    const n = values.length;
    const mean = n ? values.reduce((a, b) => a + b, 0) / n : null;
    const sd = n > 1 ? Math.sqrt(values.reduce((a, v) => a + (v - mean) ** 2, 0) / (n - 1)) : null;
    return { n, mean, sd };
  });
}

/** How much of the spread of all values lies between steps (η²), as the document counts it. */
function shareOf(p, levels, visible, isWhole) {
  if (isWhole) return p.share;
  const values = visible.map((at) => trials[at].value);
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const total = values.reduce((a, v) => a + (v - mean) ** 2, 0);
  if (!(total > 0)) return null;
  return Math.min(1, levels.reduce((a, level) => a + (level.n ? level.n * (level.mean - mean) ** 2 : 0), 0) / total);
}

/** Where steps stand along x: each by itself, or bins of numbers where these are. `px` is how wide a step is. */
function alongX(p, width) {
  const { labels, binned, log } = p.axis;
  const px = width / labels.length;
  if (!binned) {
    const most = Math.max(...labels.map((text) => text.length));
    const isTight = most * 7 + 6 > px;
    const room = isTight ? 15 : most;
    return {
      px,
      isTight,
      of: (_, step, k) => step + ((((k * 0.618 + 0.5) % 1) - 0.5) * 2 * Math.min(ASIDE, 0.2 * px)) / px,
      middle: (step) => step,
      axis: {
        type: 'value',
        min: -0.5,
        max: labels.length - 0.5,
        interval: 1,
        splitLine: { show: false },
        axisTick: { show: true, customValues: labels.map((_, i) => i) },
        axisLabel: {
          customValues: labels.map((_, i) => i),
          showMinLabel: true,
          hideOverlap: false,
          rotate: isTight ? 35 : 0,
          formatter: (v) => cutTo(labels[Math.round(v)] || '', room),
        },
      },
    };
  }
  const index = report.parameters.indexOf(p);
  const [to, back] = log ? [Math.log, Math.exp] : [(v) => v, (v) => v];
  const values = trials.map((t) => t.values[index]).filter((v) => typeof v === 'number');
  const [least, most] = [to(Math.min(...values)), to(Math.max(...values))];
  const pad = 0.03 * (most - least);
  return {
    px,
    isTight: false,
    of: (at) => trials[at].values[index],
    middle: (step) => back(least + ((step + 0.5) * (most - least)) / labels.length),
    axis: {
      type: log ? 'log' : 'value',
      min: back(least - pad),
      max: back(most + pad),
      axisLabel: { formatter: tick, showMinLabel: false, showMaxLabel: false },
    },
  };
}

/** The series of one setting. */
function effectSeries(c, p, k, visible, isWhole, x) {
  const steps = standing(p, visible);
  const place = { xAxisIndex: k, yAxisIndex: k };
  const data = steps.flatMap((own, step) => own.map((at, i) => ({ value: [x.of(at, step, i), trials[at].value], at })));
  const levels = levelsOf(p, steps, isWhole).map((level, step) => ({ level, step }));
  // One dot is its own mean, and shall not be hidden by it.
  const known = levels.filter(({ level }) => level.n > 1);
  const many = data.length > 300;
  return [
    {
      type: 'scatter',
      id: `e${k}`,
      name: p.path,
      ...place,
      data,
      large: data.length > 800,
      largeThreshold: 800,
      symbolSize: many ? 4 : 7,
      itemStyle: { color: c.palette[0], opacity: many ? 0.35 : 0.7 },
    },
    {
      type: 'lines',
      id: `s${k}`,
      coordinateSystem: 'cartesian2d',
      ...place,
      silent: true,
      z: 4,
      lineStyle: { color: c.ink, width: 2, opacity: 1 },
      data: known.map(({ level, step }) => ({
        coords: [-level.sd, level.sd].map((by) => [x.middle(step), level.mean + by]),
      })),
    },
    {
      type: 'scatter',
      id: `m${k}`,
      name: 'mean',
      ...place,
      z: 5,
      data: known.map(({ level, step }) => ({ value: [x.middle(step), level.mean], level, step, p })),
      symbol: 'rect',
      symbolSize: [Math.min(46, x.px * 0.7), 5],
      itemStyle: { color: c.ink, borderColor: c.back, borderWidth: 1 },
    },
    {
      type: 'scatter',
      id: `c${k}`,
      ...place,
      data: data.filter((d) => d.at === state.chosen),
      symbolSize: 14,
      z: 6,
      itemStyle: { color: 'transparent', borderColor: c.mark, borderWidth: 3 },
    },
  ];
}

function drawEffects() {
  panel('effects', 'Effect of each setting', {
    intro: () =>
      'Every trial that counts, over the values of one setting at a time; the bar is their mean, the line ± one standard deviation. The share tells how much of the spread of all values lies between the values of this setting (η²). Other settings vary along, so that it is no proof of a cause.',
    fill: fillEffects,
    shape: () => [byShare().length, trials.some((t) => t.counts)],
  });
}

function fillEffects(section) {
  const known = byShare();
  if (!known.length || !trials.some((t) => t.counts)) {
    section.append(make('p', { class: 'empty' }, 'Trials differ in no setting, or none counts yet.'));
    return;
  }
  let parameters = known.slice(0, 9);
  if (known.length > parameters.length)
    section.append(
      make(
        'p',
        { class: 'quiet' },
        `The ${parameters.length} of ${known.length} settings with the largest share are drawn.`,
      ),
    );
  const columns = (width) => Math.min(parameters.length, width > 900 ? 3 : width > 560 ? 2 : 1);
  const build = (c, width) => {
    const across = columns(width);
    const cell = width / across;
    const option = { ...shared(c), title: [], grid: [], xAxis: [], yAxis: [], series: [] };
    const visible = state.visible.filter((at) => trials[at].counts);
    const isWhole = visible.length === trials.filter((t) => t.counts).length;
    parameters.forEach((p, k) => {
      const [left, top] = [(k % across) * cell, Math.floor(k / across) * HEIGHT];
      const levels = levelsOf(p, standing(p, visible), isWhole);
      const part = shareOf(p, levels, visible, isWhole);
      const share = part === null ? '' : ` · share ${percent(part)}`;
      const name = fittingName(p, (cell - 12) / 8.6 - share.length);
      const x = alongX(p, cell - 88);
      option.title.push({
        text: `${name}${share}`,
        left: left + 12,
        top,
        textStyle: { color: c.ink, fontSize: 13 },
      });
      option.grid.push({
        left: left + 64,
        top: top + 36,
        width: cell - 88,
        height: HEIGHT - (x.isTight ? 122 : 76),
        outerBoundsMode: 'none',
      });
      option.xAxis.push(axis(c, { gridIndex: k, ...x.axis }));
      option.yAxis.push(
        axis(c, {
          type: 'value',
          gridIndex: k,
          scale: true,
          splitNumber: 4,
          axisLabel: { formatter: tick },
          ...(k % across ? {} : { name: report.metric, nameLocation: 'middle', nameGap: 44 }),
        }),
      );
      option.series.push(...effectSeries(c, p, k, visible, isWhole, x));
    });
    option.tooltip = {
      ...option.tooltip,
      formatter: ({ data }) =>
        data.level
          ? `<b>${escaped(`${data.p.path}=${data.p.axis.labels[data.step]}`)}</b><br>mean ${number(data.level.mean)}${data.level.sd === null ? '' : ` ± ${number(data.level.sd)}`}, n = ${data.level.n}`
          : `<b>${escaped(shortId(trials[data.at]))}</b><br>${escaped(settings(trials[data.at]))} seed ${trials[data.at].seed}<br>${escaped(report.metric)} ${number(trials[data.at].value)}`,
    };
    return option;
  };
  const own = figure(section, 'effects', {
    label: `Effect of ${parameters.map((p) => p.path).join(', ')} on ${report.metric}`,
    build,
    band: HEIGHT,
    height: (width) => HEIGHT * Math.ceil(parameters.length / columns(width)),
    after: (chart) =>
      chart.on('click', (p) => {
        if (p.data && p.data.at !== undefined) choose(p.data.at);
      }),
  });
  listen((what) => {
    parameters = byShare().slice(0, 9);
    if (what !== 'theme' && what !== 'why') own.refresh();
  });
}
