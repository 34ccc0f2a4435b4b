const shown = 8;
const $ = id => document.getElementById(id);
let maxUploadBytes = Infinity;
let request = null;   // the AbortController of the newest request
let current = null;   // the image on show, a Blob

function problem(title, detail) {
  $('problem').replaceChildren(Object.assign(document.createElement('b'), { textContent: title }), detail ?? '');
  $('problem').hidden = false;
}

/* ---- the model ---- */

async function waitForModel() {
  for (;;) {
    const health = await fetch('health').then(r => r.json()).catch(() => null);
    if (health?.status === 'ready') {
      maxUploadBytes = health.maxUploadBytes;
      $('image').classList.toggle('turned', health.applyExifOrientation);
      $('model').textContent = `${health.model}, ${health.classes} classes`;
      $('limit').textContent = `PNG, JPEG, WebP, GIF or BMP, at most ${Math.round(maxUploadBytes / 1048576)} MB`;
      $('training').hidden = true;
      return;
    }
    const training = typeof health?.progress === 'number';
    $('model').textContent = !health ? 'The server does not answer. Trying again…' : training ? 'A small model is being made, once; this takes half a minute.' : 'The model is being loaded…';
    $('training').hidden = !training;
    if (training) $('training').value = health.progress;
    await new Promise(resolve => setTimeout(resolve, 500));
  }
}

async function showExamples() {
  const names = await fetch('examples').then(r => r.json());
  $('examples').querySelector('ul').replaceChildren(...names.map(name => {
    const button = document.createElement('button');
    const title = name.replace(/\.\w+$/, '').replaceAll('_', ' ');
    const image = Object.assign(document.createElement('img'), { src: `examples/${name}`, alt: `Example ${title}` });
    button.type = 'button';
    button.append(image);
    button.onclick = async () => classify(await fetch(image.src).then(r => r.blob()));
    const item = document.createElement('li');
    item.append(button);
    return item;
  }));
  $('examples').hidden = names.length === 0;
}

/* ---- an image ---- */

async function ask(query) {
  request?.abort();
  const mine = request = new AbortController();
  try {
    const response = await fetch(`predict?${new URLSearchParams(query)}`, { method: 'POST', body: current, signal: mine.signal });
    const answer = await response.json();
    if (response.ok) return answer;
    problem(answer.title, answer.detail);
  } catch (e) {
    if (e.name !== 'AbortError') problem('The server does not answer', 'Is it running? Then try again.');
  }
  return null;
}

async function classify(image) {
  $('problem').hidden = true;
  if (image.size > maxUploadBytes) {
    problem(
      'The file is too large',
      `It has ${(image.size / 1048576).toFixed(1)} MB; at most ${Math.round(maxUploadBytes / 1048576)} MB are accepted. ` +
        'Make the image smaller.',
    );
    return;
  }
  current = image;
  $('result').classList.add('waiting');
  const answer = await ask({ heatMap: true });
  if (current !== image) return;   // another was chosen meanwhile
  $('result').classList.remove('waiting');
  if (!answer) {
    $('result').hidden = true;
    return;
  }
  URL.revokeObjectURL($('image').src);
  $('image').src = URL.createObjectURL(image);
  $('answer').textContent = answer.class;
  $('bars').replaceChildren(...answer.classes.map((c, index) => bar(c, index >= shown)));
  $('more').hidden = answer.classes.length <= shown;
  $('more').textContent = `Show ${answer.classes.length - shown} more`;
  showMap(answer.heatMap);
  $('result').hidden = false;
  $('result').scrollIntoView({ block: 'nearest', behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth' });
}

function bar({ name, probability }, hidden) {
  const percent = probability < 0.0005 ? '< 0.1 %' : `${(100 * probability).toFixed(1)} %`;
  const part = (className, text) => Object.assign(document.createElement('span'), { className, textContent: text ?? '' });
  const fill = part('fill');
  fill.style.width = `${100 * probability}%`;
  const track = part('track');
  track.append(fill);
  const button = Object.assign(document.createElement('button'), { type: 'button' });
  button.append(part('name', name), part('share', percent), track);
  button.dataset.name = name;
  button.onclick = async () => {
    if ($('result').classList.contains('waiting')) return;   // asking would abort the classification of the new image
    const answer = await ask({ heatMap: true, heatMapClass: name });
    if (answer) showMap(answer.heatMap);
  };
  const item = document.createElement('li');
  item.hidden = hidden;
  item.append(button);
  return item;
}

function showMap(map) {
  $('map-switch').hidden = $('hint').hidden = !map;
  $('map').hidden = !map || !$('show-map').checked;
  if (!map) return;
  $('map').src = map.image;
  $('map').alt = `Heat map: parts of the image that speak for ${map.class}`;
  $('map-class').textContent = map.class;
  for (const button of $('bars').querySelectorAll('button')) button.setAttribute('aria-pressed', button.dataset.name === map.class);
}

/* ---- ways to give an image ---- */

$('file').onchange = event => {
  if (event.target.files[0]) classify(event.target.files[0]);
  event.target.value = '';   // so that the same file can be chosen again
};
$('show-map').onchange = event => { $('map').hidden = !event.target.checked; };
$('more').onclick = () => {
  for (const item of $('bars').children) item.hidden = false;
  $('more').hidden = true;
};
document.addEventListener('paste', event => {
  const file = [...(event.clipboardData?.files ?? [])].find(f => f.type.startsWith('image/'));
  if (file) classify(file);
});
// The whole page takes drops: one beside the box must not make the browser leave for the image.
for (const type of ['dragenter', 'dragover', 'dragleave', 'drop']) {
  document.addEventListener(type, event => {
    event.preventDefault();
    $('drop').classList.toggle('over', type === 'dragenter' || type === 'dragover');
    if (type === 'drop' && event.dataTransfer.files[0]) classify(event.dataTransfer.files[0]);
  });
}

await waitForModel();
await showExamples();
