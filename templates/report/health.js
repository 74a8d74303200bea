// Stability and overfitting.

const hasBoth = (x, y) => trials.some((_, at) => x(at) !== null && y(at) !== null);
const valueOf = (at) => trials[at].value;
const gapOf = (at) => trials[at].analysis.gap;
const stabilityOf = (at) => trials[at].analysis.stability;

/** A scatter plot of trials: `points` has x, y and the trial. */
function scatter(section, id, label, { x, y, name, zero }) {
  const classes = [
    ['ok', (v) => v === 'ok', 'circle', 'good'],
    ['recovered, unfinished', (v) => !isWrong(v) && v !== 'ok', 'triangle', 'note'],
    ['went wrong', isWrong, 'diamond', 'wrong'],
  ];
  if (!hasBoth(x, y)) {
    section.append(make('h3', {}, label), make('p', { class: 'empty' }, 'Nothing to tell: no trial has both numbers.'));
    return;
  }
  const build = (c) => {
    const own = state.visible.filter((at) => x(at) !== null && y(at) !== null);
    return {
      ...shared(c),
      title: { text: label, left: 0, top: 0, textStyle: { color: c.ink, fontSize: 14 } },
      legend: { top: 24, left: 0, itemWidth: 12, itemHeight: 10, textStyle: { color: c.ink } },
      grid: grid(56, 4),
      xAxis: axis(c, { type: 'value', name: name, nameLocation: 'middle', nameGap: 26, scale: true }),
      yAxis: axis(c, { type: 'value', name: report.metric, nameLocation: 'middle', nameGap: 46, scale: true }),
      tooltip: {
        ...shared(c).tooltip,
        formatter: (p) =>
          `<b>${escaped(shortId(trials[p.data.at]))}</b><br>${escaped(settings(trials[p.data.at]))} seed ${trials[p.data.at].seed}<br>${escaped(name)} ${number(p.data.value[0])}<br>${escaped(report.metric)} ${number(p.data.value[1])}<br>${escaped(trials[p.data.at].analysis.verdict)}`,
      },
      series: [
        ...classes
          .map(([word, is, symbol, colour]) => ({
            type: 'scatter',
            name: word,
            symbol,
            large: own.length > 800,
            largeThreshold: 800,
            symbolSize: own.length > 300 ? 5 : 9,
            itemStyle: {
              color: { good: c.palette[0], note: c.palette[1], wrong: c.mark }[colour],
              opacity: own.length > 300 ? 0.5 : 0.85,
            },
            data: own.filter((at) => is(trials[at].analysis.verdict)).map((at) => ({ value: [x(at), y(at)], at })),
            markLine:
              zero && word === 'ok'
                ? {
                    silent: true,
                    symbol: 'none',
                    label: { show: false },
                    lineStyle: { color: c.quiet, type: 'dashed' },
                    data: [{ xAxis: 0 }],
                  }
                : undefined,
          }))
          .filter((one) => one.data.length),
        {
          type: 'scatter',
          id: 'chosen',
          z: 5,
          symbolSize: 16,
          itemStyle: { color: 'transparent', borderColor: c.mark, borderWidth: 3 },
          data: own.filter((at) => at === state.chosen).map((at) => ({ value: [x(at), y(at)], at })),
        },
      ],
    };
  };
  const one = figure(section, id, {
    label,
    build,
    height: () => 340,
    after: (chart) =>
      chart.on('click', (p) => {
        if (p.data && p.data.at !== undefined) choose(p.data.at);
      }),
  });
  listen((what) => {
    if (what !== 'theme' && what !== 'why') one.refresh();
  });
}

function drawHealth() {
  panel('health', 'Stability and overfitting', {
    intro: () =>
      'The gap at the end is the last val/loss less the last train/loss: far to the right a network knows its training data by heart. Stability is the standard deviation of the last ten val/loss values: small is steady. Neither is told of trials that went wrong, where it would flatter.',
    fill: fillHealth,
    shape: () => [hasBoth(gapOf, valueOf), hasBoth(stabilityOf, valueOf)],
  });
}

function fillHealth(section) {
  const pair = make('div', { class: 'pair' }, make('div', {}), make('div', {}));
  section.append(pair);
  scatter(pair.children[0], 'gap', 'Overfitting gap', {
    x: gapOf,
    y: valueOf,
    name: 'gap at the end',
    zero: true,
  });
  scatter(pair.children[1], 'stability', 'Stability', {
    x: stabilityOf,
    y: valueOf,
    name: 'stability',
  });
  following(section, () => {
    const wrong = onData().filter((t) => isWrong(t.analysis.verdict));
    return [
      make(
        'p',
        {},
        wrong.length
          ? `${plural(wrong.length, 'trial')} went wrong: `
          : 'No trial collapsed, diverged or failed to learn.',
        ...wrong.slice(0, 20).flatMap((t, i) => [i ? ', ' : '', `${shortId(t)} (${t.analysis.verdict})`]),
        wrong.length > 20 ? ', …' : '',
      ),
    ];
  });
}
