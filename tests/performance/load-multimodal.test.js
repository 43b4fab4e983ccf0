// POST /embed/multimodal: texts, and pictures that each have other bytes.
import exec from 'k6/execution';
import http from 'k6/http';
import { post, profile, summary, upload } from './profiles.js';

const PATH = '/embed/multimodal';
const PICTURE = open('../data/media/chelsea.jpg', 'b');
const EVERY = 5;

export const options = profile({ 'multimodal text': 200, 'multimodal image': 200 }, 1);
export const handleSummary = summary;

// Bytes after the end of a JPEG change its hash, not what it shows: no cache helps.
function picture(number) {
  const bytes = new Uint8Array(PICTURE.byteLength + 4);
  bytes.set(new Uint8Array(PICTURE));
  new DataView(bytes.buffer).setUint32(PICTURE.byteLength, number);
  return http.file(bytes.buffer, 'chelsea.jpg', 'image/jpeg');
}

function right(modality) {
  return (a) => a.json('modality') === modality && a.json('embedding').length === a.json('dimensions');
}

function embed(number, route) {
  if (number % EVERY === 0) {
    const fields = { file: picture(number), modality: 'IMAGE' };
    upload(PATH, fields, right('IMAGE'), route || 'multimodal image');
  } else {
    const body = { text: `a photo of a cat, number ${number}`, modality: 'TEXT' };
    post(PATH, body, right('TEXT'), route || 'multimodal text');
  }
}

export function setup() {
  embed(0, 'setup');
  embed(1, 'setup');
}

export default function use() {
  embed(10 + exec.scenario.iterationInTest);
}
