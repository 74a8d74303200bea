// Colours of the objective's values: one scale for all panels and filters, so that a colour means one value.

/** The value at a part of sorted ones. */
const quantile = (sorted, part) => sorted[Math.round(part * (sorted.length - 1))];

/**
 * The values that colours tell apart: of all trials that count. Few that lie far off (further than one and a half
 * times the middle half is wide) have the colour of the end: else they would take all colours from the others.
 */
function valueRange() {
  const valued = trials.filter((t) => typeof t.value === 'number');
  const counted = valued.filter((t) => t.counts);
  const sorted = (counted.length ? counted : valued).map((t) => t.value).sort((a, b) => a - b);
  if (!sorted.length) return null;
  const [first, third] = [quantile(sorted, 0.25), quantile(sorted, 0.75)];
  const reach = third > first ? 1.5 * (third - first) : Infinity;
  const low = Math.max(sorted[0], first - reach);
  const high = Math.min(sorted.at(-1), third + reach);
  return {
    low,
    high,
    isBelow: valued.some((t) => t.value < low),
    isAbove: valued.some((t) => t.value > high),
  };
}

/** Colours from the smallest to the largest value; good ones are bright. */
const valueColours = (c) => (report.direction === 'minimize' ? [...growing(c)].reverse() : growing(c));

/** The scale and its legend, for a first series of which `dimension` is the value. */
function valueLegend(c, width, dimension) {
  const range = valueRange();
  if (!range) return undefined;
  const { low, high, isBelow, isAbove } = range;
  return {
    type: 'continuous',
    seriesIndex: 0,
    dimension,
    min: low,
    max: high > low ? high : low + 1e-9,
    orient: 'horizontal',
    left: 'center',
    bottom: 0,
    itemHeight: width < 500 ? 90 : 160,
    precision: 4,
    textStyle: { color: c.ink },
    handleStyle: { borderColor: c.quiet },
    text: [`${isAbove ? '≥ ' : ''}${number(high)} ${report.metric}`, `${isBelow ? '≤ ' : ''}${number(low)}`],
    inRange: { color: valueColours(c) },
    outOfRange: { color: c.none },
  };
}

const channels = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16) / 255);

/** What tells of a value whether black or white is read better on its colour. */
function inks(c) {
  const { low, high } = valueRange() || { low: 0, high: 0 };
  const ramp = valueColours(c).map(channels);
  return (value) => {
    const part = high > low ? Math.max(0, Math.min(1, (value - low) / (high - low))) : 0;
    const at = part * (ramp.length - 1);
    const [from, to] = [ramp[Math.floor(at)], ramp[Math.ceil(at)]];
    const [r, g, b] = from
      .map((v, i) => v + (to[i] - v) * (at - Math.floor(at)))
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? '#000000' : '#ffffff';
  };
}
