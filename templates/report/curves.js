// Learning curves of all trials that are shown: hover finds the nearest, wheel and slider zoom.

/** Numbers of a trial's epochs. */
const epochsOf = (() => {
  const known = new WeakMap();
  return (at) => {
    const curve = report.curves.trials[at];
    if (!known.has(curve)) known.set(curve, curve.epochs || curve.values[0].map((_, i) => i + 1));
    return known.get(curve);
  };
})();

/** The part of the curves that is looked at, in epochs and values; what is null is all of it. */
const zoomed = { x: null, y: null };

const anyEpoch = () => report.curves.trials.some((curve) => curve.values[0] && curve.values[0].length);

/** Names of curves for a legend that has room for so many letters. */
function namesOf(list, letters) {
  const of = (by) => (one) => {
    const t = trials[one.at];
    return [shortId(t), `seed ${t.seed}`, settings(t, by)].filter(Boolean).join(' ');
  };
  const full = list.map(of('path'));
  const names = full.some((name) => name.length > letters) ? list.map(of('name')) : full;
  return new Map(list.map((one, i) => [one.at, cutTo(names[i], letters)]));
}

function drawCurves() {
  panel('curves', 'Learning curves', {
    intro: () => {
      const thinned =
        report.curves.every > 1 ? ` Of ${report.curves.every} epochs one is drawn, and the best and the last.` : '';
      const left = report.curves.left_out.length
        ? ` Left out to keep the page light: ${report.curves.left_out.join(', ')}.`
        : '';
      return `In colour are the five best, or all by the values of a setting.${thinned}${left}`;
    },
    how: 'Point at a curve, or walk with the arrow keys; the wheel or the slider below zooms, a double click shows all again.',
    fill: fillCurves,
    shape: () => [
      report.curves.metrics,
      anyEpoch(),
      report.parameters.map((p) => [p.path, p.name, Boolean(p.axis && p.axis.labels.length > 1)]),
    ],
  });
}

