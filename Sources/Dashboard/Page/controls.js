// Pause, resume, cancel. This part and its elements are in the page only where the server allows control.

const orders = {
  pause: ['Pause the job?', 'Workers finish what they have in hand and take nothing more until it is resumed.', 'Pause'],
  resume: ['Resume the job?', 'Workers take ranges again.', 'Resume'],
  cancel: ['Cancel the job?', 'It ends as it stands: what was re-encrypted stays so, the rest stays under the old key. A coordinator can begin a new job.', 'Cancel the job'],
};

function showControls(progress) {
  byId('controls').hidden = !running(progress.state);
  for (const button of byId('controls').querySelectorAll('button')) {
    const order = button.dataset.order;
    button.hidden = (order === 'pause' && progress.paused === '1') || (order === 'resume' && progress.paused !== '1');
  }
}

async function give(order) {
  const answer = await fetch('control/' + order, { method: 'POST', headers: { Authorization: 'Bearer ' + byId('token').value } });
  if (answer.ok) return byId('confirm').close();
  setText('confirm-error', answer.status === 401 ? 'This token is not the dashboard’s.' : await answer.text());
}

function ask(order) {
  const [title, text, yes] = orders[order];
  setText('confirm-title', title);
  setText('confirm-text', text);
  setText('confirm-error', '');
  const button = byId('confirm-yes');
  button.textContent = yes;
  button.className = order === 'cancel' ? 'danger' : '';
  button.onclick = () => give(order).catch(() => setText('confirm-error', 'The dashboard does not answer.'));
  byId('confirm').showModal();
}

for (const button of byId('controls').querySelectorAll('button')) button.onclick = () => ask(button.dataset.order);
eachPicture.push((picture) => showControls(picture.progress));
