// Pause.swift - the one place that sleeps without being woken: for peers that cannot ring, and where rings can wait.

private import CSpool  // has a timespec too: the compiler takes either one
private import Glibc

/// Sleeps that nobody can end early. Everything that can be woken waits on a descriptor or a ``Condition`` instead.
public enum Pause {
    /// Lets another thread run on this processor, if one wants to. See sched_yield(2).
    public static func yield() { sched_yield() }

    /// Sleeps a random part of `longest`, so that several that wait for the same thing do not return together.
    public static func briefly(upTo longest: Duration) {
        sleep(Int64.random(in: 1...max(1, longest.nanoseconds)))
    }

    /// Sleeps until the deadline is past, more exactly than poll(2) and epoll(7), which count milliseconds. Not for a
    /// deadline that never comes.
    package static func until(_ deadline: Deadline) {
        while let left = deadline.remaining(), left > .zero { sleep(left.nanoseconds) }
    }

    private static func sleep(_ nanoseconds: Int64) {
        var time = timespec(
            tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
        nanosleep(&time, nil)
    }
}
