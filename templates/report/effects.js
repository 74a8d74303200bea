// What each setting does by itself.

/** Settings with an axis, the largest share first. */
const byShare = () =>
  report.parameters.filter((p) => p.axis && p.axis.labels.length > 1).sort((a, b) => (b.share || 0) - (a.share || 0));

function drawEffects() {
  panel('effects', 'Effect of each setting', {
    intro: () =>
      'Every trial that counts, over the values of one setting at a time; the bar is their mean. The share tells how much of the spread of all values lies between the values of this setting (η²). Other settings vary along, so that it is no proof of a cause.',
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
  const HEIGHT = 250;
  const build = (c, width) => {
    const across = columns(width);
    const cell = width / across;
    const option = { ...shared(c), title: [], grid: [], xAxis: [], yAxis: [], series: [] };
    const visible = state.visible.filter((at) => trials[at].counts);
    parameters.forEach((p, k) => {
      const index = report.parameters.indexOf(p);
      const [left, top] = [(k % across) * cell, Math.floor(k / across) * HEIGHT];
      const numeric = p.axis.numeric && (p.axis.binned || p.axis.labels.length > 6);
      const step = (at) => p.axis.steps[at];
      const x = (at, i) => (numeric ? trials[at].values[index] : step(at) + (((i * 0.618) % 1) - 0.5) * 0.3);
      const data = visible
        .map((at, i) => ({ value: [x(at, i), trials[at].value], at }))
        .filter((d) => d.value[0] !== null && (numeric || step(d.at) !== null));
      option.title.push({
        text: p.share === null ? p.name : `${p.name} · share ${percent(p.share)}`,
        left: left + 12,
        top,
        textStyle: { color: c.ink, fontSize: 13 },
      });
      option.grid.push({ left: left + 60, top: top + 36, width: cell - 84, height: HEIGHT - 76 });
      const labels = p.axis.labels;
      option.xAxis.push(
        axis(
          c,
          numeric
            ? {
                type: p.axis.log ? 'log' : 'value',
                gridIndex: k,
                scale: true,
                min: p.axis.log ? undefined : 'dataMin',
                max: p.axis.log ? undefined : 'dataMax',
                axisLabel: { formatter: tick },
              }
            : {
                type: 'value',
                gridIndex: k,
                min: -0.5,
                max: labels.length - 0.5,
                interval: 1,
                splitLine: { show: false },
                axisTick: { show: false },
                axisLabel: { formatter: () => '', customValues: labels.map((_, i) => i), showMinLabel: true },
              },
        ),
      );
      if (!numeric)
        Object.assign(option.xAxis[k].axisLabel, {
          formatter: (v) => {
            const text = labels[Math.round(v)] || '';
            const most = Math.max(3, Math.floor((cell - 84) / labels.length / 7));
            return text.length > most ? `${text.slice(0, most - 1)}…` : text;
          },
        });
      option.yAxis.push(
        axis(c, { type: 'value', gridIndex: k, scale: true, splitNumber: 4, axisLabel: { formatter: tick } }),
      );
      option.series.push({
        type: 'scatter',
        id: `e${k}`,
        name: p.path,
        xAxisIndex: k,
        yAxisIndex: k,
        data,
        large: data.length > 800,
        largeThreshold: 800,
        symbolSize: data.length > 300 ? 4 : 7,
        itemStyle: { color: c.palette[0], opacity: data.length > 300 ? 0.35 : 0.7 },
      });
      if (state.chosen !== null) {
        const one = data.filter((d) => d.at === state.chosen);
        option.series.push({
          type: 'scatter',
          id: `c${k}`,
          xAxisIndex: k,
          yAxisIndex: k,
          data: one,
          symbolSize: 14,
          z: 5,
          itemStyle: { color: 'transparent', borderColor: c.mark, borderWidth: 3 },
        });
      }
      if (!numeric) {
        const means = p.levels
          .map((level, i) => (level.mean === null ? null : { value: [i, level.mean], level, label: labels[i] }))
          .filter(Boolean);
        option.series.push({
          type: 'scatter',
          id: `m${k}`,
          name: 'mean',
          xAxisIndex: k,
          yAxisIndex: k,
          data: means,
          symbol: 'rect',
          symbolSize: [Math.min(46, ((cell - 84) / labels.length) * 0.6), 3],
          z: 4,
          itemStyle: { color: c.ink },
        });
      }
    });
    option.tooltip = {
      ...option.tooltip,
      formatter: (q) =>
        q.data.level
          ? `<b>${escaped(q.data.label)}</b><br>mean ${number(q.data.level.mean)}${q.data.level.sd === null ? '' : ` ± ${number(q.data.level.sd)}`}, n = ${q.data.level.n}`
          : `<b>${escaped(shortId(trials[q.data.at]))}</b><br>${escaped(settings(trials[q.data.at]))} seed ${trials[q.data.at].seed}<br>${escaped(report.metric)} ${number(trials[q.data.at].value)}`,
    };
    return option;
  };
  const own = figure(section, 'effects', {
    label: `Effect of ${parameters.map((p) => p.name).join(', ')} on ${report.metric}`,
    build,
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
