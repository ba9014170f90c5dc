#!/usr/bin/env python3
"""Requests of many tenants with bytes of every kind in every field, while another tenant works; how the other fares.

The operations, parameters and members come from the served /openapi.json, so a new one is tried without a change here. Each
request is written to a socket as bytes: a client library would refuse to send most of them. The random numbers follow from
the seed and the worker's number alone.

  hostile_requests.py --server HOST:PORT --edge HOST:PORT --requests N --seed N --tokens FILE --probe FILE --work DIRECTORY

FILE of tokens: a token a line; of the probe: its token, tenant, app and the path of the command `cloister`, a line each.
Prints a report; exits with 1 when a request of the probe was refused or a document was no JSON.
"""
import argparse
import base64
import http.client
import io
import json
import multiprocessing
import os
import random
import socket
import sys
import tarfile
import threading
import time

from tenant_probe import Probe, address, report, yield_to_others

BAD = [b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"\x00", b"\x1b[2J", b"\r\nX: y", b"\xef\xbb\xbf",
       "é".encode("latin-1"), "\U0001f4a9".encode(), b"..", b"/", b"%", b"%00", b"'", b'"', b"\\", b"\\ud800", b"{", b"-1",
       b"99999999999999999999", b"1e400", b"nan", b"\xe2\x80\xae", b"$(id)", b"<script>", b"\x7f", b"\t", b" "]
NAMES = [b"idle", b"web", b"small", b"v1", b"1", b"demo", b"true", b"GREETING", b"in-1", b"op-1", b"in", b""]


