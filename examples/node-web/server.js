'use strict';

const express = require('express');
const os = require('os');

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

// Keeps one core busy and says what the kernel charged for it, by getrusage(2): to compare with the meter.
app.get('/burn', (request, response) => {
  const seconds = Number(request.query.seconds || 1);
  if (!(seconds > 0 && seconds <= 60)) {
    response.status(422).json({ error: 'seconds must be more than 0 and at most 60' });
    return;
  }
  const before = process.cpuUsage();
  const started = process.hrtime.bigint();
  const end = started + BigInt(Math.round(seconds * 1e9));
  let rounds = 0;
  while (process.hrtime.bigint() < end) {
    rounds += 1;
  }
  const used = process.cpuUsage(before);
  const total = process.cpuUsage();
  response.json({
    rounds,
    wallSeconds: Number(process.hrtime.bigint() - started) / 1e9,
    cpuSeconds: (used.user + used.system) / 1e6,
    processCpuSeconds: (total.user + total.system) / 1e6,
  });
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
