"""A ring of greenlets by direct switch: one hand-off is one stack switch.

Every greenlet switches to the next one; the main greenlet stands outside of the ring, starts the
number and gets it back when it has reached the limit.

    handoff.py RING COUNT   prints the nanoseconds of CPU time per hand-off
    handoff.py              prints the versions
"""

import platform
import sys
import time

import greenlet

limit = 0


def seat(main, ring, following):
    def travel(v):
        switch = ring[following].switch
        while True:
            while v < limit:
                v = switch(v + 1)
            v = main.switch(v)

    return greenlet.greenlet(travel)


def carry(ring, v, count):
    global limit
    limit = v + count
    return ring[0].switch(v)


def handoff(length, count):
    main = greenlet.getcurrent()
    ring = []
    for me in range(length):
        ring.append(seat(main, ring, (me + 1) % length))
    for each in ring:
        each.switch(0)  # Started one from another, a thousand would exceed the recursion limit.
    warm = carry(ring, 0, (count // 10 // length + 1) * length)
    start = time.process_time_ns()
    end = carry(ring, warm, count)
    spent = time.process_time_ns() - start
    assert end == warm + count, "error: hand-offs were lost"
    return spent / count


if len(sys.argv) < 3:
    print(f"greenlet {greenlet.__version__} on Python {platform.python_version()}")
else:
    print(f"{handoff(int(sys.argv[1]), int(sys.argv[2])):.3f}")
