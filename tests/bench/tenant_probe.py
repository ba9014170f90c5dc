"""A tenant that works and takes the time of each request, for the benchmarks that look at it beside others.

Its file has its token, tenant, app, the path of the command `cloister` and its source, a line each.
"""
import http.client
import itertools
import json
import os
import subprocess
import threading
import time


class Probe:
    """Another tenant: requests to its app each 20 ms, exec, reads of the API, deploys."""

    def __init__(self, file, edge, server):
        self.token, self.tenant, self.app, self.command, self.source = open(file).read().split("\n")[:5]
        self.edge, self.server = edge, server
        self.stop, self.failures, self.served, self.read = threading.Event(), [], [], []

    def ask(self, where, host, path, times, headers=None):
        start = time.monotonic()
        try:
            connection = http.client.HTTPConnection(*where, timeout=20)
            connection.request("GET", path, headers={"Host": host, **(headers or {})})
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                self.failures.append(f"GET {path}: {answer.status} {body[:200]!r}")
            elif headers:
                json.loads(body.decode("utf-8"))
            connection.close()
        except (OSError, ValueError, http.client.HTTPException) as error:
            self.failures.append(f"GET {path}: {error!r}")
        times.append(time.monotonic() - start)

    def loop(self, pause, act):
        while not self.stop.wait(pause):
            act()

    def run_command(self, *words):
        environment = {**os.environ, "CLOISTER_TOKEN": self.token, "CLOISTER_SERVER": "http://%s:%d" % self.server}
        done = subprocess.run([self.command, *words], capture_output=True, stdin=subprocess.DEVNULL, timeout=240, env=environment, check=False)
        if done.returncode != 0:
            self.failures.append(f"{words}: {done.returncode} {done.stderr[-300:]!r}")
        return done.stdout

    def exec(self):
        if self.run_command("exec", self.app, "--no-tty", "--", "echo", "here") != b"here\n":
            self.failures.append("exec: other output")

    def work(self, seconds=None, until=None):
        """Works for that long; returns (p50, p99) of the edge and of the API in ms, and how many of each."""
        self.stop.clear()
        self.served, self.read = [], []
        bearer = {"Authorization": "Bearer " + self.token}
        host = f"{self.app}.{self.tenant}.localhost"
        api = [f"/v1/apps/{self.app}", "/v1/apps", "/v1/events?limit=20", f"/v1/apps/{self.app}/instances", "/v1/operations?limit=20"]
        turn = itertools.count()
        loops = [(0.02, lambda: self.ask(self.edge, host, "/", self.served)),
                 (0.05, lambda: self.ask(self.server, "api", api[next(turn) % len(api)], self.read, bearer)),
                 (2, self.exec), (15, lambda: self.run_command("deploy", self.source, "--app", self.app))]
        threads = [threading.Thread(target=self.loop, args=each) for each in loops]
        for thread in threads:
            thread.start()
        try:
            if until:
                until()
            else:
                time.sleep(seconds)
        finally:
            self.stop.set()
            for thread in threads:
                thread.join()
        return [(percentile(t, 0.5), percentile(t, 0.99), len(t)) for t in (self.served, self.read)]


def yield_to_others():
    """Of the processes that play strangers: those are other machines in earnest, and take no processor from who is measured."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def percentile(times, part):
    times = sorted(times)
    return 1000 * times[min(len(times) - 1, int(part * len(times)))] if times else float("nan")


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def report(quiet, beside):
    """A line of times before and during for the edge and the API."""
    print(f"{'the probe, ms':<24}{'quiet p50':>10}{'p99':>8}{'beside p50':>12}{'p99':>8}{'ratio of p99':>14}")
    for name, before, during in zip(("its app, by the edge", "its API"), quiet, beside):
        print(f"{name:<24}{before[0]:>10.2f}{before[1]:>8.2f}{during[0]:>12.2f}{during[1]:>8.2f}{during[1] / before[1]:>14.2f}")
