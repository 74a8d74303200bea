// The report in words, its flags, the leaderboard, and the groups over repeated seeds.

/** What stands above the panels. */
function drawHead() {
  document.title = `${report.sweeps.join(', ')} – Regatta report`;
  byId('title').textContent = report.sweeps.join(', ') || 'no sweep';
  const when = report.generated_at.replace('T', ' ').replace('Z', ' UTC');
  byId('subtitle').textContent =
    `${report.metric}, ${report.direction === 'minimize' ? 'small' : 'large'} values are good · ${when} · regatta ${report.version}`;
}

function drawWords() {
  drawHead();
  listen((what) => {
    if (what === 'data' || what === 'why') drawHead();
  });
  panel('summary', 'Summary', { fill: (host) => following(host, flagsAndWords) });
}

function flagsAndWords() {
  const list = make('div', { id: 'flags' });
  for (const flag of report.flags) {
    const row = make(
      'p',
      { class: `flag ${flag.weight}` },
      make('b', {}, flag.weight === 'warning' ? '⚠ Warning' : 'Note'),
      flag.text,
    );
    row.dataset.kind = flag.kind;
    if (flag.trials.length && flag.trials.length < trials.length) {
      const button = make(
        'button',
        { type: 'button', class: 'control' },
        `Show ${plural(flag.trials.length, 'trial')}`,
      );
      button.dataset.key = flag.kind;
      button.addEventListener('click', () => {
        showOnly(flag.trials);
        byId('leaderboard').scrollIntoView();
      });
      row.append(button);
    }
    list.append(row);
  }
  return [
    ...report.summary.map((sentence, at) => make('p', { class: at < 2 ? 'lead' : '' }, sentence)),
    make('h3', {}, report.flags.length ? 'Before you believe these numbers' : 'No flags'),
    list,
  ];
}

/**
 * A table that sorts by its heads and shows `page` rows first. A column is { name, get, show, number, first };
 * `row(index)` may return attributes of a row.
 */
function sheet(host, columns, items, { page, label, onRow }) {
  const head = make('tr', {});
  const body = make('tbody', {});
  const more = make('p', { class: 'more' });
  const own = { by: null, up: false, shown: page, items };
  columns.forEach((column, at) => {
    const button = make('button', { type: 'button' }, column.name);
    button.addEventListener('click', () => {
      own.up = own.by === at ? !own.up : column.up !== false;
      own.by = at;
      own.draw();
    });
    head.append(make('th', { scope: 'col', class: column.number ? 'number' : '' }, button));
  });
  const order = () => {
    if (own.by === null) return own.items;
    const get = columns[own.by].get;
    const sign = own.up ? 1 : -1;
    const missing = (v) => v === null || v === undefined;
    return [...own.items].sort((a, b) => {
      const [x, y] = [get(a), get(b)];
      if (missing(x) || missing(y)) return missing(x) - missing(y);
      return sign * (typeof x === 'number' && typeof y === 'number' ? x - y : String(x).localeCompare(String(y)));
    });
  };
  own.draw = () => {
    [...head.children].forEach((th, at) => {
      if (own.by === at) th.setAttribute('aria-sort', own.up ? 'ascending' : 'descending');
      else th.removeAttribute('aria-sort');
      th.firstChild.textContent = columns[at].name + (own.by === at ? (own.up ? ' ↑' : ' ↓') : '');
    });
    const rows = order();
    const drawn = () =>
      rows.slice(0, own.shown).map((item) => {
        const tr = make(
          'tr',
          {},
          columns.map((column) => {
            const content = column.show ? column.show(item) : column.get(item);
            return make(
              'td',
              { class: [column.number ? 'number' : '', column.wrap ? 'wrap' : ''].join(' ').trim() },
              content ?? '–',
            );
          }),
        );
        if (onRow) onRow(tr, item);
        return tr;
      });
    keepingFocus(body, () => body.replaceChildren(...drawn()));
    more.replaceChildren();
    if (rows.length > own.shown) {
      const button = make(
        'button',
        { type: 'button', class: 'control' },
        `Show ${Math.min(200, rows.length - own.shown)} more`,
      );
      button.addEventListener('click', () => {
        own.shown += 200;
        own.draw();
      });
      more.append(make('span', { class: 'quiet' }, `${own.shown} of ${rows.length} are shown.`), button);
    }
  };
  host.append(
    make(
      'div',
      { class: 'scroll', tabIndex: 0, role: 'region', 'aria-label': label },
      make('table', {}, make('thead', {}, head), body),
    ),
    more,
  );
  own.draw();
  return own;
}

const isWrong = (verdict) => /^(collapsed|diverged|never|val\/loss frozen)/.test(verdict);
const badge = (text, wrong) => make('span', { class: wrong ? 'badge warning' : 'badge' }, text);

function drawBoard() {
  panel('leaderboard', 'Leaderboard', {
    intro: () => 'All trials, the best first. Choose one to see it in every panel; a click on a head sorts.',
    fill: fillBoard,
    shape: () => [report.metric, report.parameters.map((p) => [p.path, p.name, Boolean(p.axis && p.axis.numeric)])],
    long: true,
  });
}

