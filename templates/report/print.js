// Light and dark, what print shows, and files that are saved.

/** Puts a drawing beside each chart, which print shows instead: canvases are not drawn in time, nor sharp. */
function drawPrints() {
  for (const one of Object.values(figures)) {
    // Beside another one it is half as wide, and its letters shall not be half as high.
    const width = one.box.closest('.pair') ? 380 : 760;
    const drawing = new DOMParser().parseFromString(one.svg(width), 'image/svg+xml').documentElement;
    const height = Number(drawing.getAttribute('height'));
    // Rows of small charts may stand on several pages, each of them whole.
    const band = height > 2 * one.band ? one.band : height;
    for (let top = height - band; top >= 0; top -= band) {
      const part = document.importNode(drawing, true);
      part.setAttribute('height', band);
      part.setAttribute('viewBox', `0 ${top} ${width} ${band}`);
      one.box.after(make('div', { class: 'print' }, part));
    }
  }
  for (const host of document.querySelectorAll('.scroll')) {
    host.classList.add('paper');
    host.style.setProperty('--fit', Math.min(1, host.clientWidth / host.firstChild.scrollWidth).toFixed(3));
  }
}

/** Takes away again what print alone shows. */
function dropPrints() {
  document.querySelectorAll('.print').forEach((one) => one.remove());
  document.querySelectorAll('.paper').forEach((one) => one.classList.remove('paper'));
}

function save(name, text, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  saveUrl(name, url);
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
function saveUrl(name, url) {
  const link = make('a', { href: url, download: `${report.sweeps[0] || 'report'}-${name}` });
  document.body.append(link);
  link.click();
  link.remove();
}

function bindTheme() {
  const button = byId('theme');
  const show = () => {
    document.documentElement.dataset.theme = theme();
    button.textContent = theme() === 'dark' ? 'Light' : 'Dark';
    button.setAttribute('aria-label', theme() === 'dark' ? 'Light colours' : 'Dark colours');
  };
  const change = () => {
    show();
    redrawAll();
    tell('theme');
  };
  button.addEventListener('click', () => {
    wish = theme() === 'dark' ? 'light' : 'dark';
    change();
  });
  system.addEventListener('change', change);
  const print = (on) => {
    if (printing !== on) {
      printing = on;
      show();
      if (on) drawPrints();
      else dropPrints();
    }
  };
  addEventListener('beforeprint', () => print(true));
  addEventListener('afterprint', () => print(false));
  matchMedia('print').addEventListener('change', (event) => print(event.matches));
  show();
}
