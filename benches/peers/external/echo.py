"""A server that sends back what it gets: a greenlet of gevent for each connection.

echo.py --listen ADDRESS:PORT   serves, and prints where
echo.py                         prints the version
"""

import sys

import gevent
from gevent.server import StreamServer


def echo(connection, _address):
    while True:
        data = connection.recv(1024)
        if not data:
            return
        connection.sendall(data)


def main():
    if len(sys.argv) < 3:
        print(f"gevent {gevent.__version__}, Python {sys.version.split()[0]}")
        return
    host, port = sys.argv[2].rsplit(":", 1)
    server = StreamServer((host, int(port)), echo, backlog=4096)
    server.start()
    print(f"listening on {server.address[0]}:{server.address[1]}", flush=True)
    server.serve_forever()


main()
