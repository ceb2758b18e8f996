// WaitingJobs.swift - the jobs that a consumer has been sent and has not begun, in order.
//
// A value without sockets or processes: what a consumer decides about them can be tested without one.

package import SpoolJobs

/// Jobs that wait for their turn in a consumer.
package struct WaitingJobs<Job> {
    private let claim: (Job) -> Claim
    private var jobs: [Job] = []
    private var first = 0

    package init(_ claim: @escaping (Job) -> Claim) { self.claim = claim }

    package mutating func append(_ job: Job) { jobs.append(job) }

    /// The next one to begin; nil: none waits.
    package mutating func next() -> Job? {
        guard first < jobs.count else {
            jobs.removeAll(keepingCapacity: jobs.count <= 1024)
            first = 0
            return nil
        }
        defer { first += 1 }
        return jobs[first]
    }

    /// The one that ``next()`` gave is not begun, and stays the next one.
    package mutating func putBack() { first -= 1 }

    /// Takes out the one that shall be stopped, and says what it counts as. Nil: it does not wait here.
    package mutating func stop(_ order: StopOrder) -> (Claim, Verdict)? {
        let index = jobs[first...].firstIndex {
            claim($0).job == order.job && claim($0).attempt == order.attempt
        }
        guard let index else { return nil }
        // It has not begun: when only the worker goes, not even its start counts.
        let verdict = order.verdict == .released ? .recalled : order.verdict
        return (claim(jobs.remove(at: index)), verdict)
    }

    /// Takes out all that wait.
    package mutating func giveBack() -> [Claim] {
        defer { jobs.removeSubrange(first...) }
        return jobs[first...].map(claim)
    }
}
