// The report in words, its flags, and the leaderboard.

/** What stands above the panels. */
function drawHead() {
  document.title = `${report.sweeps.join(', ')} – Regatta report`;
  byId('title').textContent = report.sweeps.join(', ') || 'no sweep';
  const when = report.generated_at.replace('T', ' ').replace('Z', ' UTC');
  byId('subtitle').textContent =
    `${report.metric}, ${report.direction === 'minimize' ? 'small' : 'large'} values are good · ${when} · regatta ${report.version}`;
  byId('data-shown').textContent =
    state.data === null ? '' : `Figures and tables below show trials on ${state.data} alone.`;
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
      flag.advice ? `${flag.text} ${flag.advice}` : flag.text,
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

const isWrong = (verdict) => /^(collapsed|diverged|never|val\/loss frozen)/.test(verdict);
const badge = (text, wrong) => make('span', { class: wrong ? 'badge warning' : 'badge' }, text);

function drawBoard() {
  panel('leaderboard', 'Leaderboard', {
    intro: () => 'All trials, the best first.',
    how: 'Choose one to see it in every panel; a click on a head sorts.',
    fill: fillBoard,
    shape: () => [report.metric, report.parameters.map((p) => [p.path, p.name, Boolean(p.axis && p.axis.numeric)])],
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
    { name: '#', get: (at) => at + 1, show: (at) => (t(at).value === null ? '–' : String(rankOf(at))), number: true },
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
      name: p.path,
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
    {
      name: 'Gap at the end',
      title: 'val/loss less train/loss after the last epoch; the summary and a chosen trial tell that of the best epoch, too',
      get: (at) => t(at).analysis.gap, show: (at) => number(t(at).analysis.gap),
      number: true,
    },
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
    ['validated on', report.data[t.data] ?? '–'],
    ['seed', t.seed],
    ['state', `${t.state}${t.why ? `: ${t.why}` : ''}`],
    ['verdict', a.verdict],
    [`best ${report.metric}`, `${number(t.value)} at epoch ${t.epoch ?? '–'}`],
    ['last value', number(a.final_value)],
    ['last val/loss, train/loss', `${number(a.final_val_loss)}, ${number(a.final_train_loss)}`],
    ['gap (val/loss less train/loss)', `${number(a.gap)} at the end, ${number(a.gap_at_best)} at the best epoch`],
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
