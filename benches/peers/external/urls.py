"""35 URLs, again and again, from a slow server: a greenlet of gevent for each.

urls.py (wall|cpu) SERVER URLS ROUNDS KEEP   prints ns of time for a round, or of CPU time for a fetch
urls.py                                      prints the version
"""

from gevent import monkey

monkey.patch_all()

import http.client
import sys
import time

import gevent


def fetch(server, url, connection, keep):
    connection = connection or http.client.HTTPConnection(server, timeout=5)
    connection.request("GET", f"/{url}", headers={"Connection": "keep-alive" if keep else "close"})
    answer = connection.getresponse()
    assert answer.status == 200
    answer.read()
    if keep:
        return connection
    connection.close()
    return None


def main():
    if len(sys.argv) < 6:
        print(f"gevent {gevent.__version__}, Python {sys.version.split()[0]}")
        return
    what, server, urls, rounds, keep = sys.argv[1:6]
    urls, rounds, keep = int(urls), int(rounds), keep == "1"
    connections = [None] * urls

    def one_round():
        jobs = [gevent.spawn(fetch, server, url, connections[url], keep) for url in range(urls)]
        gevent.joinall(jobs, raise_error=True)
        connections[:] = [job.value for job in jobs]

    one_round()
    before, times = time.process_time_ns(), []
    for _ in range(rounds):
        begin = time.perf_counter_ns()
        one_round()
        times.append(time.perf_counter_ns() - begin)
    used = time.process_time_ns() - before
    print(sorted(times)[rounds // 2] if what == "wall" else used // (rounds * urls))


main()
