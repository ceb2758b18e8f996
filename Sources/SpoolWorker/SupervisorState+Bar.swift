// SupervisorState+Bar.swift - taking jobs from a consumer that does not answer, as it was stopped or waits for a disk.
//
// It was asked to give back what waits behind a long job, and cannot. To begin a job is one exchange of a word in the
// shared page, and so is to forbid it: whoever is first has won. What it had not begun by then is ours again, once all
// that it had said was heard. It gets nothing more until it has answered: so nothing that it says of the jobs that it
// lost can be taken for an answer to others.

internal import SpoolJobs
internal import SpoolThreads

extension SupervisorState {
    mutating func bars(_ now: Deadline) -> [Action] {
        consumers.indices.filter { consumers[$0].barAt <= now }.map { slot in
            consumers[slot].bar()
            return .bar(slot: slot)
        }
    }

    mutating func takeBack(_ slot: Int, _ running: Int64, _ at: UnixTime, _ now: Deadline) {
        for claim in consumers[slot].takeBack(except: running) {
            forget(claim.job)
            unsettled.append(Outcome(claim, .recalled, Run(started: at, ended: at)))
            taken -= 1
            isDry = false
        }
        gather(now)
    }
}
