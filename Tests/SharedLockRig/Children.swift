// Children.swift - forked processes of a scenario, and numbers that they share with their parent.

import CSpool
import Glibc
import SpoolProcesses
import SpoolThreads
import Synchronization

/// A forked process.
struct Child {
    private let process: ChildProcess
    let pid: Int32

    /// Forks one that exits with what `body` returns; with 99 when it throws.
    init(_ body: @escaping () throws -> Int32) throws {
        process = ChildProcess(
            forking: {
                let status: Int32
                do {
                    status = try body()
                } catch {
                    complain("child: \(error)")
                    status = 99
                }
                throw ChildExit(status)
            }, daemon: true)
        try process.start()
        guard let pid = process.pid else { throw Wrong("a child that was started has no number") }
        self.pid = pid
    }

    /// Forks one that has done its part when `body` returned.
    static func doing(_ body: @escaping () throws -> Void) throws -> Child {
        try Child {
            try body()
            return 0
        }
    }

    func kill() { Glibc.kill(pid, SIGKILL) }
    /// Returns when it stands still: until then one that is awake does a little more.
    func stop() {
        Glibc.kill(pid, SIGSTOP)
        _ = eventually {
            var change = siginfo_t()
            let status = waitid(P_PID, id_t(pid), &change, WSTOPPED | WNOWAIT | WNOHANG)
            return status == 0 && change.si_code == Int32(CLD_STOPPED)
        }
    }
    func goOn() { Glibc.kill(pid, SIGCONT) }

    /// Waits for its end: the exit status, or minus the signal.
    func end(_ limit: Duration = patience) throws -> Int32 {
        guard try process.join(timeout: limit), let end = try process.exitStatus else {
            throw Wrong("process \(pid) hangs")
        }
        return end.exit ?? -(end.signal ?? 0)
    }

    /// Kills it and waits until it is gone.
    func killed() throws {
        kill()
        try check(try end() == -SIGKILL, "a killed process ended by itself")
    }
}

/// Waits for all; each must end with this status.
func join(_ children: [Child], status: Int32 = 0) throws {
    for child in children {
        let end = try child.end()
        try check(end == status, "a child ended with \(end), not \(status)")
    }
}

/// Says on standard error what a child found wrong.
func complain(_ text: String) {
    let line = Array((text + "\n").utf8)
    _ = line.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
}

/// Numbers in memory that the forked children share.
struct Numbers: @unchecked Sendable {  // touched by atomic operations only
    private let words: UnsafeMutablePointer<Atomic<Int>>

    init(_ count: Int) {
        let memory = mmap(
            nil, count * 8, PROT_READ | PROT_WRITE, MAP_SHARED | Int32(MAP_ANONYMOUS), -1, 0)!
        words = memory.assumingMemoryBound(to: Atomic<Int>.self)
    }

    subscript(index: Int) -> Int {
        get { words[index].load(ordering: .sequentiallyConsistent) }
        nonmutating set { words[index].store(newValue, ordering: .sequentiallyConsistent) }
    }

    @discardableResult
    func add(_ index: Int, _ amount: Int = 1) -> Int {
        words[index].add(amount, ordering: .sequentiallyConsistent).newValue
    }

    /// Writes a new value, and gives back what was there.
    func swap(_ index: Int, _ value: Int) -> Int {
        words[index].exchange(value, ordering: .sequentiallyConsistent)
    }

    /// Writes `new` if it is `old`. Returns whether it was.
    func replace(_ index: Int, _ old: Int, by new: Int) -> Bool {
        words[index].compareExchange(
            expected: old, desired: new, ordering: .sequentiallyConsistent
        ).exchanged
    }
}
