// Pause.swift - the one place that sleeps without being woken: for peers that cannot ring.

private import CSpool  // has a timespec too: the compiler takes either one
private import Glibc

/// Sleeps that nobody can end early. Everything that can be woken waits on a descriptor or a ``Condition`` instead.
public enum Pause {
    /// Lets another thread run on this processor, if one wants to. See sched_yield(2).
    public static func yield() { sched_yield() }

    /// Sleeps a random part of `longest`, so that several that wait for the same thing do not return together.
    public static func briefly(upTo longest: Duration) {
        let nanoseconds = Int64.random(in: 1...max(1, longest.nanoseconds))
        var time = timespec(
            tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
        nanosleep(&time, nil)
    }
}
