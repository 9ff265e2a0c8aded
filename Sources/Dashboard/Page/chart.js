// Records a second since the start, from the ring of samples; a gap where the rate was unknown.
const svgName = 'http://www.w3.org/2000/svg';

function shape(name, attributes, text) {
  const made = document.createElementNS(svgName, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// The next of 1, 2, 5, 10, … at or above a value.
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, value)));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value);
}

// samples: [ms, records done, records a second or null], oldest first.
function showChart(samples) {
  const known = samples.filter((s) => s[2] !== null);
  if (known.length < 2) return byId('chart').replaceChildren(empty('A chart needs a few seconds of work.'));
  const width = 1000, height = 150, left = 0, bottom = 2, top = 4;
  const from = samples[0][0], to = samples[samples.length - 1][0];
  const most = roundUp(Math.max(...known.map((s) => s[2])));
  const x = (ms) => left + ((ms - from) / Math.max(1, to - from)) * (width - left);
  const y = (value) => height - bottom - (value / most) * (height - bottom - top);
  const peak = Math.max(...known.map((s) => s[2]));
  const mean = known.reduce((sum, s) => sum + s[2], 0) / known.length;
  const svg = shape('svg', { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none', role: 'img',
    'aria-label': `${grouped(known[known.length - 1][2])} records a second at last, at most ${grouped(peak)}, ${grouped(mean)} on average over ${duration((to - from) / 1000)}` });
  for (const part of [0, 0.5, 1]) {
    svg.append(shape('line', { class: 'grid', x1: left, x2: width, y1: y(part * most), y2: y(part * most) }));
  }
  let line = '';
  for (const sample of samples) {
    if (sample[2] === null) { line += ' '; continue; }
    line += (line === '' || line.endsWith(' ') ? 'M' : 'L') + x(sample[0]).toFixed(1) + ',' + y(sample[2]).toFixed(1);
  }
  const first = x(known[0][0]).toFixed(1), last = x(known[known.length - 1][0]).toFixed(1);
  const outline = known.map((s) => x(s[0]).toFixed(1) + ',' + y(s[2]).toFixed(1)).join(' ');
  svg.append(shape('polygon', { class: 'area', points: `${first},${y(0)} ${outline} ${last},${y(0)}` }));
  svg.append(shape('path', { class: 'line', d: line }));
  const labels = element('div', { class: 'labels', 'aria-hidden': 'true' });
  for (const part of [1, 0.5, 0]) {
    labels.append(element('span', {}, grouped(part * most)));
  }
  byId('chart').replaceChildren(labels, svg,
    element('p', { class: 'range', 'aria-hidden': 'true' }, element('span', {}, clock(from)), element('span', {}, clock(to) + ' UTC')));
}