function fillBoard(section) {
  const pick = (at) => {
    const button = make('button', { type: 'button', class: 'trial', title: trials[at].trial }, shortId(trials[at]));
    button.dataset.key = named(trials[at]);
    button.addEventListener('click', (event) => {
      event.stopPropagation();
      choose(at);
    });
    return button;
  };
  const t = (at) => trials[at];
  const columns = [
    { name: '#', get: (at) => at + 1, show: (at) => (t(at).value === null ? '–' : String(at + 1)), number: true },
    { name: 'Trial', get: (at) => shortId(t(at)), show: pick },
    {
      name: report.metric,
      get: (at) => t(at).value,
      show: (at) => number(t(at).value),
      number: true,
      up: report.direction === 'minimize',
    },
    { name: 'Epoch', get: (at) => t(at).epoch, number: true },
    ...report.parameters.map((p, i) => ({
      name: p.name,
      get: (at) => t(at).values[i],
      show: (at) => setting(t(at).values[i]),
      number: Boolean(p.axis && p.axis.numeric),
    })),
    { name: 'Seed', get: (at) => t(at).seed, number: true },
    {
      name: 'State',
      get: (at) => t(at).state,
      show: (at) =>
        badge(
          t(at).state.replaceAll('_', ' '),
          !t(at).counts && !['planned', 'submitted', 'running', 'waiting'].includes(t(at).state),
        ),
    },
    {
      name: 'Verdict',
      get: (at) => t(at).analysis.verdict,
      show: (at) =>
        badge(
          t(at).analysis.verdict + (t(at).is_leaky ? ' · leaky split' : ''),
          isWrong(t(at).analysis.verdict) || t(at).is_leaky,
        ),
    },
    { name: 'Gap', get: (at) => t(at).analysis.gap, show: (at) => number(t(at).analysis.gap), number: true },
    {
      name: 'Stability',
      get: (at) => t(at).analysis.stability,
      show: (at) => number(t(at).analysis.stability),
      number: true,
    },
    {
      name: 'Time',
      get: (at) => t(at).analysis.training_seconds,
      show: (at) => span(t(at).analysis.training_seconds),
      number: true,
    },
  ];
  const detail = make('div', { id: 'detail', 'aria-live': 'polite' });
  const own = sheet(section, columns, state.visible, {
    page: 20,
    label: 'Leaderboard',
    onRow: (tr, at) => {
      tr.dataset.trial = t(at).trial;
      tr.classList.toggle('selected', state.chosen === at);
      tr.addEventListener('click', () => choose(at));
    },
  });
  section.append(detail);
  listen((what) => {
    if (what === 'filter' || what === 'data') {
      own.items = state.visible;
      own.draw();
    }
    if (!['chosen', 'data', 'why'].includes(what)) return;
    section
      .querySelectorAll('tr[data-trial]')
      .forEach((tr) =>
        tr.classList.toggle('selected', state.chosen !== null && tr.dataset.trial === t(state.chosen).trial),
      );
    // Who listens to the page hears what he chose, not each number that grows.
    detail.setAttribute('aria-live', what === 'chosen' ? 'polite' : 'off');
    detail.replaceChildren(...(state.chosen === null ? [] : details(t(state.chosen))));
  });
}

/** Everything about the chosen trial. */
function details(t) {
  const a = t.analysis;
  const pairs = [
    ['settings', settings(t) || '–'],
    ['seed', t.seed],
    ['state', `${t.state}${t.why ? `: ${t.why}` : ''}`],
    ['verdict', a.verdict],
    [`best ${report.metric}`, `${number(t.value)} at epoch ${t.epoch ?? '–'}`],
    ['last value', number(a.final_value)],
    ['last val/loss, train/loss', `${number(a.final_val_loss)}, ${number(a.final_train_loss)}`],
    ['gap, at the best epoch', `${number(a.gap)}, ${number(a.gap_at_best)}`],
    ['stability', number(a.stability)],
    ['95 % of the best at epoch', a.convergence_epoch ?? '–'],
    ['epochs', `${t.epochs_done}${t.epochs ? ` of ${t.epochs}` : ''}`],
    ['training time', `${span(a.training_seconds)}, ${span(a.seconds_per_epoch)} an epoch`],
    ['attempts', `${t.attempts}, ${span(t.cost.waiting)} between them`],
    ['device', t.device || '–'],
    ['network parameters', a.network_parameters ?? '–'],
  ];
  return [
    make('h3', {}, `Trial ${t.sweep}/${t.trial}`),
    make(
      'div',
      { class: 'scroll' },
      make(
        'table',
        {},
        make(
          'tbody',
          {},
          pairs.map(([name, value]) =>
            make('tr', {}, make('th', { scope: 'row' }, name), make('td', { class: 'wrap' }, String(value))),
          ),
        ),
      ),
    ),
  ];
}

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
    long: true,
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
        ? [{ name: 'Data', get: (g) => g.data[0], show: (g) => g.data[0] + (g.leaky ? ' · leaky' : '') }]
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
    groups,
    { page: 12, label: 'Groups' },
  );
  listen((what) => {
    if (what !== 'data') return;
    own.items = report.compare.groups;
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
