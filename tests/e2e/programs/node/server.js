'use strict';
// A worker thread, a child process, a name, and the interfaces that development servers print when they start.
const { execFileSync } = require('child_process');
const dns = require('dns').promises;
const http = require('http');
const os = require('os');
const { Worker } = require('worker_threads');

const inWorker = () =>
  new Promise((resolve, reject) => {
    const worker = new Worker("require('worker_threads').parentPort.postMessage('of a worker')", { eval: true });
    worker.once('message', resolve);
    worker.once('error', reject);
  });

async function answer() {
  const { address } = await dns.lookup('localhost', 4);
  return [
    `thread ${await inWorker()}`,
    `child ${execFileSync('echo', ['of node']).toString().trim()}`,
    `localhost ${address}`,
    `interfaces ${Object.keys(os.networkInterfaces()).sort().join(' ')}`,
    '',
  ].join('\n');
}

http
  .createServer((request, response) => {
    answer().then(
      (body) => response.end(body),
      (error) => {
        response.statusCode = 500;
        response.end(String(error));
      },
    );
  })
  .listen(process.env.PORT, '0.0.0.0');
