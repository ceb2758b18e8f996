// SupervisorState+Flow.swift - how often the store is looked at while jobs flow.
//
// Producers that put one job after the other ring for each, and each exchange takes the gate and the disk from them.
// So once exchanges follow each other closely, and each takes all there was, the next one waits a moment, and carries
// what came meanwhile both ways. A job that is put in a quiet moment waits for nothing, nor does one that is known to
// be there. Those who wait for their job's end before they put the next one gain nothing by a pause, and are slowed
// down: a pause in which hardly any came is not repeated for a while.

internal import SpoolJobs
internal import SpoolThreads

extension SupervisorState {
    /// From the end of an exchange to the next one, while jobs flow: so many times what it took, so that the producers
    /// have the gate and the disk for most of the time.
    static let pace = 8
    static let paces = Duration.microseconds(1500)...Duration.microseconds(4000)
    /// An exchange that comes later than this does not belong to the flow.
    static let flowGap = Duration.milliseconds(1)
    /// A pause in which fewer jobs came was not worth it.
    static let worthIt = 3
    /// How long after such a pause there is no other.
    static let hurry = Duration.milliseconds(10)

    /// What the bell asks for waits, and outcomes for whose consumers nothing is known to be there.
    func isPaced(_ now: Deadline) -> Bool { now < pacedUntil }

    /// There are jobs to be taken, or it has rung.
    func mayFind(_ now: Deadline) -> Bool { !isDry || (hasRung && !isPaced(now)) }

    mutating func endFlow(_ now: Deadline) {
        flow = 0
        pacedUntil = now
    }

    /// An exchange that leaves jobs behind is part of a drain, and none waits for the next one.
    mutating func follow(_ look: Look, _ now: Deadline) {
        if flow >= settings.flowing, look.claims.count < Self.worthIt {
            hurryUntil = now + Self.hurry
        }
        guard look.isDry, !look.claims.isEmpty, hurryUntil <= now else { return endFlow(now) }
        flow += 1
        let (least, most) = (Self.paces.lowerBound, Self.paces.upperBound)
        let pace = min(max((now - askedAt) * Self.pace, least), most)
        pacedUntil = flow >= settings.flowing ? now + pace : now
    }
}