class Dice:
    """Random values of every kind; one a worker."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def raw(self, longest=64):
        kind = self.random.randrange(6)
        if kind == 0:
            return self.random.choice(NAMES)
        if kind == 1:
            return self.random.choice(BAD)
        if kind == 2:
            return self.random.randbytes(self.random.randrange(1, longest))
        if kind == 3:
            return self.random.choice(NAMES) + self.random.choice(BAD) + self.random.choice(NAMES)
        if kind == 4:
            return b"a" * self.random.choice([63, 64, 255, 256, 1000, 7000])
        return ("ж" * self.random.randrange(1, 120)).encode() + self.random.choice([b"", b"\xd0"])

    def escaped(self, data):
        """In a path or query: mostly escaped, sometimes as it is."""
        if self.random.random() < 0.1:
            return data.replace(b" ", b"+").replace(b"\r", b"").replace(b"\n", b"")
        return b"".join(bytes([c]) if chr(c).isalnum() and c < 128 else b"%%%02X" % c for c in data)

    def value(self, depth=0):
        """A JSON value as bytes, not always well-formed."""
        kind = self.random.randrange(9)
        if kind < 4:
            return b'"' + self.raw().replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
        if kind == 4:
            return self.random.choice([b"0", b"-1", b"1.5", b"18446744073709551616", b"1e999", b"true", b"null", b'"\\ud800"', b"[]", b"{}"])
        if kind == 5:
            return b"[" * 200 + b"]" * 200
        if kind == 6 and depth < 3:
            return b"{" + b",".join(b'"' + self.raw(8).hex().encode() + b'":' + self.value(depth + 1) for _ in range(3)) + b"}"
        if kind == 7 and depth < 3:
            return b"[" + b",".join(self.value(depth + 1) for _ in range(3)) + b"]"
        return b'"' + base64.b64encode(self.raw()) + b'"'

    def archive(self):
        """A source: a tar of hostile names and manifests, or bytes that are none."""
        if self.random.random() < 0.2:
            return self.random.randbytes(self.random.randrange(2000))
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.PAX_FORMAT, errors="surrogateescape") as tar:
            for name in ["Procfile", "cloister.toml", self.raw(20).decode("utf-8", "surrogateescape").replace("\0", "") or "x"]:
                data = self.random.choice([b"web: sleep 100\n", b"web: " + self.raw(), b'[processes]\nweb = "' + self.raw() + b'"\n', self.raw()])
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                try:
                    tar.addfile(entry, io.BytesIO(data))
                except (ValueError, UnicodeError):
                    pass
        data = out.getvalue()
        return data if self.random.random() < 0.8 else data[:self.random.randrange(len(data))]


class Operations:
    """What the served description names: (method, path, query names, body members or None or "archive")."""

    def __init__(self, document):
        self.document = document
        self.all = []
        for path, entry in document["paths"].items():
            for method, operation in entry.items():
                if method not in ("get", "post", "put", "patch", "delete"):
                    continue
                parameters = [self.resolved(p) for p in entry.get("parameters", []) + operation.get("parameters", [])]
                names = [p["name"] for p in parameters if p["in"] == "query"]
                body = None
                content = operation.get("requestBody", {}).get("content", {})
                if "application/json" in content:
                    body = list(self.resolved(content["application/json"].get("schema", {})).get("properties", {}))
                elif content:
                    body = "archive"
                # Removing the app or revoking the own token would end the trial of this tenant.
                if not (method == "delete" and path in ("/v1/apps/{app}", "/v1/tokens/{token}")):
                    self.all.append((method.upper(), path, names, body))

    def resolved(self, part):
        while "$ref" in part:
            found = self.document
            for step in part["$ref"].lstrip("#/").split("/"):
                found = found[step]
            part = found
        return part


class Attacker(threading.Thread):
    def __init__(self, seed, token, operations, server, count, seen):
        super().__init__()
        self.dice, self.token, self.operations, self.server, self.count, self.seen = Dice(seed), token, operations, server, count, seen

    def request(self):
        dice = self.dice
        method, path, names, body = dice.random.choice(self.operations.all)
        target = b""
        for part in path.split("/")[1:]:
            filler = b"idle" if part == "{app}" and dice.random.random() < 0.5 else dice.raw()
            target += b"/" + (dice.escaped(filler) if part.startswith("{") else part.encode())
        query = [name.encode() + b"=" + dice.escaped(dice.raw()) for name in names if dice.random.random() < 0.4 and name != "wait"]
        if dice.random.random() < 0.1:
            query.append(dice.escaped(dice.raw()) + b"=" + dice.escaped(dice.raw()))
        if query:
            target += b"?" + b"&".join(query)
        head = [method.encode() + b" " + target.replace(b" ", b"%20") + b" HTTP/1.1", b"Host: " + self.server[0].encode(), b"Connection: close",
                b"Authorization: Bearer " + (self.token.encode() if dice.random.random() < 0.95 else dice.raw())]
        if dice.random.random() < 0.3:
            head.append(b"Idempotency-Key: " + dice.raw())
        if dice.random.random() < 0.1:
            head.append(b"If-Match: " + dice.raw())
        data = b""
        if body == "archive":
            data = dice.archive()
            head.append(b"Content-Type: application/gzip")
        elif body is not None:
            data = b"{" + b",".join(b'"' + name.encode() + b'":' + dice.value() for name in body if dice.random.random() < 0.8) + b"}"
            if dice.random.random() < 0.05:
                data = dice.raw(500)
            head.append(b"Content-Type: application/json")
        if data or method != "GET":
            head.append(b"Content-Length: %d" % len(data))
        return b"\r\n".join(head) + b"\r\n\r\n" + data

    def run(self):
        for _ in range(self.count):
            data = self.request()
            try:
                with socket.create_connection(self.server, timeout=30) as connection:
                    # A stream of logs or events would go on: its head is enough.
                    connection.settimeout(1.5)
                    connection.sendall(data)
                    answer = connection.recv(4096)
                status = answer[9:12].decode("ascii", "replace") if answer.startswith(b"HTTP/1.") else "none"
            except TimeoutError:
                status = "silent"
            except OSError:
                status = "closed"
            self.seen[status] = self.seen.get(status, 0) + 1
            if status.startswith("5"):
                with open(os.path.join(self.operations.work, "failures"), "ab") as out:
                    out.write(data + b"\n---> " + answer + b"\n======\n")


class Assault:
    """All attackers, in a process of their own that yields to those measured: what attacks is another machine in earnest."""

    def __init__(self, arguments, operations, server, tokens):
        self.share, self.took, self.seen = arguments.requests // len(tokens), 0, {}
        self.attackers = [(f"{arguments.seed}-{i}", token, operations, server, self.share) for i, token in enumerate(tokens)]
        self.begin, self.results = multiprocessing.Event(), multiprocessing.SimpleQueue()
        self.process = multiprocessing.Process(target=self.attack, daemon=True)
        self.process.start()

    def attack(self):
        yield_to_others()
        self.begin.wait()
        seen, start = {}, time.monotonic()
        waiting, running = [Attacker(*each, seen) for each in self.attackers], []
        # Eight at once: more would measure this program.
        while waiting or running:
            running = [a for a in running if a.is_alive()]
            while waiting and len(running) < 8:
                running.append(waiting.pop())
                running[-1].start()
            time.sleep(0.05)
        self.results.put((seen, time.monotonic() - start))

    def run(self):
        self.begin.set()
        while self.results.empty():
            if not self.process.is_alive():
                raise RuntimeError("the attackers' process has died")
            time.sleep(0.1)
        self.seen, self.took = self.results.get()


def main():
    parser = argparse.ArgumentParser()
    for name in ("server", "edge", "tokens", "probe", "work"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--requests", type=int, required=True)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    parser.add_argument("--quiet", type=float, default=30, help="seconds of the probe alone")
    arguments = parser.parse_args()
    server = address(arguments.server)
    connection = http.client.HTTPConnection(*server, timeout=20)
    connection.request("GET", "/openapi.json")
    operations = Operations(json.loads(connection.getresponse().read()))
    operations.work = arguments.work
    tokens = open(arguments.tokens).read().split()
    probe = Probe(arguments.probe, address(arguments.edge), server)
    print(f"seed {arguments.seed}: {arguments.requests} requests by {len(tokens)} tenants, {len(operations.all)} operations", flush=True)
    # Made before the probe has threads.
    assault = Assault(arguments, operations, server, tokens)
    quiet = probe.work(seconds=arguments.quiet)
    beside = probe.work(until=assault.run)
    share, took, seen = assault.share, assault.took, assault.seen
    print(f"{share * len(tokens) / took:.0f} requests/s; answers: " + ", ".join(f"{k} {v}" for k, v in sorted(seen.items())))
    report(quiet, beside)
    for failure in probe.failures[:20]:
        print("refused to the probe: " + failure)
    print(f"{len(probe.failures)} refused to the probe")
    return 1 if probe.failures or any(status.startswith("5") for status in seen) else 0


if __name__ == "__main__":
    sys.exit(main())
