// A table that sorts.

/** A name that may break after its dots, and nowhere else. */
const breakable = (name) =>
  name
    .split(/(?<=\.)/)
    .flatMap((part) => [part, make('wbr', {})])
    .slice(0, -1);

/** Shows a hint above what is wider than its place: on a narrow screen nobody sees that there is more. */
function hintOfWidth(scroll) {
  const hint = make('p', { class: 'sideways control', hidden: true }, 'There is more to the right: scroll sideways →');
  new ResizeObserver(() => {
    hint.hidden = scroll.scrollWidth <= scroll.clientWidth + 1;
  }).observe(scroll);
  return hint;
}

/**
 * A table that sorts by its heads and shows `page` rows first. A column is { name, title, get, show, number };
 * `row(index)` may return attributes of a row.
 */
function sheet(host, columns, items, { page, label, onRow }) {
  const head = make('tr', {});
  const body = make('tbody', {});
  const more = make('p', { class: 'more' });
  const own = { by: null, up: false, shown: page, items };
  columns.forEach((column, at) => {
    const button = make('button', { type: 'button', title: column.title });
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
      th.firstChild.replaceChildren(...breakable(columns[at].name), own.by === at ? (own.up ? ' ↑' : ' ↓') : '');
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
  const scroll = make(
    'div',
    { class: 'scroll', tabIndex: 0, role: 'region', 'aria-label': label },
    make('table', {}, make('thead', {}, head), body),
  );
  host.append(hintOfWidth(scroll), scroll, more);
  own.draw();
  return own;
}
