// Heat maps over pairs of settings: mean, spread and number of seeds in each cell.

/** What the trials of a cell that are shown came to. */
function cellOf(cell, visible) {
  const own = cell.trials.filter((at) => visible.has(at));
  if (own.length === cell.trials.length) return { ...cell, own };
  const values = own.filter((at) => trials[at].counts).map((at) => trials[at].value);
  const n = values.length;
  const mean = n ? values.reduce((a, b) => a + b, 0) / n : null;
  const sd = n > 1 ? Math.sqrt(values.reduce((a, v) => a + (v - mean) ** 2, 0) / (n - 1)) : null;
  return { ...cell, own, n, mean, sd };
}

/** Black or white, whichever is read on a colour of viridis. */
function inkOn(part) {
  return part > 0.55 ? '#000000' : '#ffffff';
}

/** The settings of a map. */
const pairOf = (map) =>
  map.y === null
    ? report.parameters[map.x].path
    : `${report.parameters[map.x].path} × ${report.parameters[map.y].path}`;

function drawHeat() {
  panel('heat', 'Heat map', {
    intro: () =>
      'Mean over the seeds of each cell, ± standard deviation, and the number of values; trials that were lost or go on do not count.',
    fill: fillHeat,
    shape: () => report.maps.map(pairOf),
  });
}

