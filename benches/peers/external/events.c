/* libev's benchmark: N socket pairs, each of which reads a byte and sends one on to the next, with 100 bytes on
 * their way at a time. One source for three loops:
 *
 *   cc -O2 -DLOOP_LIBEV    events.c -lev
 *   cc -O2 -DLOOP_LIBEVENT events.c -levent
 *   cc -O2 -DLOOP_EPOLL    events.c          edge-triggered, nothing in between
 *
 *   events (event|total) PAIRS ACTIVE TIMEOUTS
 *
 * prints the nanoseconds of CPU time of one event, or of one whole iteration (watchers set, events, watchers taken
 * back) for each pair: the median of as many iterations as that benchmark makes. Without arguments: its version.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <fcntl.h>

#if defined LOOP_LIBEV
#include <ev.h>
struct watcher { ev_io io; ev_timer timer; };
#elif defined LOOP_LIBEVENT
#include <event2/event.h>
struct watcher { struct event *event; };
#else
#include <sys/epoll.h>
struct watcher { int unused; };
#endif

static int count, active, timeouts, to_send, to_read;
static int (*pairs)[2];
static struct watcher *watchers;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return time.tv_sec * 1e9 + time.tv_nsec;
}

static void send_to(int number) {
  if (write(pairs[number][1], "e", 1) != 1) abort();
}

/* One event: reads a byte, and sends one on. */
static void relay(int number) {
  char byte;
  if (read(pairs[number][0], &byte, 1) != 1) return;
  if (to_send > 0) {
    to_send--;
    send_to((number + 1) % count);
  }
  to_read--;
}

#if defined LOOP_LIBEV
static struct ev_loop *loop;
static void readable(struct ev_loop *l, ev_io *io, int events) {
  struct watcher *watcher = (struct watcher *)io;
  if (timeouts) ev_timer_again(l, &watcher->timer);
  relay(watcher - watchers);
}
static void too_late(struct ev_loop *l, ev_timer *timer, int events) { abort(); }
static void begin(void) { loop = ev_loop_new(EVFLAG_AUTO); }
static void set(int number) {
  struct watcher *watcher = &watchers[number];
  ev_io_init(&watcher->io, readable, pairs[number][0], EV_READ);
  ev_io_start(loop, &watcher->io);
  if (timeouts) {
    ev_timer_init(&watcher->timer, too_late, 0., 60. + number * 1e-3);
    ev_timer_again(loop, &watcher->timer);
  }
}
static void take_back(int number) {
  ev_io_stop(loop, &watchers[number].io);
  if (timeouts) ev_timer_stop(loop, &watchers[number].timer);
}
static void wait_for_events(void) { ev_run(loop, EVRUN_ONCE); }
static void look(void) { ev_run(loop, EVRUN_NOWAIT); }
static void version(void) { printf("libev %d.%d\n", ev_version_major(), ev_version_minor()); }

#elif defined LOOP_LIBEVENT
static struct event_base *base;
static struct timeval limit = {60, 0};
static void readable(int fd, short what, void *number) {
  if (what & EV_TIMEOUT) abort();
  relay((int)(long)number);
}
static void begin(void) { base = event_base_new(); }
static void set(int number) {
  short what = EV_READ | EV_PERSIST;
  watchers[number].event = event_new(base, pairs[number][0], what, readable, (void *)(long)number);
  event_add(watchers[number].event, timeouts ? &limit : NULL);
}
static void take_back(int number) { event_free(watchers[number].event); }
static void wait_for_events(void) { event_base_loop(base, EVLOOP_ONCE); }
static void look(void) { event_base_loop(base, EVLOOP_NONBLOCK); }
static void version(void) { printf("libevent %s\n", event_get_version()); }

#else
static int epoll;
static void begin(void) { epoll = epoll_create1(0); }
static void set(int number) {
  struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u32 = number};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, pairs[number][0], &event)) abort();
}
static void take_back(int number) { epoll_ctl(epoll, EPOLL_CTL_DEL, pairs[number][0], NULL); }
static void poll_events(int millis) {
  static struct epoll_event events[1024];
  int ready = epoll_wait(epoll, events, 1024, millis);
  for (int i = 0; i < ready; i++) relay(events[i].data.u32);
}
static void wait_for_events(void) { poll_events(-1); }
static void look(void) { poll_events(0); }
static void version(void) { printf("epoll, edge-triggered, no time limits\n"); }
#endif

#define ITERATIONS 25

/* The figure of one iteration. */
static double iteration(int total) {
  double first = now();
  for (int i = 0; i < count; i++) set(i);
  look();
  to_send = count;
  to_read = count + active;
  double second = now();
  for (int i = 0; i < active; i++) send_to(i * (count / active));
  while (to_read > 0) wait_for_events();
  double third = now();
  for (int i = 0; i < count; i++) take_back(i);
  look();
  return total ? (now() - first) / count : (third - second) / (count + active);
}

static int compare(const void *one, const void *other) {
  double difference = *(const double *)one - *(const double *)other;
  return (difference > 0) - (difference < 0);
}

int main(int argc, char **argv) {
  if (argc < 5) {
    version();
    return 0;
  }
  int total = !strcmp(argv[1], "total");
  count = atoi(argv[2]);
  active = atoi(argv[3]);
  timeouts = atoi(argv[4]);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  pairs = calloc(count, sizeof *pairs);
  watchers = calloc(count, sizeof *watchers);
  for (int i = 0; i < count; i++)
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pairs[i])) {
      perror("error: socketpair");
      return 1;
    }
  begin();
  double figures[ITERATIONS];
  for (int i = 0; i < ITERATIONS; i++) figures[i] = iteration(total);
  qsort(figures, ITERATIONS, sizeof *figures, compare);
  printf("%.3f\n", figures[ITERATIONS / 2]);
}