function fillCurves(section) {
  if (!anyEpoch()) {
    section.append(make('p', { class: 'empty' }, 'No epoch has ended.'));
    return;
  }
  const metrics = report.curves.metrics;
  const select = make(
    'select',
    { id: 'curve-metric', 'aria-label': 'Metric' },
    metrics.map((name, i) => make('option', { value: String(i) }, name)),
  );
  const log = make('input', { type: 'checkbox', id: 'curve-log' });
  const coloured = make(
    'select',
    { id: 'curve-colour', 'aria-label': 'Colour' },
    make('option', { value: 'best' }, 'the five best'),
    report.parameters.map((p, i) =>
      p.axis && p.axis.labels.length > 1 ? make('option', { value: String(i) }, p.path) : null,
    ),
  );
  let metric = 0;
  let walk = { trial: 0, epoch: 0 };
  let under = null;
  // Points are kept as long as curve, metric and axis are the same.
  let [kind, drawn] = ['', new WeakMap()];
  const points = (at) => {
    const curve = report.curves.trials[at];
    if (kind !== `${metric} ${log.checked}`) [kind, drawn] = [`${metric} ${log.checked}`, new WeakMap()];
    if (drawn.has(curve)) return drawn.get(curve);
    const epochs = epochsOf(at);
    const values = curve.values[metric];
    const found = [];
    drawn.set(curve, found);
    for (let i = 0; i < epochs.length; i += 1) {
      if (values[i] !== null && !(log.checked && values[i] <= 0)) found.push([epochs[i], values[i]]);
    }
    return found;
  };
  const words = (at, point) =>
    [
      `${shortId(trials[at])}  #${rankOf(at)}`,
      settings(trials[at]),
      `seed ${trials[at].seed}, ${trials[at].analysis.verdict}`,
      `epoch ${point[0]}: ${metrics[metric]} ${number(point[1])}`,
    ].filter(Boolean);
  const strong = (at, c) => {
    if (coloured.value === 'best') {
      const rank = state.visible.indexOf(at);
      return rank >= 0 && rank < 5 ? c.palette[rank] : null;
    }
    const parameter = report.parameters[Number(coloured.value)];
    const step = parameter.axis.steps[at];
    if (step === null) return null;
    return ramp(parameter, step, c);
  };
  const ramp = ({ axis: { labels, numeric } }, step, c) => {
    const all = growing(c);
    const part = step / Math.max(labels.length - 1, 1);
    return numeric ? all[Math.round(part * (all.length - 1))] : c.palette[step % c.palette.length];
  };
  const build = (c, width, still) => {
    const shown = state.visible;
    const grey = [];
    const lines = [];
    const all = coloured.value !== 'best';
    const few = shown.length <= 60;
    for (const at of shown) {
      const own = points(at);
      if (!own.length) continue;
      const colour = strong(at, c);
      if (colour && (few || !all)) lines.push({ at, own, colour });
      else
        grey.push({
          coords: own.length > 1 ? own : [own[0], own[0]],
          at,
          lineStyle: colour ? { color: colour, opacity: 0.5 } : undefined,
        });
    }
    const chosen =
      state.chosen !== null && points(state.chosen).length
        ? [{ at: state.chosen, own: points(state.chosen), colour: c.mark, wide: true }]
        : [];
    const titles = namesOf([...lines, ...chosen], (width - 42) / 6.8);
    const series = [
      {
        type: 'lines',
        id: 'all',
        coordinateSystem: 'cartesian2d',
        polyline: true,
        silent: true,
        large: grey.length > 400 && !all && !still,
        largeThreshold: 1,
        lineStyle: { color: c.quiet, width: 1, opacity: grey.length > 300 ? 0.12 : 0.35 },
        data: grey,
        progressive: 0,
        z: 1,
      },
    ];
    for (const one of [...lines.reverse(), ...chosen]) {
      series.push({
        type: 'line',
        id: `t${one.at}${one.wide ? 'c' : ''}`,
        name: titles.get(one.at),
        data: one.own,
        silent: true,
        z: one.wide ? 4 : 3,
        showSymbol: one.own.length === 1,
        symbolSize: 6,
        itemStyle: { color: one.colour },
        lineStyle: { color: one.colour, width: one.wide ? 3.5 : 2 },
      });
    }
    // Coloured by a setting, the legend tells its values.
    const values = all ? report.parameters[Number(coloured.value)] : null;
    const entries = values
      ? values.axis.labels.map((text, step) => ({ name: `${values.path}=${text}`, color: ramp(values, step, c) }))
      : [...lines]
          .reverse()
          .concat(chosen)
          .map((one) => ({ name: titles.get(one.at) }));
    if (values)
      for (const { name, color } of entries)
        series.push({ type: 'line', name, data: [], itemStyle: { color }, lineStyle: { color } });
    const legend = entries.length;
    let [low, high, last] = [Infinity, -Infinity, 1];
    for (const at of shown)
      for (const [e, v] of points(at)) {
        low = Math.min(low, v);
        high = Math.max(high, v);
        last = Math.max(last, e);
      }
    const pad = log.checked ? 0 : (high - low) * 0.04 || 0.01;
    const longest = Math.max(0, ...entries.map((one) => one.name.length));
    const rows = legend > 12 ? 0 : Math.ceil(legend / Math.max(1, Math.floor(width / (longest * 6.8 + 42))));
    return {
      ...shared(c),
      tooltip: { show: false },
      legend: {
        show: legend > 0 && legend <= 12,
        top: 0,
        left: 0,
        icon: 'roundRect',
        itemHeight: 3,
        textStyle: { color: c.ink },
        selectedMode: !values,
        data: [...new Set(entries.map((one) => one.name))],
      },
      grid: grid(12 + 18 * rows, 40),
      xAxis: axis(c, {
        type: 'value',
        name: 'epoch',
        nameLocation: 'middle',
        nameGap: 26,
        min: 1,
        max: Math.max(last, 2),
        minInterval: 1,
      }),
      yAxis: axis(c, {
        type: log.checked ? 'log' : 'value',
        name: metrics[metric],
        nameLocation: 'middle',
        nameGap: 52,
        scale: true,
        min: Number.isFinite(low) ? rounded(low >= 0 && low < pad ? 0 : low - pad, Math.floor) : undefined,
        max: Number.isFinite(high) ? rounded(high + pad, Math.ceil) : undefined,
        axisLabel: {
          showMinLabel: low >= 0 && low < pad,
          showMaxLabel: false,
          formatter: (v) => String(Number(v.toPrecision(4))),
        },
      }),
      dataZoom: [
        { type: 'inside', xAxisIndex: 0, filterMode: 'none', ...part(zoomed.x, still) },
        {
          type: 'inside',
          yAxisIndex: 0,
          filterMode: 'none',
          zoomOnMouseWheel: 'shift',
          moveOnMouseMove: true,
          ...part(zoomed.y, still),
        },
        {
          type: 'slider',
          show: !still,
          xAxisIndex: 0,
          filterMode: 'none',
          height: 18,
          bottom: 8,
          borderColor: c.line,
          textStyle: { color: c.ink },
          showDataShadow: false,
          ...part(zoomed.x, still),
        },
      ],
      series,
    };
  };
  /** Where a zoom stands: the end is left open where it was, so that new epochs come into sight. */
  const part = (zoom, still) => {
    if (!zoom || still) return {};
    const { from, to } = zoom;
    return {
      rangeMode: [from === null ? 'percent' : 'value', to === null ? 'percent' : 'value'],
      ...(from === null ? { start: 0 } : { startValue: from }),
      ...(to === null ? { end: 100 } : { endValue: to }),
    };
  };
  const noteZoom = (chart) => {
    const { dataZoom } = chart.getOption();
    const of = ({ start, end, startValue, endValue }) =>
      start <= 0.01 && end >= 99.99
        ? null
        : { from: start <= 0.01 ? null : startValue, to: end >= 99.99 ? null : endValue };
    zoomed.x = of(dataZoom[0]);
    zoomed.y = of(dataZoom[1]);
  };
  const rounded = (v, how) => {
    if (log.checked) return v;
    const unit = 10 ** (Math.floor(Math.log10(Math.abs(v) || 1)) - 2);
    return Number((how(v / unit) * unit).toPrecision(6));
  };
  const tip = make('div', { class: 'tip', hidden: true });
  Object.assign(tip.style, {
    position: 'absolute',
    pointerEvents: 'none',
    zIndex: 5,
    padding: '.4rem .6rem',
    border: '1px solid var(--line)',
    borderRadius: '6px',
    background: 'var(--panel)',
    boxShadow: '0 2px 8px rgba(0,0,0,.18)',
  });
  tip.id = 'curve-tip';
  // The curve under the pointer lies above the chart, which need not be drawn again for it.
  const over = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  const trace = document.createElementNS('http://www.w3.org/2000/svg', 'polyline');
  over.setAttribute('aria-hidden', 'true');
  over.append(trace);
  Object.assign(over.style, {
    position: 'absolute',
    overflow: 'hidden',
    pointerEvents: 'none',
    zIndex: 4,
    left: 0,
    top: 0,
  });
  Object.assign(trace.style, { fill: 'none', stroke: 'var(--ink)', strokeWidth: 2.5 });
  const show = (chart, at, point) => {
    under = at;
    const inner = chart.getModel().getComponent('grid', 0).coordinateSystem.getRect();
    Object.assign(over.style, {
      left: `${inner.x}px`,
      top: `${inner.y}px`,
      width: `${inner.width}px`,
      height: `${inner.height}px`,
      display: '',
    });
    trace.setAttribute(
      'points',
      points(at)
        .map((p) => chart.convertToPixel({ xAxisIndex: 0, yAxisIndex: 0 }, p))
        .map(([px, py]) => `${(px - inner.x).toFixed(1)},${(py - inner.y).toFixed(1)}`)
        .join(' '),
    );
    const [x, y] = chart.convertToPixel({ xAxisIndex: 0, yAxisIndex: 0 }, point);
    tip.replaceChildren(...words(at, point).map((line, i) => make(i ? 'div' : 'b', {}, line)));
    tip.hidden = false;
    const right = x > chart.getWidth() * 0.6;
    Object.assign(tip.style, {
      left: right ? '' : `${x + 14}px`,
      right: right ? `${chart.getWidth() - x + 14}px` : '',
      top: `${Math.max(0, y - 20)}px`,
    });
  };
  const hide = () => {
    if (under === null) return;
    under = null;
    tip.hidden = true;
    over.style.display = 'none';
  };
  /** The curve that passes nearest to a pixel, within 30 pixels. */
  const nearest = (chart, x, y) => {
    const [epoch, value] = chart.convertFromPixel({ xAxisIndex: 0, yAxisIndex: 0 }, [x, y]);
    const [, above] = chart.convertFromPixel({ xAxisIndex: 0, yAxisIndex: 0 }, [x, y - 30]);
    const reach = log.checked ? Math.abs(Math.log(above / value)) : Math.abs(above - value);
    let best = null;
    for (const at of state.visible) {
      const epochs = epochsOf(at);
      const values = report.curves.trials[at].values[metric];
      let i = report.curves.trials[at].epochs ? epochs.findIndex((e) => e >= epoch - 0.5) : Math.round(epoch) - 1;
      i = Math.max(0, Math.min(i, epochs.length - 1));
      if (!epochs.length || values[i] === null || Math.abs(epochs[i] - epoch) > 1) continue;
      const far = log.checked ? Math.abs(Math.log(values[i] / value)) : Math.abs(values[i] - value);
      if (far <= reach && (!best || far < best.far)) best = { at, far, point: [epochs[i], values[i]] };
    }
    return best;
  };
  const own = figure(section, 'curves', {
    label: `Learning curves; arrow keys left and right walk through epochs, up and down through trials, Enter chooses one`,
    build,
    height: (width) => Math.max(340, Math.min(520, width * 0.5)),
    after: (chart) => {
      own.box.append(over, tip);
      const zr = chart.getZr();
      zr.on('mousemove', (e) => {
        if (!chart.containPixel({ gridIndex: 0 }, [e.offsetX, e.offsetY])) {
          hide();
          return;
        }
        const found = nearest(chart, e.offsetX, e.offsetY);
        if (found) {
          if (found.at !== under || tip.dataset.epoch !== String(found.point[0])) {
            tip.dataset.epoch = String(found.point[0]);
            show(chart, found.at, found.point);
          }
        } else hide();
      });
      zr.on('globalout', hide);
      chart.on('datazoom', () => {
        hide();
        noteZoom(chart);
      });
      zr.on('click', () => {
        if (under !== null) choose(under);
      });
      zr.on('dblclick', () => {
        chart.dispatchAction({ type: 'dataZoom', dataZoomIndex: 0, start: 0, end: 100 });
        chart.dispatchAction({ type: 'dataZoom', dataZoomIndex: 1, start: 0, end: 100 });
      });
    },
    keys: (chart, key) => {
      const list = state.visible.filter((at) => points(at).length);
      if (!list.length) return '';
      if (key === 'enter') {
        const at = list[Math.min(walk.trial, list.length - 1)];
        choose(at);
        return '';
      }
      walk.trial = Math.max(0, Math.min(list.length - 1, walk.trial + { up: -1, down: 1, left: 0, right: 0 }[key]));
      const at = list[walk.trial];
      const all = points(at);
      walk.epoch = Math.max(0, Math.min(all.length - 1, walk.epoch + { left: -1, right: 1, up: 0, down: 0 }[key]));
      show(chart, at, all[walk.epoch]);
      return words(at, all[walk.epoch]).join('; ');
    },
  });
  const zoom = (by) => {
    const { start, end } = own.chart.getOption().dataZoom[0];
    const [middle, half] = [(start + end) / 2, ((end - start) / 2) * by];
    own.chart.dispatchAction({
      type: 'dataZoom',
      dataZoomIndex: 0,
      start: Math.max(0, middle - half),
      end: Math.min(100, middle + half),
    });
  };
  const buttons = [
    ['+', 0.5, 'Zoom in'],
    ['−', 2, 'Zoom out'],
    ['All', 1000, 'Show all epochs'],
  ].map(([text, by, label]) => {
    const b = make('button', { type: 'button', 'aria-label': label }, text);
    b.addEventListener('click', () => {
      if (own.chart) zoom(by);
    });
    return b;
  });
  own.tools.prepend(
    make('label', {}, 'Metric ', select),
    make('label', {}, 'Colour ', coloured),
    make('label', {}, log, ' logarithmic'),
    ...buttons,
  );
  select.addEventListener('change', () => {
    metric = Number(select.value);
    zoomed.y = null;
    own.refresh();
  });
  coloured.addEventListener('change', own.refresh);
  log.addEventListener('change', () => {
    zoomed.y = null;
    own.refresh();
  });
  listen((what) => {
    hide();
    if (what !== 'theme' && what !== 'why') own.refresh();
  });
}
