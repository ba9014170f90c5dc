'use strict';

const express = require('express');
const os = require('os');
const path = require('path');
const { Worker } = require('worker_threads');

const app = express();
app.disable('x-powered-by');

let ready = true;

app.get('/', (request, response) => {
  response.json({
    message: 'hello from node-web',
    greeting: process.env.GREETING || null,
    release: process.env.CLOISTER_RELEASE || null,
    host: os.hostname(),
    uid: process.getuid(),
    node: process.version,
  });
});

app.get('/healthz', (request, response) => {
  response.status(ready ? 200 : 503).type('text/plain').send(ready ? 'ok\n' : 'stopping\n');
});

// The names only: values may be secrets.
app.get('/env', (request, response) => {
  response.json({ port: process.env.PORT, names: Object.keys(process.env).sort() });
});

function burn(seconds) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(path.join(__dirname, 'burn.js'), { workerData: { seconds } });
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

function within(value, least, most) {
  return Number.isFinite(value) && value >= least && value <= most;
}

// Keeps cores busy and says what the kernel charged this process for it, by getrusage(2): to compare with the meter.
app.get('/burn', async (request, response, next) => {
  const seconds = Number(request.query.seconds || 1);
  const threads = Number(request.query.threads || 1);
  if (!within(seconds, 0.001, 60) || !within(threads, 1, 8)) {
    response.status(422).json({ error: 'seconds must be 0.001 to 60, and threads 1 to 8' });
    return;
  }
  try {
    const before = process.cpuUsage();
    const started = process.hrtime.bigint();
    const rounds = await Promise.all(Array.from({ length: Math.floor(threads) }, () => burn(seconds)));
    const used = process.cpuUsage(before);
    const total = process.cpuUsage();
    response.json({
      rounds: rounds.reduce((sum, count) => sum + count, 0),
      wallSeconds: Number(process.hrtime.bigint() - started) / 1e9,
      cpuSeconds: (used.user + used.system) / 1e6,
      processCpuSeconds: (total.user + total.system) / 1e6,
    });
  } catch (error) {
    next(error);
  }
});

const server = app.listen(Number(process.env.PORT), () => {
  console.log(`listening on ${process.env.PORT}`);
});

// The edge has stopped sending before SIGTERM comes; requests in flight are answered.
process.on('SIGTERM', () => {
  ready = false;
  console.log('stopping');
  server.close(() => process.exit(0));
  setTimeout(() => process.exit(0), 5000).unref();
});
