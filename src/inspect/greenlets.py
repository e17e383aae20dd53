# Greenlets for gdb, in a process or in a core:
#
#   (gdb) source greenlets.py
#   (gdb) greenlets             all greenlets of all threads, what each one does, and where it was spawned
#   (gdb) greenlet 7            the calls on the stack of greenlet #7, below the frame that is current
#
# A core that the kernel has written has all that is shown. One of gdb's own `generate-core-file` lacks the stacks where
# guards lie within the mapping (Linux 6.13 and later): gdb leaves out a mapping that it cannot read to its end.
#
# The program needs its symbol table, and no debug information: it says itself how its greenlets look inside. Stacks
# can be shown on x86_64 and aarch64, where the backend `direct` runs.

import gdb
import itertools
import re
from gdb.unwinder import Unwinder

PHASES = ["pending", "started", "dead"]
SUBJECT = 24  # bytes: its holder, where it was made, and how far it reaches
WAITS = ["suspended: somebody has to switch to it", "suspended in yield_", None, "ready"]
REGISTERS = {  # of a context at rest: sp, pc and two more
    "i386:x86-64": ["rsp", "rip", "rbx", "rbp"],
    "aarch64": ["sp", "pc", "x19", "x29"],
}


def read(address, size=8):
    memory = gdb.selected_inferior().read_memory(address, size)
    return int.from_bytes(bytes(memory), "little")


def read_text(pair):
    """A `&str`, or a `Box<str>`: its address and its length."""
    start, length = read(pair), read(pair + 8)
    if start == 0 or length > 4096:
        return ""
    memory = gdb.selected_inferior().read_memory(start, length)
    return bytes(memory).decode("utf-8", "replace")


class Roll:
    """All greenlets, newest first, main last, thread by thread."""

    def __init__(self):
        names = gdb.execute("info variables ^greenlet_roll_", to_string=True)
        found = re.findall(r"(0x[0-9a-f]+)\s+(greenlet_roll_\S+)", names)
        if not found:
            raise gdb.GdbError("no greenlets: this program has no symbol greenlet_roll_VERSION")
        self.start = int(found[0][0], 16)
        words = [read(self.start + 8 * n) for n in range(16)]
        self.newest, self.main, self.current, self.seeds = words[:4]
        (self.context, self.phase, self.wait, self.older, self.id, self.from_spawner, self.site,
         self.purpose, self.awaits, self.turns, self.extra, self.name) = words[4:]

    def threads(self):
        for n in range(256):
            thread = read(self.start + 8 * (16 + n))
            if thread:
                yield thread

    def greenlets(self, thread):
        control = read(thread + self.newest)
        while control:
            yield control
            control = read(control + self.older)
        yield thread + self.main

    def find(self, number):
        for thread in self.threads():
            for control in self.greenlets(thread):
                if read(control + self.id) == number:
                    return thread, control
        raise gdb.GdbError("no greenlet #%d" % number)

    def is_current(self, thread, control):
        return read(thread + self.current) == control

    def describe(self, thread, control):
        extra = read(control + self.extra)
        name = read_text(extra + self.name) if extra else ""
        number = read(control + self.id)
        if control == thread + self.main:
            called = "main greenlet #%d" % number
        else:
            called = "greenlet '%s' #%d" % (name, number) if name else "greenlet #%d" % number
        return "%s: %s; turns %d%s" % (called, self.does(thread, control), read(control + self.turns, 4), self.spawned(thread, control))

    def does(self, thread, control):
        phase, wait = read(control + self.phase, 1), read(control + self.wait, 1)
        if PHASES[phase] != "started":
            return PHASES[phase]
        if wait == 2:
            return read_text(read(control + self.purpose)) + self.awaited(read(control + self.awaits))
        return "runs" if self.is_current(thread, control) else WAITS[wait]

    def awaited(self, marked):
        """What a marked address tells: where in the program the things were made, which descriptors they are, and who has
        them."""
        things = []
        while marked & 7 == 2:
            things.append(read(marked - 2))
            marked = read(marked - 2 + 8)
        things.append(marked)
        made, descriptors, holders = [], [], []
        for marked in filter(None, things):
            thing, mark = marked & ~7, marked & 7
            holder = read(thing)
            if mark:
                made.append("%s:%d" % self.place(read(thing + 8)))
            if holder >> 63:
                descriptors.append(str(holder & 0xffffffff))
            elif holder:
                holders.append(["#%d" % holder])
            elif mark in (3, 4):
                numbers = ["#%d" % number for number in self.crowd(thing + SUBJECT)]
                others = ["%d others" % len(numbers[8:])] if numbers[8:] else []
                numbers = numbers[:8] + others
                holders += [numbers] if mark == 3 else [[number] for number in numbers]
        text = ", made at " + " and at ".join(made) if made else ""
        text += ", descriptor " + " and ".join(descriptors) if descriptors else ""
        known = [" and ".join(some) for some in holders if some]
        if not known:
            return text
        return text + ", %s%s can end that" % ("only " if len(things) == 1 else "", " or ".join(known))

    def crowd(self, crowd):
        """The numbers in places that are not vacant."""
        many = read(crowd + 16)
        first, size = (many + 8, read(many)) if many else (crowd, 2)
        numbers = (read(first + 8 * n) for n in range(size))
        return [number for number in itertools.islice(numbers, 100000) if not number >> 63]

    def place(self, location):
        return read_text(location), read(location + 16, 4)

    def spawned(self, thread, control):
        if control == thread + self.main:
            return ""
        spawner = read(control + self.id) - read(control + self.from_spawner, 4)
        return "; spawned by #%d at %s:%d" % (spawner, *self.place(read(control + self.site)))


