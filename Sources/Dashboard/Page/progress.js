// Overall progress: the state as a sentence, the share that is done, the banner.

// What else wants each picture.
const eachPicture = [];

const running = (state) => ['enumerating', 'draining', 'verifying'].includes(state);

// Old records by the census, which until the enumeration is through is the best total there is.
function oldByCensus(picture) {
  const target = picture.progress.target_key;
  return picture.census.filter((group) => group.key_id !== target).reduce((sum, group) => sum + group.records, 0);
}

// The share that is done, or NaN where nobody can tell: see "Percentage" in docs/redis-keys.md.
function share(picture) {
  const p = picture.progress;
  if (p.state === 'complete') return 1;
  if (p.enumeration_done === '1') {
    return number(p.records_total) > 0 ? number(p.records_done) / number(p.records_total) : NaN;
  }
  const old = oldByCensus(picture);
  return p.sweep === '1' && old > 0 ? Math.min(1, number(p.records_done) / old) : NaN;
}

function banner(picture) {
  const p = picture.progress;
  if (!has(p.job)) return ['No job on this queue. Start one with: reencrypt-secrets coordinator', ''];
  if (p.state === 'complete') {
    return ['Complete: a census found no record that is not under ' + p.target_key +
      '. Next: reencrypt-secrets verify, which proves it from the database alone.', 'good'];
  }
  if (p.state === 'incomplete') {
    return ['Incomplete: ' + (number(p.failures_total) > 0 ? grouped(p.failures_total) + ' records failed, listed below with their reasons. '
      : 'old records remain. ') + 'Nothing is lost; mend what is named and start a coordinator again.', 'bad'];
  }
  if (p.state === 'cancelled') return ['Cancelled. What was re-encrypted stays so; a coordinator begins a new job.', 'warn'];
  if (p.paused === '1') return ['Paused: workers finish what they have in hand and take nothing more.', 'warn'];
  if (has(p.throttled)) return ['Throttled: ' + p.throttled, 'warn'];
  if (running(p.state) && picture.time - number(p.updated_at) > 60000 && p.state !== 'verifying') {
    return ['Nobody has led this job for ' + duration((picture.time - number(p.updated_at)) / 1000) +
      '. Start one: reencrypt-secrets coordinator', 'bad'];
  }
  if (picture.workers.length === 0 && number(p.batches_pending) > 0) {
    return ['No worker has given a sign of life within the last minute. Start one: reencrypt-secrets worker', 'bad'];
  }
  return ['', ''];
}

const stateClass = { complete: 'good', incomplete: 'bad', cancelled: 'warn' };

function showProgress(picture) {
  const p = picture.progress;
  setText('queue', picture.queue);
  const state = byId('state');
  state.textContent = (p.state || 'no job') + (p.paused === '1' && running(p.state) ? ', paused' : '');
  state.className = 'pill ' + (p.paused === '1' && running(p.state) ? 'warn' : stateClass[p.state] || '');
  const [text, tone] = banner(picture);
  setText('banner', text);
  byId('banner').className = 'banner ' + tone;
  byId('banner').hidden = text === '';

  const part = share(picture);
  setText('percent', Number.isNaN(part) ? unknown : percent(part));
  const total = p.enumeration_done === '1' ? p.records_total : '';
  setText('percent-of', has(p.records_done) ? grouped(p.records_done) + ' records done' +
    (has(total) ? ' of ' + grouped(total) : ', ' + grouped(p.records_total) + ' handed out so far') : '');
  const line = byId('bar');
  line.firstElementChild.style.width = Number.isNaN(part) ? '0' : (100 * part).toFixed(2) + '%';
  line.className = 'bar' + (p.state === 'complete' ? ' good' : '');
  if (Number.isNaN(part)) line.removeAttribute('aria-valuenow');
  else line.setAttribute('aria-valuenow', String(Math.floor(100 * part)));
  line.setAttribute('aria-valuetext', Number.isNaN(part) ? 'unknown' : percent(part));
  document.title = (Number.isNaN(part) ? '' : percent(part) + ' ') + (p.state || 'no job') + ' · reencrypt-secrets';

  const ends = has(p.finished_at) ? number(p.finished_at) : picture.time;
  const facts = [
    ['Rate', rate(p.records_per_second)],
    ['Time left', running(p.state) ? duration(p.eta_seconds) : unknown],
    ['Took so far', has(p.started_at) ? duration((ends - number(p.started_at)) / 1000) : unknown],
    ['Target key', p.target_key || unknown],
    ['Mode', p.mode || unknown],
    ['Sweep', has(p.sweep) ? p.sweep : unknown],
    ['Rewrapped', grouped(p.records_rewrapped)],
    ['Superseded', grouped(p.records_superseded)],
    ['Failed', grouped(p.records_failed)],
    ['Started', moment(p.started_at)],
    ['Job', p.job || unknown],
  ];
  byId('facts').replaceChildren(...facts.map(([name, value]) =>
    element('div', {}, element('dt', {}, name), element('dd', {}, value))));
}

function showBatches(p) {
  const tiles = [['Pending', p.batches_pending], ['In hand', p.batches_leased], ['Delayed', p.batches_delayed],
    ['Dead', p.batches_dead, number(p.batches_dead) > 0], ['Done', p.batches_done]];
  byId('batches').replaceChildren(...tiles.map(([name, value, bad]) =>
    element('div', bad ? { class: 'bad' } : {}, element('dt', {}, name), element('dd', {}, grouped(value)))));
}
