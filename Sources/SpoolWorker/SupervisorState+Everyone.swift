// SupervisorState+Everyone.swift - jobs that end because every process of the worker was told to end.
//
// systemd (unless told otherwise), a shutdown and a logout send TERM to the commands, too, and who hears it first is
// chance. A job that ends by it has not failed: it is given back. So an end that looks like this one is not settled
// before the worker would have heard its own signal.

private import Glibc
internal import SpoolJobs
internal import SpoolThreads

extension Run {
    /// It ended as who is told to end does; shells and Java say so by their exit status.
    var wasToldToEnd: Bool {
        [SIGTERM, SIGINT, SIGHUP].contains { signal == $0 || exit == 128 + $0 }
    }
}

extension SupervisorState {
    /// By then a signal that was sent to every process has reached this one.
    static let hearsay = Duration.milliseconds(250)

    /// What we send ourselves ends a run with another verdict.
    mutating func receive(_ outcome: Outcome, _ now: Deadline) {
        guard outcome.verdict == .failed, outcome.run.wasToldToEnd else {
            unsettled.append(outcome)
            return
        }
        doubted.append((outcome, now + Self.hearsay))
        if !isWorking { believe() }
    }

    /// The worker was told to end, and so were they.
    mutating func believe() {
        guard !doubted.isEmpty else { return }
        for (outcome, _) in doubted {
            unsettled.append(Outcome(outcome.claim, .released, outcome.run))
        }
        doubted = []
        isDry = false
    }

    /// They have failed: the worker has heard nothing.
    mutating func settleDoubted(_ now: Deadline) {
        while let first = doubted.first, first.until <= now {
            unsettled.append(doubted.removeFirst().outcome)
            settleBy = now
        }
    }
}
