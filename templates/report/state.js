// Which trials are shown and which one is chosen; rooms listen.

const state = { visible: trials.map((_, at) => at), chosen: null, only: null, data: null, listeners: [] };

/** Calls `listener(what)` with `filter`, `chosen`, `theme` or `data`; one of a panel as long as it stands. */
const listen = (listener) => (filling ? filling.listeners : state.listeners).push(listener);
const tell = (what) => {
  state.listeners.forEach((listener) => listener(what));
  panels.forEach((one) => one.listeners.forEach((listener) => listener(what)));
};

/** Whether a trial, or a group, was validated on the data that was chosen; on any where all are shown. */
const isOnData = (t) => state.data === null || report.data[t.data] === state.data;
const isGroupOnData = (g) => state.data === null || g.data.includes(state.data);

/** Trials of which some panels tell whatever the words of the filter are. */
const onData = () => trials.filter(isOnData);

/** The place of a trial among those that it can be compared with. */
function rankOf(at) {
  if (state.data === null) return at + 1;
  return trials.slice(0, at + 1).filter((t) => report.data[t.data] === report.data[trials[at].data]).length;
}

/** What a word of the filter is compared with. */
let haystacks = [];
const haystackOf = (t) =>
  [
    t.sweep,
    t.trial,
    t.state,
    t.analysis.verdict,
    `seed=${t.seed}`,
    t.is_leaky ? 'leaky' : '',
    report.data[t.data] ?? '',
    ...report.parameters.flatMap((p, at) => [
      `${p.name}=${setting(t.values[at])}`,
      `${p.path}=${setting(t.values[at])}`,
    ]),
  ]
    .join('\n')
    .toLowerCase();

const FIELDS = {
  value: (t) => t.value,
  seed: (t) => t.seed,
  epoch: (t) => t.epoch,
  gap: (t) => t.analysis.gap,
  stability: (t) => t.analysis.stability,
  epochs: (t) => t.epochs_done,
  attempts: (t) => t.attempts,
};

/** A test of one word: `lr=0.001`, `lr<0.01`, `value>=0.9`, `-failed`, or any part of a name. */
function tester(word) {
  if (word.startsWith('-') && word.length > 1) {
    const inner = tester(word.slice(1));
    return (at) => !inner(at);
  }
  const parts = /^([^<>=]+)(<=|>=|<|>|=)(.+)$/.exec(word);
  const limit = parts ? Number(parts[3]) : NaN;
  if (parts && Number.isFinite(limit)) {
    const index = report.parameters.findIndex((p) => [p.name, p.path].some((n) => n.toLowerCase() === parts[1]));
    const of = index >= 0 ? (t) => t.values[index] : FIELDS[parts[1]];
    const holds = {
      '<': (v) => v < limit,
      '>': (v) => v > limit,
      '<=': (v) => v <= limit,
      '>=': (v) => v >= limit,
      '=': (v) => v === limit,
    }[parts[2]];
    if (of) return (at) => typeof of(trials[at]) === 'number' && holds(of(trials[at]));
  }
  return (at) => haystacks[at].includes(word);
}

/** Finds what the form asks for. */
function sift() {
  const words = byId('query').value.toLowerCase().split(/\s+/).filter(Boolean).map(tester);
  const boxes = [...document.querySelectorAll('#states input')];
  const states = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
  const wanted = (at) =>
    (!boxes.length || states.has(trials[at].state)) &&
    (!state.only || state.only(at)) &&
    isOnData(trials[at]) &&
    words.every((test) => test(at));
  state.visible = trials.map((_, at) => at).filter(wanted);
  const all = state.visible.length === trials.length;
  const told = all ? plural(trials.length, 'trial') : `${state.visible.length} of ${plural(trials.length, 'trial')}`;
  if (byId('count').textContent !== told) byId('count').textContent = told;
}

/** Shows what the form asks for. */
function filter() {
  sift();
  tell('filter');
}

/** Chooses a trial in all panels; the same one again lets it go. */
function choose(at) {
  state.chosen = state.chosen === at ? null : at;
  say(state.chosen === null ? 'no trial is chosen' : `trial ${shortId(trials[at])} is chosen`);
  tell('chosen');
}

