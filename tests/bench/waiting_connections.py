#!/usr/bin/env python3
"""Connections of one source that ask nothing or ask slowly, to the API and the edge, while a tenant works from another source.

  waiting_connections.py --server HOST:PORT --edge HOST:PORT --probe FILE [--idle N] [--slow N] [--rounds N] [--seconds N]

Each server gets N connections that send nothing and N that send a head or a body of a byte a second. Rounds take turns: without
them, with them, and with them coming again, what is closed being opened a second later. Prints a report; exits with 1 when a
request of the probe was refused or its p99 reached a second.
"""
import argparse
import multiprocessing
import select
import socket
import sys
import time

from tenant_probe import Probe, address, percentile, report, yield_to_others

SOURCE = "127.0.0.2"
SLOW = [b"GET / HTTP/1.1\r\nHost: idle.probe.localhost\r\nX-Slow: " + b"a" * 4000,
        b"POST / HTTP/1.1\r\nHost: idle.probe.localhost\r\nContent-Length: 4000\r\n\r\n" + b"a" * 4000]
BODY_FROM = SLOW[1].index(b"\r\n\r\n") + 4  # what comes before it is sent at once


class Waiting:
    """One connection; `text` is what it sends, a byte a second."""

    def __init__(self, server, text):
        self.server, self.text, self.sent, self.socket, self.opened = server, text, 0, None, False

    def open(self, poll, by_descriptor):
        made = socket.socket()
        made.setblocking(False)
        made.bind((SOURCE, 0))
        made.connect_ex(self.server)
        self.socket, self.sent, self.opened = made, 0, True
        poll.register(made, select.POLLIN | select.POLLHUP)
        by_descriptor[made.fileno()] = self

    def close(self, poll, by_descriptor):
        poll.unregister(self.socket)
        del by_descriptor[self.socket.fileno()]
        self.socket.close()
        self.socket = None

    def go_on(self):
        size = BODY_FROM if self.text is SLOW[1] and self.sent == 0 else 1
        try:
            self.sent += self.socket.send(self.text[self.sent:self.sent + size])
        except OSError:
            pass  # the poll tells of its end


def hold(servers, idle, slow, again, begin, end, results):
    """Until `end`; puts (opened, open at the end) by server."""
    yield_to_others()
    begin.wait()
    poll, by_descriptor = select.poll(), {}
    all_of = [Waiting(s, None) for s in servers for _ in range(idle)] + [Waiting(s, SLOW[i % 2]) for s in servers for i in range(slow)]
    opened = dict.fromkeys(servers, 0)
    while not end.is_set():
        tick = time.monotonic() + 1
        for one in all_of:
            if one.socket is None and (again or not one.opened):
                one.open(poll, by_descriptor)
                opened[one.server] += 1
            elif one.socket and one.text:
                one.go_on()
        while (left := tick - time.monotonic()) > 0 and not end.is_set():
            for descriptor, _ in poll.poll(min(left, 0.2) * 1000):
                one = by_descriptor[descriptor]
                try:
                    ended = not one.socket.recv(65536)
                except BlockingIOError:
                    continue
                except OSError:
                    ended = True
                if ended:
                    one.close(poll, by_descriptor)
    results.put({s: (opened[s], sum(o.socket is not None for o in all_of if o.server == s)) for s in servers})


class Held:
    """The connections, in a process of their own that yields to those measured."""

    def __init__(self, servers, idle, slow, again):
        self.begin, self.end, self.results = multiprocessing.Event(), multiprocessing.Event(), multiprocessing.SimpleQueue()
        self.process = multiprocessing.Process(target=hold, args=(servers, idle, slow, again, self.begin, self.end, self.results), daemon=True)
        self.process.start()

    def stop(self):
        self.end.set()
        self.process.join(20)
        return self.results.get()


def main():
    parser = argparse.ArgumentParser()
    for name in ("server", "edge", "probe"):
        parser.add_argument("--" + name, required=True)
    for name, value in (("idle", 600), ("slow", 600), ("rounds", 4), ("seconds", 12)):
        parser.add_argument("--" + name, type=int, default=value)
    arguments = parser.parse_args()
    server, edge = address(arguments.server), address(arguments.edge)
    probe = Probe(arguments.probe, edge, server)
    kinds = {"alone": None, "held": False, "coming again": True}
    times = {kind: ([], []) for kind in kinds}
    ends = {kind: [] for kind in kinds}
    print(f"{arguments.idle} idle and {arguments.slow} slow connections to each of two servers, {arguments.rounds} rounds of {arguments.seconds} s")
    for _ in range(arguments.rounds):
        for kind, again in kinds.items():
            held = Held([server, edge], arguments.idle, arguments.slow, again) if again is not None else None
            if held:
                held.begin.set()
                time.sleep(2)  # until all are there
            probe.work(seconds=arguments.seconds)
            times[kind][0].extend(probe.served)
            times[kind][1].extend(probe.read)
            if held:
                ends[kind].append(held.stop())
    quiet, *others = ([(percentile(t, 0.5), percentile(t, 0.99), len(t)) for t in times[kind]] for kind in kinds)
    for kind, beside in zip(("held", "coming again"), others):
        print(f"beside those {kind}")
        report(quiet, beside)
        for name, which in (("API", server), ("edge", edge)):
            print(f"{name}: opened a round " + ", ".join(str(e[which][0]) for e in ends[kind]) + "; open at the end " + ", ".join(str(e[which][1]) for e in ends[kind]))
    for failure in probe.failures[:20]:
        print("refused to the probe: " + failure)
    print(f"{len(probe.failures)} refused to the probe")
    return 1 if probe.failures or any(p99 >= 1000 for beside in others for _, p99, _ in beside) else 0


if __name__ == "__main__":
    sys.exit(main())
