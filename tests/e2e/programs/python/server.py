"""A pool of processes with semaphores, SQLite, a child, a name, the container's interfaces, through asyncio's own server."""

import asyncio
import multiprocessing
import os
import socket
import sqlite3
import subprocess


def square(number):
    return number * number


def answer():
    with multiprocessing.Pool(2) as pool:
        total = sum(pool.map(square, range(10)))
    database = sqlite3.connect("/tmp/db")
    database.execute("CREATE TABLE IF NOT EXISTS t (n INTEGER)")
    database.execute("INSERT INTO t VALUES (1)")
    database.commit()
    child = subprocess.run(["echo", "of python"], capture_output=True, text=True, check=True).stdout.strip()
    names = " ".join(sorted(name for _, name in socket.if_nameindex()))
    address = socket.getaddrinfo("localhost", 80, socket.AF_INET)[0][4][0]
    return f"sum {total}\nchild {child}\nlocalhost {address}\ninterfaces {names}\n"


async def serve(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    try:
        status, body = "200 OK", await asyncio.get_running_loop().run_in_executor(None, answer)
    except Exception as error:
        status, body = "500 Internal Server Error", repr(error)
    writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
    await writer.drain()
    writer.close()


async def main():
    server = await asyncio.start_server(serve, "0.0.0.0", int(os.environ["PORT"]))
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
