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

/** How many values of a cell count, of how many trials. */
const countOf = ({ n, own }) => (n === own.length ? `n=${n}` : `n=${n}/${own.length}`);
const twoDigits = (v) => (Math.abs(v) < 1 ? v.toFixed(2).replace('0.', '.') : v.toPrecision(2));

/** What cells with a mean say, the longest first, and in letters of which sizes. */
const FORMS = [
  [(cell) => [number(cell.mean), `${cell.n > 1 ? `±${number(cell.sd)} · ` : ''}${countOf(cell)}`], [12, 11]],
  [(cell) => [number(cell.mean), countOf(cell)], [12, 11]],
  [(cell) => [number(cell.mean)], [12, 11, 10]],
  [(cell) => [twoDigits(cell.mean)], [10, 9]],
];

/** What those without one say. */
const EMPTY_FORMS = [
  [(cell) => ['no value', plural(cell.own.length, 'trial')], [12, 11]],
  [() => ['no value'], [12, 11, 10]],
  [() => ['none'], [11, 10, 9]],
  [() => ['–'], [12]],
];

/** A label for all cells: the first form that fits into each of them. What does not fit stands in the tooltip. */
function labelOf(cells, forms, [width, height]) {
  for (const [lines, sizes] of forms) {
    const all = cells.map(lines);
    const longest = Math.max(0, ...all.flat().map((line) => line.length));
    const rows = Math.max(0, ...all.map((one) => one.length));
    const fits = (size) => longest * size * 0.64 + 4 <= width && rows * (size + 4) + 2 <= height;
    const fontSize = sizes.find(fits);
    if (fontSize)
      return { show: true, fontSize, lineHeight: fontSize + 4, formatter: (p) => lines(p.data.cell).join('\n') };
  }
  return { show: false };
}

const hasMean = (cell) => cell.mean !== null && cell.mean !== undefined;

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
    const where = `${report.parameters[map.x].path}=${xs[cell.x]}${map.y === null ? '' : ` ${report.parameters[map.y].path}=${ys[cell.y]}`}`;
    const seeds = cell.own
      .slice(0, 12)
      .map(
        (i) =>
          `seed ${trials[i].seed}: ${number(trials[i].value)}${trials[i].counts ? '' : ` (${trials[i].state.replaceAll('_', ' ')}, does not count)`} · ${shortId(trials[i])}`,
      );
    if (cell.own.length > 12) seeds.push(`and ${cell.own.length - 12} more`);
    return [
      where,
      hasMean(cell)
        ? `mean ${number(cell.mean)}${cell.sd === null ? '' : ` ± ${number(cell.sd)}`}, n = ${cell.n}`
        : 'no value that counts',
      ...seeds,
    ];
  };
  const height = (width) => {
    const rows = axes()[1].length;
    return Math.min(170 + (rows > 6 || width < 800 ? 44 : 64) * rows, 170 + Math.max(300, width));
  };
  const build = (c, width) => {
    const visible = new Set(state.visible);
    cells = map.cells.map((cell) => cellOf(cell, visible)).filter((cell) => cell.own.length);
    const [xs, ys] = axes();
    const known = cells.filter(hasMean);
    const ink = inks(c);
    const words = Math.max(...ys.map((y) => y.length));
    const room = (width - 52 - Math.max(44, 7 * words + 10)) / xs.length;
    const inner = [room - 2, (height(width) - 130) / ys.length - 2];
    const empty = cells.filter((cell) => !hasMean(cell));
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
          rotate: room < 7 * Math.max(...xs.map((x) => x.length)) ? (room < 30 ? 60 : 30) : 0,
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
      visualMap: valueLegend(c, width, 2),
      series: [
        {
          type: 'heatmap',
          name: 'mean',
          data: known.map((cell) => ({
            value: [cell.x, cell.y, cell.mean],
            cell,
            label: { color: ink(cell.mean) },
          })),
          label: labelOf(known, FORMS, inner),
          itemStyle: { borderColor: c.back, borderWidth: 2 },
          emphasis: { itemStyle: { borderColor: c.mark, borderWidth: 3 } },
        },
        {
          type: 'heatmap',
          name: 'no value',
          data: empty.map((cell) => ({
            value: [cell.x, cell.y, 0],
            cell,
            itemStyle: {
              color: c.none,
              decal: { symbol: 'rect', dashArrayX: [1, 0], dashArrayY: [2, 5], rotation: 0.7, color: c.line },
            },
          })),
          label: {
            ...labelOf(empty, EMPTY_FORMS, inner),
            color: c.ink,
            backgroundColor: c.none,
            padding: 2,
            borderRadius: 2,
          },
          itemStyle: { borderColor: c.back, borderWidth: 2 },
        },
      ],
    };
  };
  const own = figure(section, 'heat', {
    label: `Heat map of ${report.metric}; arrow keys walk through its cells, Enter shows a cell's trials alone`,
    build,
    height,
    after: (chart) =>
      chart.on('click', (p) => {
        if (p.data && p.data.cell) showOnly(p.data.cell.own);
      }),
    keys: (chart, key) => {
      const known = cells.filter(hasMean);
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
