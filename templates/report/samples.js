// Sample predictions, and the tables for a paper.

function drawPredictions() {
  panel('predictions', 'Sample predictions', {
    intro: () => 'What the networks found in single images, drawn over them.',
    fill: fillPredictions,
  });
}

/** What colours mean: nobody can tell right from wrong where no truth is known. */
function keysOf({ all, with_truth: known }) {
  const keys = known
    ? ['#0072b2 found rightly', '#e69f00 found, not there', '#cc79a7 missed']
    : ['#0072b2 predicted (no truth is known)'];
  if (known && known < all) keys[0] += ', or predicted where no truth is known';
  return make(
    'p',
    { class: 'quiet keys' },
    keys.flatMap((text) => {
      const key = make('span', { class: 'key' });
      key.style.background = text.slice(0, 7);
      return [key, text.slice(8)];
    }),
  );
}

function fillPredictions(section) {
  if (!report.predictions.length) {
    const best = trials.length ? trials[0].trial.slice(0, idLength) : 'TRIAL';
    section.append(
      make('p', { class: 'empty' }, 'None were given to this report. They come from two commands:'),
      make(
        'pre',
        {},
        `regatta predict ${best} --split val -o masks\nregatta report ${report.sweeps.join(' ')} --predictions masks -o report.html`,
      ),
    );
    return;
  }
  for (const one of report.predictions) {
    const measured = Object.entries(one.metrics || {})
      .filter(([, v]) => typeof v === 'number')
      .map(([name, v]) => `${name} ${number(v)}`)
      .join(', ');
    const host = make('div', { class: 'whole' });
    section.append(host);
    host.append(
      make('h3', {}, one.members.join(' + ')),
      make(
        'p',
        {},
        `${plural(one.all, 'image')}${one.images_of ? ` of ${one.images_of}` : ''}, ${one.with_truth === one.all ? 'all' : one.with_truth || 'none'} with a known truth${measured ? `; over ${one.with_truth === one.all ? 'all of them' : 'those with one'} ${measured}` : ''}.`,
      ),
      keysOf(one),
    );
    one.warnings.forEach((text) => host.append(make('p', { class: 'flag warning' }, text)));
    host.append(
      make(
        'div',
        { class: 'images' },
        one.images.map((image) =>
          make(
            'figure',
            {},
            make('img', { src: image.url, alt: `overlay of ${image.name}`, width: image.width, height: image.height }),
            make(
              'figcaption',
              {},
              [
                image.place,
                image.name,
                image.jaccard !== null ? `Jaccard ${number(image.jaccard)}` : one.with_truth ? 'no truth known' : null,
                image.coverage === null ? null : `coverage ${percent(image.coverage)}`,
              ]
                .filter(Boolean)
                .join(' · '),
            ),
          ),
        ),
      ),
    );
    if (one.images.some((image) => image.is_smaller))
      section.append(
        make(
          'p',
          { class: 'quiet' },
          'Large overlays are shown smaller than they lie in the folder of the prediction.',
        ),
      );
    one.left_out.forEach((text) => section.append(make('p', { class: 'quiet' }, `Left out: ${text}`)));
  }
}

function drawPaper() {
  panel('paper', 'For a paper', {
    intro: () =>
      'Every figure above has buttons for SVG and PNG, in light colours. The table of groups in two languages:',
    fill: fillPaper,
  });
}

function fillPaper(section) {
  for (const [name, file, type] of [
    ['Markdown', 'table.md', 'text/markdown'],
    ['LaTeX', 'table.tex', 'application/x-tex'],
  ]) {
    const text = () => report.tables[name.toLowerCase()];
    const button = make('button', { type: 'button' }, `Save as ${name}`);
    button.addEventListener('click', () => save(file, text(), type));
    const shown = make('pre', { id: `table-${name.toLowerCase()}`, tabIndex: 0 }, text());
    listen((what) => {
      if (what === 'data' && shown.textContent !== text()) shown.textContent = text();
    });
    section.append(
      make('div', { class: 'tools' }, button),
      make('details', {}, make('summary', {}, `${name} text`), shown),
    );
  }
}
