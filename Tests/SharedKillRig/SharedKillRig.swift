// SharedKillRig.swift - kills the users of a shared queue, at random instants and at every instruction.
//
//     SharedKillRig storm KILLS SEED [neglect-repair | neglect-holders]
//     SharedKillRig steps (every | SAMPLES) SEED [neglect-repair | neglect-holders] [OPERATION]
//
// "storm" kills producers, consumers and joiners of one queue at random instants and replaces them, of queues bound by
// places and by bytes in turn; "steps" kills one
// process at each instruction of one verb, or at so many of them. Prints counts; exit status 1 if anything was lost,
// hung, damaged, delivered to two living holders, or joined too early. With "neglect-..." the queue does not put in
// order what a death left: a rig that never went red proves nothing. "use" is Use.swift.

import CSpool
import CSingleStep
import Glibc
import SpoolThreads

@testable import SpoolProcesses

@main
struct SharedKillRig {
    static func main() {
        let words = CommandLine.arguments
        if words.count > 2, words[1] == "use" { return use(Array(words[2...])) }
        guard words.count >= 4, let seed = UInt64(words[3]) else {
            fail("usage: SharedKillRig (storm KILLS | steps (every | SAMPLES)) SEED [neglect-...]")
        }
        let neglect = words.dropFirst(4).first.flatMap { Neglect(rawValue: $0) }
        do throws(SpoolError) {
            switch words[1] {
            case "storm":
                var storm = Storm(kills: Int(words[2]) ?? 0, seed: seed, neglect: neglect)
                try storm.run()
            case "steps":
                let operation = words.dropFirst(4).compactMap(Operation.init(rawValue:)).first
                var steps = try Steps(samples: Int(words[2]), seed: seed, neglect: neglect)
                try steps.run(operation.map { [$0] } ?? Operation.allCases)
            default: fail("storm or steps?")
            }
        } catch {
            fail("\(error)")
        }
    }
}

private func use(_ words: [String]) {
    do throws(SpoolError) { try Use(words).run() } catch { fail("\(error)") }
}

/// Prints why, and ends the rig.
func fail(_ why: String) -> Never {
    print("FAILED: \(why)")
    exit(1)
}

/// Items that can be told from damaged ones: a number, and bytes that follow from it.
enum Stamped {
    static func item(_ number: UInt64, size: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: number &* 31 &+ 7), count: size)
        for index in 0..<8 { bytes[index] = UInt8(truncatingIfNeeded: number >> (8 * index)) }
        return bytes
    }

    /// Nil when it is damaged.
    static func number(_ bytes: [UInt8]) -> UInt64? {
        guard bytes.count >= 8 else { return nil }
        let number = (0..<8).reduce(UInt64(0)) { $0 | UInt64(bytes[$1]) << (8 * $1) }
        return item(number, size: bytes.count) == bytes ? number : nil
    }
}

/// Forks, and runs `body` in the child, which ends with it, or with the rig. The rig has one thread.
func forked(_ body: () -> Void) -> Int32 {
    let child = spool_fork()
    guard child == 0 else { return child }
    stepper_die_with_parent()
    body()
    _exit(0)
}

/// Waits for the end of a child, at most so long. Nil: it still runs.
func ended(_ child: Int32, within patience: Duration) -> Int32? {
    let deadline = Deadline(after: patience)
    var status: Int32 = 0
    while waitpid(child, &status, WNOHANG) == 0 {
        guard !deadline.isPast else { return nil }
        Pause.briefly(upTo: .microseconds(200))
    }
    return status
}

/// Kills a child and waits for its end.
func strike(_ child: Int32) {
    kill(child, SIGKILL)
    var status: Int32 = 0
    waitpid(child, &status, 0)
}

extension RecordQueue {
    /// What follows from the records must be what stands in the header. Nil: it is.
    func inconsistency() -> String? {
        acquire()
        defer { release() }
        var (free, ready, held) = (UInt32(0), UInt32(0), UInt32(0))
        let header = header.pointee
        var hasCursor = header.cursor == units
        forEachRecord { index, word in
            hasCursor = hasCursor || header.cursor == index
            switch word.state {
            case .ready: ready += 1
            case .held: held += 1
            case .free, nil: free += word.units
            }
        }
        guard hasCursor else { return "the cursor stands in the midst of a record" }
        guard (free, ready, held) == (header.freeUnits, header.readyCount, header.heldCount) else {
            return "counts \(header.freeUnits) \(header.readyCount) \(header.heldCount),"
                + " records \(free) \(ready) \(held)"
        }
        var holders: UInt32 = 0
        for slot in 0..<Int(header.memberSlots) {
            let length = length(of: members[slot].held, .held)
            guard length == members[slot].heldCount else { return "list of a holder" }
            holders += members[slot].heldCount
        }
        guard length(of: header.ready, .ready) == ready, holders == held else { return "lists" }
        return nil
    }

    /// Nil when the list is damaged, or its items are not in the order in which they were put.
    private func length(of list: RecordList, _ state: RecordWord.State) -> UInt32? {
        var (length, number, last) = (UInt32(0), UInt64(0), Record.none)
        var index = list.first
        while index != Record.none {
            guard length < header.pointee.units, word(at: index).state == state else { return nil }
            if state == .ready, record(at: index).pointee.number <= number { return nil }
            number = record(at: index).pointee.number
            (length, last, index) = (length + 1, index, record(at: index).pointee.next)
        }
        return last == list.last ? length : nil
    }
}
