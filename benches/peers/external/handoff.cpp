// A ring by direct transfer with Boost.Context's fcontext: one hand-off is one stack switch.
//
// The native stack is one of the ring. Whoever hands over jumps to the next context; the jump
// uses it up, and whoever is jumped to gets the context of the one before, which it puts back in
// the ring.
//
//     handoff RING COUNT   prints the nanoseconds of CPU time per hand-off
//     handoff              prints the version

#include <boost/context/detail/fcontext.hpp>
#include <boost/context/protected_fixedsize_stack.hpp>
#include <boost/version.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

using boost::context::detail::fcontext_t;
using boost::context::detail::jump_fcontext;
using boost::context::detail::make_fcontext;
using boost::context::detail::transfer_t;

struct Seat {
    fcontext_t *previous;
    fcontext_t *next;

    uint64_t arrived(transfer_t t) const {
        *previous = t.fctx;
        return reinterpret_cast<uint64_t>(t.data);
    }

    // Hands v + 1 to the next seat and returns the number that comes round.
    uint64_t pass(uint64_t v) const {
        return arrived(jump_fcontext(*next, reinterpret_cast<void *>(v + 1)));
    }
};

// Goes back to the native stack at once, to be a waiting context in the ring from then on.
static void travel(transfer_t t) {
    const Seat seat = *static_cast<Seat *>(t.data);
    uint64_t v = seat.arrived(jump_fcontext(t.fctx, nullptr));
    for (;;) v = seat.pass(v);
}

static uint64_t cpu_ns() {
    timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return uint64_t(now.tv_sec) * 1000000000 + uint64_t(now.tv_nsec);
}

static uint64_t carry(const Seat &native, uint64_t v, uint64_t laps) {
    for (uint64_t lap = 0; lap < laps; lap++) v = native.pass(v);
    return v;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        std::printf("Boost %d.%d\n", BOOST_VERSION / 100000, BOOST_VERSION / 100 % 1000);
        return 0;
    }
    const uint64_t ring = std::strtoull(argv[1], nullptr, 10);
    const uint64_t laps = std::strtoull(argv[2], nullptr, 10) / ring;
    const uint64_t warm = laps / 10 + 1;

    std::vector<fcontext_t> contexts(ring);
    std::vector<Seat> seats(ring);
    for (uint64_t me = 0; me < ring; me++)
        seats[me] = {&contexts[(me + ring - 1) % ring], &contexts[(me + 1) % ring]};
    boost::context::protected_fixedsize_stack stacks(64 * 1024);
    for (uint64_t me = 1; me < ring; me++) {
        const auto stack = stacks.allocate();
        const fcontext_t fresh = make_fcontext(stack.sp, stack.size, travel);
        contexts[me] = jump_fcontext(fresh, &seats[me]).fctx;
    }

    const uint64_t v = carry(seats[0], 0, warm);
    const uint64_t start = cpu_ns();
    const uint64_t end = carry(seats[0], v, laps);
    const uint64_t spent = cpu_ns() - start;
    if (end != (warm + laps) * ring) {
        std::fprintf(stderr, "error: hand-offs were lost\n");
        return 1;
    }
    std::printf("%.3f\n", double(spent) / double(laps * ring));
}