class Greenlets(gdb.Command):
    """All greenlets of all threads, what each one does, and where it was spawned."""

    def __init__(self):
        super().__init__("greenlets", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        roll = Roll()
        for thread in roll.threads():
            print("thread at 0x%x" % thread)
            for control in roll.greenlets(thread):
                print("  " + roll.describe(thread, control))
            seeds = read(thread + roll.seeds)
            if seeds:
                print("  and %d that have not had a turn" % seeds)


class AsIfCalled(Unwinder):
    """Claims that the current frame was called by what is at rest."""

    def __init__(self):
        super().__init__("greenlet")
        self.rest = None

    def __call__(self, pending):
        if self.rest is None:
            return None
        names = REGISTERS[pending.architecture().name()]
        if int(pending.read_register(names[0])) & (2**64 - 1) != self.sp:
            return None
        word = gdb.lookup_type("unsigned long")

        class Id:
            sp, pc = (gdb.Value(pending.read_register(names[n])) for n in (0, 1))

        claim = pending.create_unwind_info(Id)
        for name, value in zip(names, self.rest):
            claim.add_saved_register(name, gdb.Value(value).cast(word))
        return claim


UNWINDER = AsIfCalled()
gdb.unwinder.register_unwinder(None, UNWINDER, replace=True)


class OneGreenlet(gdb.Command):
    """greenlet NUMBER: the calls on the stack of a greenlet that does not run."""

    def __init__(self):
        super().__init__("greenlet", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        roll = Roll()
        thread, control = roll.find(int(argument.lstrip("#")))
        print(roll.describe(thread, control))
        if roll.is_current(thread, control) or read(control + roll.phase, 1) != 1:
            print("it has no stack at rest; if it runs, `bt` shows it")
            return
        frame = gdb.newest_frame()
        frame.select()
        names = REGISTERS[frame.architecture().name()]
        UNWINDER.sp = int(frame.read_register(names[0])) & (2**64 - 1)
        UNWINDER.rest = [read(control + roll.context + 8 * n) for n in range(4)]
        gdb.invalidate_cached_frames()
        try:
            gdb.execute("backtrace")
        finally:
            UNWINDER.rest = None
            gdb.invalidate_cached_frames()


Greenlets()
OneGreenlet()
