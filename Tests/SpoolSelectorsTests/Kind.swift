// Kind.swift - the selectors that one text tries, and what the tests watch with them.

import CSpool
import Glibc
import SpoolSelectors
import SpoolThreads

/// Each kind of selector.
enum Kind: CaseIterable {
    case epoll, poll, select

    func make() throws -> Selector {
        switch self {
        case .epoll: try EpollSelector()
        case .poll: try PollSelector()
        case .select: try SelectSelector()
        }
    }
}

/// Two connected sockets that do not block, closed with it.
final class Pair: Sendable {
    let ours: Int32
    let theirs: Int32

    init() throws {
        var ends: [Int32] = [0, 0]
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue)
        let status = spool_socket_pair(type, &ends)
        guard status == 0 else { throw SpoolError.system(call: "socketpair", errno: -status) }
        (ours, theirs) = (ends[0], ends[1])
    }

    deinit {
        Glibc.close(ours)
        Glibc.close(theirs)
    }

    /// Sends bytes to our end.
    func send(_ count: Int = 1) {
        let bytes = [UInt8](repeating: 7, count: count)
        _ = Glibc.write(theirs, bytes, count)
    }

    /// Reads what our end has; how many bytes it was.
    @discardableResult
    func receive(atMost limit: Int = 1 << 16) -> Int {
        var bytes = [UInt8](repeating: 0, count: limit)
        return max(0, Glibc.read(ours, &bytes, limit))
    }

    /// Fills what our end can send, until it is not writable.
    func fill() {
        let bytes = [UInt8](repeating: 7, count: 1 << 16)
        while Glibc.write(ours, bytes, bytes.count) > 0 {}
    }
}

/// A call on a thread of its own, whose outcome the test waits for with a limit.
final class Call<Value: Sendable>: @unchecked Sendable {  // touched with the lock held only
    private let lock = Lock()
    private let changed: Condition
    private var outcome: Result<Value, any Error>?
    private var path = ""
    private var thread = pthread_t()

    init(_ body: @escaping @Sendable () throws -> Value) throws {
        changed = Condition(lock)
        try Thread.detach("call") { [self] in
            note { (path, thread) = (Self.threadPath(), pthread_self()) }
            let result = Result { try body() }
            note { outcome = result }
        }
        lock.withLock { while path.isEmpty { changed.wait() } }
    }

    private func note(_ change: () -> Void) {
        lock.withLock {
            change()
            changed.notifyAll()
        }
    }

    private static func threadPath() -> String {
        var buffer = [CChar](repeating: 0, count: 64)
        let count = readlink("/proc/thread-self", &buffer, buffer.count)
        return "/proc/"
            + String(
                decoding: buffer.prefix(max(0, count)).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    var isOver: Bool { lock.withLock { outcome != nil } }

    /// Gives it a signal, unless it is over: its thread may have ended then.
    func signal(_ number: Int32) {
        lock.withLock { if outcome == nil { pthread_kill(thread, number) } }
    }

    /// What it returned or threw, within half a minute.
    func value() throws -> Value {
        let deadline = Deadline(after: .seconds(30))
        return try lock.withLock {
            while outcome == nil {
                guard changed.wait(until: deadline) || outcome != nil else {
                    throw SpoolError.timedOut("the call did not return.")
                }
            }
            guard let outcome else { throw SpoolError.timedOut("the call did not return.") }
            return try outcome.get()
        }
    }

    /// Returns when the kernel says that the thread sleeps.
    func untilAsleep() throws {
        let file = lock.withLock { path } + "/stat"
        try Until.true("the call does not wait") {
            read(file).split(separator: ")").last?.first { $0 != " " } == "S"
        }
    }

    private func read(_ path: String) -> String {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        defer { Glibc.close(file) }
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = Glibc.read(file, &bytes, bytes.count)
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }
}

enum Until {
    /// Looks again until it is so, for half a minute at most.
    static func `true`(_ complaint: String, _ isSo: () -> Bool) throws {
        let deadline = Deadline(after: .seconds(30))
        while !isSo() {
            guard !deadline.isPast else { throw SpoolError.timedOut(complaint) }
            Pause.briefly(upTo: .milliseconds(1))
        }
    }
}

extension Selector {
    /// What is ready now, by descriptor.
    func look() throws -> [Int32: Events] {
        Dictionary(try select(timeout: .zero).map { ($0.key.descriptor, $0.events) }) { $1 }
    }
}
