// News: asks the program that serves this page what is new, and goes on with it. Not part of a report in a file.

/** Does something that may change the height of what is above, without moving what is looked at. */
function keepingPlace(act) {
  const anchor = [...document.querySelectorAll('main > section')].find(
    (one) => one.getBoundingClientRect().bottom > 120,
  );
  const before = anchor && anchor.getBoundingClientRect().top;
  act();
  if (!anchor || !scrollY) return;
  const by = anchor.getBoundingClientRect().top - before;
  if (by) scrollBy({ top: by, behavior: 'instant' });
}

/** A list of which parts are named by `[place, number]` in an earlier one. */
const rows = (list, old) => list.flatMap((one) => (Array.isArray(one) ? old.slice(one[0], one[0] + one[1]) : [one]));

/** Goes on with what `news` tells beyond the document that is here. */
function take(news) {
  const next = { ...news.keys, trials: rows(news.trials, trials) };
  next.curves = { ...(news.keys.curves || report.curves), trials: rows(news.curves, report.curves.trials) };
  const without = (t) => JSON.stringify({ ...t, why: '' });
  const onlyWhy =
    news.base !== null &&
    Object.keys(news.keys).every((key) => key === 'generated_at' || key === 'as_of') &&
    news.curves.every(Array.isArray) &&
    next.trials.length === trials.length &&
    next.trials.every((t, at) => t === trials[at] || without(t) === without(trials[at]));
  if (!onlyWhy) {
    keepingPlace(() => goOnWith(next));
    return;
  }
  // How long ago something was heard: nothing of that is drawn.
  next.trials.forEach((t, at) => {
    trials[at] = t;
  });
  Object.assign(report, news.keys);
  tell('why');
}

function goLive() {
  const { dataset } = byId('data');
  const pulse = byId('pulse');
  const every = Number(dataset.every) * 1000;
  let edition = dataset.edition;
  let room = location.pathname;
  let asOf = report.as_of;
  let [asking, held, isLost, timer] = [false, false, false, 0];

  const show = (words, bad) => {
    pulse.hidden = false;
    pulse.textContent = words;
    pulse.classList.toggle('bad', bad);
    if (bad !== isLost) say(words);
    isLost = bad;
  };
  const time = () => {
    const at = new Date(asOf);
    return Date.now() - at > 43200000 ? at.toLocaleString() : at.toLocaleTimeString();
  };

  // What is being dragged is not taken away.
  addEventListener('pointerdown', () => (held = true), true);
  for (const end of ['pointerup', 'pointercancel', 'blur']) addEventListener(end, () => (held = false), true);
  const released = async () => {
    for (let waited = 0; held && waited < 100; waited += 1) await new Promise((done) => setTimeout(done, 100));
  };

  async function ask() {
    clearTimeout(timer);
    // Nobody looks: nothing is read. The page asks when it is seen again.
    if (asking || document.hidden) return;
    asking = true;
    try {
      const signal = AbortSignal.timeout(60000);
      const answer = await fetch(`${room}news?since=${encodeURIComponent(edition)}`, { cache: 'no-store', signal });
      if (answer.status === 401 || answer.status === 403) {
        show(
          `regatta serve was started anew: open the address that it printed, and this page goes on by itself. What is shown is of ${time()}.`,
          true,
        );
      } else if (!answer.ok) {
        throw new Error(String(answer.status));
      } else {
        const news = await answer.json();
        await released();
        if (news.trials) take(news);
        edition = news.edition;
        asOf = news.as_of;
        if (news.problem) show(`Nothing new can be told: ${news.problem}. What is shown is of ${time()}.`, true);
        else show(`Live, as of ${time()}`, false);
      }
    } catch {
      show(`Connection lost, trying again. What is shown is of ${time()}.`, true);
    }
    asking = false;
    timer = setTimeout(ask, isLost ? Math.min(every, 5000) : every);
  }

  document.documentElement.style.overflowAnchor = 'none';
  byId('asks').textContent = 'This page asks the regatta that serves it for news, and nobody else.';
  document.addEventListener('visibilitychange', ask);
  // A page that a new start was opened with tells earlier ones where to ask.
  const others = new BroadcastChannel('regatta');
  others.onmessage = ({ data }) => {
    if (typeof data !== 'string' || !/^\/[\w-]+\/$/.test(data)) return;
    room = data;
    history.replaceState(null, '', room);
    ask();
  };
  others.postMessage(room);
  show(`Live, as of ${time()}`, false);
  timer = setTimeout(ask, every);
}

goLive();
