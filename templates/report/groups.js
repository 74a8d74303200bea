// Groups over repeated seeds, as `regatta compare` tells of them.

const VERDICTS = {
  first: '–',
  separable: 'separable',
  not_separable: 'not separable',
  one_seed: 'one seed: cannot be told',
  no_spread: 'no spread: cannot be told',
  no_value: 'no value',
  never_learnt: 'never learnt',
  not_comparable: 'not comparable',
};

function drawGroups() {
  panel('groups', 'Groups over seeds', {
    intro: () => `What regatta compare tells. ${report.method}.`,
    fill: fillGroups,
    shape: () => [report.compare.by, report.compare.groups.length > 0],
  });
}

function fillGroups(section) {
  const groups = report.compare.groups;
  if (!groups.length) {
    section.append(make('p', { class: 'empty' }, 'There are no groups.'));
    return;
  }
  const by = report.compare.by;
  const chance = (p) => (p === null ? '' : p < 0.001 ? ', p < 0.001' : `, p = ${p.toFixed(3)}`);
  const own = sheet(
    section,
    [
      { name: 'Group', get: (g) => g.group, show: (g) => g.group },
      ...(report.compare.families.length > 1
        ? [{ name: 'Data', get: (g) => g.data[0], show: (g) => g.data[0] + (g.leaky ? ' · leaky' : ''), wrap: true }]
        : []),
      {
        name: 'n',
        get: (g) => g.n,
        show: (g) => (g.n === g.trials ? String(g.n) : `${g.n}/${g.trials}`),
        number: true,
      },
      { name: 'Mean', get: (g) => g.mean, show: (g) => number(g.mean), number: true, up: false },
      { name: 'SD', get: (g) => g.sd, show: (g) => number(g.sd), number: true },
      {
        name: '95 % interval',
        get: (g) => (g.ci95 ? g.ci95[0] : null),
        show: (g) => (g.ci95 ? `${number(g.ci95[0])} to ${number(g.ci95[1])}` : '–'),
        number: true,
      },
      {
        name: 'Best',
        get: (g) => (g.best ? g.best.value : null),
        show: (g) => (g.best ? number(g.best.value) : '–'),
        number: true,
        up: false,
      },
      {
        name: 'Against the first',
        get: (g) => g.verdict,
        show: (g) => (VERDICTS[g.verdict] || g.verdict) + chance(g.p_holm),
      },
      // Behind the figures: with many settings these would lie beyond the edge.
      ...by.map((path) => ({
        name: path,
        get: (g) => g.by[path],
        show: (g) => setting(g.by[path]),
        number: groups.every((g) => typeof g.by[path] === 'number'),
      })),
      { name: 'Time', get: (g) => g.median_seconds, show: (g) => span(g.median_seconds), number: true },
    ],
    groups.filter(isGroupOnData),
    { page: 12, label: 'Groups' },
  );
  listen((what) => {
    if (what !== 'data') return;
    own.items = report.compare.groups.filter(isGroupOnData);
    own.draw();
  });
  following(section, () =>
    report.compare.notes.length
      ? [
          make('h3', {}, 'What weakens the comparison'),
          make(
            'ul',
            {},
            report.compare.notes.map((note) => make('li', {}, note)),
          ),
        ]
      : [],
  );
}
