// The page follows one stream of server-sent events; each kind brings one thing whole, so nothing has to be merged.
let picture = { queue: '', time: 0, progress: {}, tables: [], census: [], workers: [] };
let failures = { failures: [], matching: 0 };
let samples = [];
let lastWord = Date.now();

// What is shown stays, greyed: it is the last that was known.
function setConnection(kind, text, longer = text) {
  byId('connection').className = 'connection ' + kind;
  setText('connection-text', text);
  document.body.classList.toggle('stale', kind === 'lost');
  if (kind !== 'lost') return;
  setText('banner', longer);
  byId('banner').className = 'banner bad';
  byId('banner').hidden = false;
}

function heard() { lastWord = Date.now(); }

async function loadFailures() {
  const answer = await fetch('failures?search=' + encodeURIComponent(byId('search').value));
  if (!answer.ok) return;
  failures = await answer.json();
  showFailures(failures, picture.progress);
}

function follow() {
  const stream = new EventSource('events');
  stream.addEventListener('picture', (event) => {
    heard();
    const before = picture.progress.failures_total;
    picture = JSON.parse(event.data);
    setConnection('live', 'Live');
    showProgress(picture);
    showBatches(picture.progress);
    showCensus(picture);
    showTables(picture);
    showWorkers(picture);
    for (const show of eachPicture) show(picture);
    if (picture.progress.failures_total !== before) loadFailures();
    if (!has(picture.progress.failures_total)) showFailures({ failures: [], matching: 0 }, picture.progress);
  });
  stream.addEventListener('samples', (event) => { heard(); samples = JSON.parse(event.data); showChart(samples); });
  stream.addEventListener('sample', (event) => {
    heard();
    const sample = JSON.parse(event.data);
    if (samples.length > 0 && sample[0] <= samples[samples.length - 1][0]) return;
    samples.push(sample);
    showChart(samples);
  });
  stream.addEventListener('history', (event) => { heard(); showHistory(JSON.parse(event.data)); });
  stream.addEventListener('log', (event) => { heard(); showEvents(JSON.parse(event.data)); });
  stream.addEventListener('away', (event) => {
    heard();
    const since = JSON.parse(event.data).since;
    setConnection('lost', 'Redis away', 'Redis has been away since ' + clock(since) +
      ' UTC. What is shown is from before; workers and coordinator wait for it and go on by themselves.');
  });
  stream.onerror = () => setConnection('lost', 'Connection lost', 'The dashboard does not answer; trying again.');
  setInterval(() => {
    if (Date.now() - lastWord > 15000) setConnection('lost', 'No news', 'No news for ' + duration((Date.now() - lastWord) / 1000) + '.');
  }, 1000);
}

let typing;
byId('search').addEventListener('input', () => {
  clearTimeout(typing);
  typing = setTimeout(loadFailures, 200);
});
follow();
