// What stands below the progress: keys, tables, workers, failures, finished jobs, events.

function showCensus(picture) {
  const target = picture.progress.target_key;
  const sums = new Map();
  for (const group of picture.census) sums.set(group.key_id, (sums.get(group.key_id) || 0) + group.records);
  const all = [...sums.values()].reduce((a, b) => a + b, 0);
  // The target first, then the others by size; what no key can be read of comes last.
  const keys = [...sums.keys()].sort((a, b) =>
    (b === target) - (a === target) || (a === null) - (b === null) || sums.get(b) - sums.get(a));
  let other = 0;
  const parts = keys.map((key) => {
    const kind = key === null ? 'key-none' : key === target ? 'key-0' : 'key-' + (1 + (other++ % 4));
    return [key === null ? 'unreadable' : key, kind, sums.get(key)];
  });
  byId('census').replaceChildren(...parts.map(([, kind, records]) => {
    const part = element('span', { class: kind });
    part.style.flexGrow = String(records);
    return part;
  }));
  byId('census').setAttribute('aria-hidden', 'true');
  byId('census-legend').replaceChildren(...parts.map(([key, kind, records]) =>
    element('li', {}, element('i', { class: kind, 'aria-hidden': 'true' }),
      key + ': ' + grouped(records) + (all > 0 ? ' (' + percent(records / all) + ')' : '')
      + (key === target ? ', the target' : ''))));
  setText('census-note', all === 0 ? 'no census yet' : has(picture.progress.finished_at) ? 'by the census at the end'
    : 'by the last census: at the start, and at each sweep’s end');
}

function showTables(picture) {
  if (picture.tables.length === 0) return byId('tables').replaceChildren(empty('No table yet.'));
  const old = new Map();
  for (const group of picture.census) {
    if (group.key_id !== picture.progress.target_key) old.set(group.table, (old.get(group.table) || 0) + group.records);
  }
  const enumerated = picture.progress.enumeration_done === '1';
  const rows = picture.tables.map((t) => {
    const total = enumerated || picture.progress.sweep !== '1' ? number(t.records_total)
      : Math.max(old.get(t.name) || 0, number(t.records_total));
    const part = total > 0 ? Math.min(1, number(t.records_done) / total) : picture.progress.state === 'complete' ? 1 : 0;
    return [t.name, bar(part, t.name, part === 1), percent(part), grouped(t.records_done), grouped(total),
      grouped(t.records_superseded), grouped(t.records_failed),
      grouped(t.batches_pending) + ' / ' + grouped(t.batches_leased) + ' / ' + grouped(t.batches_delayed) + ' / ' + grouped(t.batches_dead)];
  });
  byId('tables').replaceChildren(table('Tables', [['Table'], ['Progress'], ['Share', true], ['Done', true], ['Records', true],
    ['Superseded', true], ['Failed', true], ['Pending / in hand / delayed / dead', true]], rows));
}

function showWorkers(picture) {
  setText('workers-note', picture.workers.length > 0 ? String(picture.workers.length) : '');
  const rows = picture.workers.map((w) => [w.id, rate(w.records_per_second), grouped(w.records_done), w.lanes || unknown,
    duration((picture.time - w.last_heartbeat) / 1000) + ' ago', w.version || unknown]);
  byId('workers').replaceChildren(rows.length === 0 ? empty('No sign of life within the last minute.')
    : table('Workers', [['Worker'], ['Rate', true], ['Records', true], ['Lanes', true], ['Heartbeat', true], ['Version']], rows));
}

function showFailures(found, progress) {
  const total = number(progress.failures_total) || 0;
  setText('failures-note', total > 0 ? grouped(total) : '');
  byId('failures-search').hidden = total === 0;
  if (total === 0) return byId('failures').replaceChildren(empty('None.'));
  const rows = found.failures.map((f) => [f.table, Array.isArray(f.id) ? f.id.join(', ') : f.id, f.column, f.key_id || unknown,
    f.reason, clock(f.at)]);
  const note = found.matching > rows.length ? 'The first ' + grouped(rows.length) + ' of ' + grouped(found.matching) + ' found.'
    : grouped(found.matching) + ' found.';
  byId('failures').replaceChildren(element('p', { class: 'empty', role: 'status' }, note),
    table('Failed records', [['Table'], ['Id'], ['Column'], ['Key'], ['Reason'], ['At (UTC)']], rows));
}

function showHistory(reports) {
  if (reports.length === 0) return byId('history').replaceChildren(empty('None yet.'));
  byId('history').replaceChildren(...reports.map((report) => {
    const said = report.outcome || report.state || 'finished';
    const head = element('summary', {}, said + (has(report.finished_at) ? ' · ' + moment(Date.parse(report.finished_at) || report.finished_at) : ''));
    return element('details', {}, head, element('pre', { tabindex: '0' }, JSON.stringify(report, null, 2)));
  }));
}

function showEvents(events) {
  const rows = events.map((event) => [clock(event.at), event.kind.replaceAll('_', ' '),
    Object.entries(event.fields).map(([name, value]) => name + ' ' + value).join(', ')]);
  byId('events').replaceChildren(rows.length === 0 ? empty('None yet.')
    : table('Events', [['At (UTC)'], ['Event'], ['What']], rows, false));
}
