// Gatekeeper.swift - stands between SQLite and the system, and decides at each call what becomes of it.
//
// One thread, so the call that is asked about belongs to the operation that runs; while the keeper acts it asks nobody.

internal import CFaultDisk
internal import SpoolThreads

/// A call that SQLite makes.
struct Call: Hashable, CustomStringConvertible {
    let kind: fault_call
    let isLog: Bool

    static func == (a: Call, b: Call) -> Bool {
        a.kind.rawValue == b.kind.rawValue && a.isLog == b.isLog
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(kind.rawValue)
        hasher.combine(isLog)
    }

    private static let names = [
        "open", "delete", "access", "close", "read", "write", "truncate", "sync", "size", "lock",
        "unlock", "map", "shm-lock", "shm-unlock", "barrier", "unmap", "fetch", "unfetch",
    ]

    var description: String { Self.names[Int(kind.rawValue)] + (isLog ? " of the log" : "") }
}

/// The one that is asked.
enum Gatekeeper {
    /// What to do at the n-th call (0 is the first) of the operation that runs; nil while nobody is interested.
    nonisolated(unsafe) static var decide: ((Int, Call) -> Int32)?  // one thread
    private nonisolated(unsafe) static var asked = 0

    /// - Parameter isAlone: Everybody who uses the file is in this thread.
    static func standInBetween(isAlone: Bool = true) throws {
        let status = fault_steps_begin(
            { _, kind, isLog in
                Gatekeeper.answer(Call(kind: fault_call(UInt32(kind)), isLog: isLog != 0))
            }, nil, isAlone ? 1 : 0)
        guard status == 0 else { throw SpoolError.usage("SQLite has no system to stand before") }
    }

    private static func answer(_ call: Call) -> Int32 {
        guard let decide else { return 0 }
        let number = asked
        asked += 1
        Gatekeeper.decide = nil
        defer { Gatekeeper.decide = decide }
        return decide(number, call)
    }

    /// Runs `body` and asks `decide` about each call that it makes.
    static func watch<Value>(
        _ decide: @escaping (Int, Call) -> Int32, _ body: () throws -> Value
    ) rethrows -> Value {
        asked = 0
        Gatekeeper.decide = decide
        defer { Gatekeeper.decide = nil }
        return try body()
    }

    /// The calls that `body` makes.
    static func calls(of body: () throws -> Void) rethrows -> [Call] {
        var seen: [Call] = []
        try watch(
            { _, call in
                seen.append(call)
                return 0
            }, body)
        return seen
    }
}
