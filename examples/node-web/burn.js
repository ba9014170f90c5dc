'use strict';

// Runs in a worker thread, so that the app goes on answering while this one works.
const { parentPort, workerData } = require('worker_threads');

const end = process.hrtime.bigint() + BigInt(Math.round(workerData.seconds * 1e9));
let rounds = 0;
while (process.hrtime.bigint() < end) {
  rounds += 1;
}
parentPort.postMessage(rounds);