/** Shows these trials alone. */
function showOnly(indices) {
  const names = new Set(indices.map((at) => named(trials[at])));
  state.only = (at) => names.has(named(trials[at]));
  if (indices.some((at) => !isOnData(trials[at]))) chooseData(null);
  else filter();
}

/** A box for each state that trials are in; those that were there stay as they are. */
function drawStates() {
  const known = new Map([...document.querySelectorAll('#states input')].map((box) => [box.value, box]));
  const all = [...new Set(trials.map((t) => t.state))];
  if (all.length === known.size && all.every((name) => known.has(name))) return;
  if (all.length < 2 && !known.size) return;
  const labels = [...new Set([...known.keys(), ...all])].map((name) => {
    if (known.has(name)) return known.get(name).parentElement;
    const box = make('input', { type: 'checkbox', value: name, checked: true });
    box.addEventListener('change', filter);
    return make('label', {}, box, ` ${name.replaceAll('_', ' ')}`);
  });
  labels.forEach((label, at) => {
    if (byId('states').children[at] !== label) byId('states').insertBefore(label, byId('states').children[at] || null);
  });
}

/** Shows trials on this data alone, or with `null` all of them, in all panels. */
function chooseData(name) {
  state.data = name;
  drawData();
  sift();
  // Sums and groups follow as well, which words of the filter do not change.
  tell('data');
}

/** The choice of data, where trials were validated on several. */
function drawData() {
  const [box, select] = [byId('data-choice'), byId('data-select')];
  box.hidden = report.data.length < 2;
  byId('data-mixed').hidden = box.hidden || state.data !== null;
  const count = (name) => trials.filter((t) => report.data[t.data] === name).length;
  const options = box.hidden
    ? []
    : [
        ...report.data.map((name) => [name, `${name} – ${plural(count(name), 'trial')}`]),
        ['', `all, not comparable – ${plural(trials.length, 'trial')}`],
      ];
  const texts = options.map(([, text]) => text);
  if (JSON.stringify(texts) !== JSON.stringify([...select.options].map((one) => one.textContent)))
    select.replaceChildren(...options.map(([value, text]) => make('option', { value }, text)));
  select.value = state.data ?? '';
  select.title = select.selectedOptions[0]?.textContent ?? '';
}

/** Begins with the data of the first group: values on different data do not belong on one scale. */
function firstData() {
  state.data = report.data.length > 1 ? report.data[0] : null;
}

/** Goes on with another document; what the reader chose stays. */
function goOnWith(next) {
  const chosen = state.chosen === null ? null : named(trials[state.chosen]);
  const lines = next.trials;
  const hadOne = report.data.length < 2;
  trials.length = 0;
  for (const line of lines) trials.push(line);
  Object.assign(report, next, { trials });
  measureNames();
  haystacks = trials.map(haystackOf);
  if (report.data.length < 2) state.data = null;
  else if (state.data !== null && !report.data.includes(state.data)) firstData();
  else if (hadOne) firstData();
  drawData();
  const place = chosen === null ? -1 : trials.findIndex((t) => named(t) === chosen);
  state.chosen = place < 0 ? null : place;
  drawStates();
  sift();
  panels.forEach((one) => one.renew());
  tell('data');
}

function bindFilter() {
  let timer;
  byId('query').placeholder = report.parameters.length ? `${report.parameters[0].path}=… finished` : 'finished';
  byId('query-help').textContent =
    'Words that a trial must have: a part of its id, state, verdict or settings; name=1, name<1, value>=0.9; -word for without.';
  byId('query').addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(filter, 120);
  });
  byId('filter').addEventListener('submit', (event) => {
    event.preventDefault();
    filter();
  });
  haystacks = trials.map(haystackOf);
  drawStates();
  firstData();
  drawData();
  byId('data-select').addEventListener('change', (event) => chooseData(event.target.value || null));
  byId('reset').addEventListener('click', () => {
    byId('query').value = '';
    document.querySelectorAll('#states input').forEach((box) => {
      box.checked = true;
    });
    state.only = null;
    state.chosen = null;
    chooseData(null);
    tell('chosen');
  });
  sift();
}