function fillHeat(section) {
  if (!report.maps.length) {
    section.append(
      make('p', { class: 'empty' }, 'Trials differ in no setting, or in none whose values can be put in order.'),
    );
    return;
  }
  const select = make(
    'select',
    { id: 'heat-pair', 'aria-label': 'Pair of settings' },
    report.maps.map((map, at) => make('option', { value: String(at) }, pairOf(map))),
  );
  let pair = 0;
  let map = report.maps[pair];
  let cells = [];
  let at = -1;
  const axes = () => [
    report.parameters[map.x].axis.labels,
    map.y === null ? [''] : report.parameters[map.y].axis.labels,
  ];
  const lines = (cell) => {
    const [xs, ys] = axes();
    const where = `${report.parameters[map.x].name}=${xs[cell.x]}${map.y === null ? '' : ` ${report.parameters[map.y].name}=${ys[cell.y]}`}`;
    const seeds = cell.own
      .slice(0, 12)
      .map(
        (i) =>
          `seed ${trials[i].seed}: ${number(trials[i].value)}${trials[i].counts ? '' : ` (${trials[i].state}, does not count)`} · ${shortId(trials[i])}`,
      );
    if (cell.own.length > 12) seeds.push(`and ${cell.own.length - 12} more`);
    return [
      where,
      `mean ${number(cell.mean)}${cell.sd === null ? '' : ` ± ${number(cell.sd)}`}, n = ${cell.n}`,
      ...seeds,
    ];
  };
  const build = (c, width) => {
    const visible = new Set(state.visible);
    cells = map.cells.map((cell) => cellOf(cell, visible)).filter((cell) => cell.own.length);
    const [xs, ys] = axes();
    const known = cells.filter((cell) => cell.mean !== null && cell.mean !== undefined);
    const means = known.map((cell) => cell.mean);
    const [least, most] = [Math.min(...means), Math.max(...means)];
    const part = (mean) => (most > least ? (mean - least) / (most - least) : 0.5);
    const colour = (mean) => (report.direction === 'minimize' ? 1 - part(mean) : part(mean));
    const room = (width - 100) / xs.length;
    const text = (cell) => {
      const bottom = cell.n > 1 ? `±${cell.sd.toFixed(4)} · n=${cell.n}` : `n=${cell.n}`;
      return room < 30
        ? ''
        : room < 46
          ? cell.mean.toPrecision(2)
          : room < 104
            ? `${number(cell.mean)}\nn=${cell.n}`
            : `${number(cell.mean)}\n${bottom}`;
    };
    return {
      ...shared(c),
      grid: grid(12, 56),
      xAxis: axis(c, {
        type: 'category',
        data: xs,
        name: report.parameters[map.x].path,
        nameLocation: 'middle',
        nameGap: 28,
        axisLabel: {
          interval: xs.length > 20 ? 'auto' : 0,
          rotate: room < 70 && xs.some((x) => x.length > 6) ? 30 : 0,
        },
      }),
      yAxis: axis(c, {
        type: 'category',
        data: ys,
        name: map.y === null ? '' : report.parameters[map.y].path,
        nameLocation: 'middle',
        nameGap: 44,
      }),
      tooltip: {
        ...shared(c).tooltip,
        formatter: (p) =>
          lines(p.data.cell)
            .map((line, i) => (i ? escaped(line) : `<b>${escaped(line)}</b>`))
            .join('<br>'),
      },
      visualMap: known.length
        ? {
            type: 'continuous',
            min: least,
            max: most > least ? most : least + 1e-9,
            orient: 'horizontal',
            left: 'center',
            bottom: 0,
            itemHeight: 160,
            precision: 4,
            dimension: 2,
            seriesIndex: 0,
            textStyle: { color: c.ink },
            handleStyle: { borderColor: c.quiet },
            text: [`${report.metric} ${number(most)}`, number(least)],
            inRange: { color: report.direction === 'minimize' ? [...VIRIDIS].reverse() : VIRIDIS },
          }
        : undefined,
      series: [
        {
          type: 'heatmap',
          name: 'mean',
          data: known.map((cell) => ({
            value: [cell.x, cell.y, cell.mean],
            cell,
            label: { color: inkOn(colour(cell.mean)) },
          })),
          label: { show: true, formatter: (p) => text(p.data.cell), fontSize: 12, lineHeight: 16 },
          itemStyle: { borderColor: c.back, borderWidth: 2 },
          emphasis: { itemStyle: { borderColor: c.mark, borderWidth: 3 } },
        },
        {
          type: 'heatmap',
          name: 'no value',
          data: cells
            .filter((cell) => !known.includes(cell))
            .map((cell) => ({
              value: [cell.x, cell.y, 0],
              cell,
              itemStyle: {
                color: c.none,
                decal: { symbol: 'rect', dashArrayX: [1, 0], dashArrayY: [2, 5], rotation: 0.7, color: c.line },
              },
            })),
          label: {
            show: true,
            formatter: (p) => (room < 46 ? '' : `no value\n${plural(p.data.cell.own.length, 'trial')}`),
            color: c.ink,
            fontSize: 11,
          },
          itemStyle: { borderColor: c.back, borderWidth: 2 },
        },
      ],
    };
  };
  const own = figure(section, 'heat', {
    label: `Heat map of ${report.metric}; arrow keys walk through its cells, Enter shows a cell's trials alone`,
    build,
    height: (width) => Math.min(170 + 64 * axes()[1].length, 170 + Math.max(300, width)),
    after: (chart) =>
      chart.on('click', (p) => {
        if (p.data && p.data.cell) showOnly(p.data.cell.own);
      }),
    keys: (chart, key) => {
      const known = cells.filter((cell) => cell.mean !== null && cell.mean !== undefined);
      if (!known.length) return '';
      if (key === 'enter') {
        if (known[at]) showOnly(known[at].own);
        return `${byId('count').textContent} shown`;
      }
      const from = known[at] || known[0];
      const [dx, dy] = { left: [-1, 0], right: [1, 0], up: [0, 1], down: [0, -1] }[key];
      const next = at < 0 ? 0 : known.findIndex((cell) => cell.x === from.x + dx && cell.y === from.y + dy);
      if (next >= 0) at = next;
      chart.dispatchAction({ type: 'showTip', seriesIndex: 0, dataIndex: at });
      return lines(known[at]).join('; ');
    },
  });
  own.tools.prepend(
    make('label', {}, 'Settings ', select),
    make('span', { class: 'quiet' }, 'A click on a cell, or Enter, shows its trials alone.'),
  );
  select.addEventListener('change', () => {
    pair = Number(select.value);
    map = report.maps[pair];
    at = -1;
    own.refresh();
  });
  listen((what) => {
    map = report.maps[pair];
    if (what === 'filter' || what === 'data') own.refresh();
  });
}
