// Texts, pictures and recordings, each with other bytes, so that no cache helps. A minute
// brings 240 requests of 60 clients and more: the limit of one client is not met.
import http from 'k6/http';
import { ask, counted, profile, summary } from './profiles.js';

const ROUTE = 'POST /embed/multimodal';
const PICTURE = open('../data/media/chelsea.jpg', 'b');
const RECORDING = open('../data/media/amiable.flac', 'b');
const RECORDING_EVERY = 10;

export const requests = 5.1;
export const options = profile({
  [`${ROUTE} text`]: 200,
  [`${ROUTE} image`]: 200,
  [`${ROUTE} audio`]: 200,
  'POST /memory/media': 250,
}, requests);
export const handleSummary = summary;

// Bytes after the end of a file change its hash, not what it shows or says.
function other(content, number) {
  const bytes = new Uint8Array(content.byteLength + 8);
  bytes.set(new Uint8Array(content));
  const view = new DataView(bytes.buffer, content.byteLength);
  view.setUint32(0, number);
  view.setUint32(4, Date.now() % 2 ** 32);
  return bytes.buffer;
}

function picture(number) {
  return http.file(other(PICTURE, number), 'chelsea.jpg', 'image/jpeg');
}

function embed(modality, body, more) {
  const right = (a) => a.json('modality') === modality
    && a.json('embedding').length === a.json('dimensions');
  const part = modality.toLowerCase();
  ask(ROUTE, { body: { ...body, modality }, part, holds: right, ...more });
}

function listen(number, more) {
  const file = http.file(other(RECORDING, number), 'amiable.flac', 'audio/flac');
  embed('AUDIO', { file }, { upload: true, ...more });
}

export function setup() {
  const quiet = true; // the models load
  embed('TEXT', { text: 'warm' }, { quiet });
  embed('IMAGE', { file: picture(0) }, { upload: true, quiet });
  listen(0, { quiet });
}

export default function use(data, number = counted()) {
  for (const word of ['a photo of', 'a drawing of', 'a story about']) {
    embed('TEXT', { text: `${word} a cat, number ${number}` });
  }
  embed('IMAGE', { file: picture(number) }, { upload: true });
  ask('POST /memory/media', {
    body: {
      file: picture(number + 1), modality: 'IMAGE', item: '{"namespace": "load-media"}',
    },
    upload: true,
    holds: (a) => a.json('modality') === 'IMAGE',
  });
  if (number % RECORDING_EVERY === 0) listen(number);
}
