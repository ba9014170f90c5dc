#!/usr/bin/python3
"""The resolver's own options (deploy/systemd/cloister-dns.service) with the real dnsmasq, in a network namespace of its own:
what nobody answers leaves room for others, it tells nobody what it or the resolvers behind it are, and it answers over TCP."""
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

ADDRESS = ("169.254.1.1", 53)
OPEN = 1_000  # questions without an answer; dnsmasq's own limit is 150
IN, CHAOS = 1, 3
NOTIMP, TXT, A = 4, 16, 1
UNIT = pathlib.Path(__file__).resolve().parents[3] / "deploy/systemd/cloister-dns.service"


def question(name, kind=A, of=IN):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", kind, of)


def answer(message):
    """No such name: enough for whoever asked."""
    return message[:2] + bytes([message[2] | 0x80, 0x83]) + message[4:]


def upstream(heard):
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", 53))
    stream = socket.create_server(("127.0.0.1", 53))

    def over_tcp():
        while True:
            connection, _ = stream.accept()
            size = struct.unpack(">H", connection.recv(2))[0]
            reply = answer(connection.recv(size))
            connection.sendall(struct.pack(">H", len(reply)) + reply)

    threading.Thread(target=over_tcp, daemon=True).start()
    while True:
        message, sender = datagrams.recvfrom(4096)
        heard.append(message[12:])
        if b"silent" not in message:
            datagrams.sendto(answer(message), sender)


def ask(message):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        for _ in range(3):
            client.sendto(message, ADDRESS)
            try:
                return client.recv(4096)
            except TimeoutError:
                pass
    return b"\0" * 12


def ask_over_tcp(message):
    with socket.create_connection(ADDRESS, 5) as client:
        client.sendall(struct.pack(">H", len(message)) + message)
        return client.recv(4096)[2:]


def main():
    if sys.argv[1:] != ["inside"]:
        os.execvp("unshare", ["unshare", "--net", sys.executable, __file__, "inside"])
    subprocess.run("ip link set lo up && ip address add 169.254.1.1/32 dev lo", shell=True, check=True)
    resolvers = tempfile.NamedTemporaryFile("w")
    resolvers.write("nameserver 127.0.0.1\n")
    resolvers.flush()
    os.chmod(resolvers.name, 0o644)
    line = next(line for line in UNIT.read_text().splitlines() if line.startswith("ExecStart="))
    command = line.removeprefix("ExecStart=").replace("/etc/resolv.conf", resolvers.name).split()
    heard = []
    threading.Thread(target=upstream, args=(heard,), daemon=True).start()
    forwarder = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    wrong = []
    try:
        for name in ("version.bind", "servers.bind", "hostname.bind", "cachesize.bind", "authors.bind", "id.server", "version.server"):
            for of in (CHAOS, IN):
                reply = ask(question(name, TXT, of))
                if of == CHAOS and reply[3] & 15 != NOTIMP or reply[7] != 0:
                    wrong.append(f"{name} is answered: {reply[12:]}")
        if heard:
            wrong.append(f"asked upstream: {heard}")
        if ask_over_tcp(question("example.org"))[3] & 15 != 3:
            wrong.append("no answer over TCP")
        waiting = []
        for number in range(OPEN):
            waiting.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            waiting[-1].sendto(question(f"silent.n{number}.com"), ADDRESS)
        if ask(question("other.com"))[3] & 15 != 3:
            wrong.append(f"{OPEN} open questions stop another one")
    finally:
        forwarder.terminate()
        forwarder.wait()
    for what in wrong:
        print("wrong:", what)
    sys.exit(len(wrong) > 0)


main()
