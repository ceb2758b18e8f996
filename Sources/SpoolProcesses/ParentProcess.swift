// ParentProcess.swift - what a process knows about itself and about who started it.

private import CSpool
private import Glibc
private import SpoolSelectors
public import SpoolThreads

/// The process that started this one. See multiprocessing.parent_process in Python.
///
/// Known by a descriptor: another process that gets its number is not taken for it. Safe from any thread.
public final class ParentProcess: Sendable {
    /// Its process id.
    public let pid: Int32
    /// What it is called; MainProcess, unless it is itself a child.
    public let name: String
    private let file: SharedDescriptor

    init(_ identity: Birth.Identity, _ descriptor: Int32) {
        pid = identity.parentID
        name = identity.parentName
        file = SharedDescriptor(owning: descriptor, "parent process", isClosable: false)
    }

    /// Whether it has not ended.
    public var isAlive: Bool { (try? join(timeout: .zero)) != true }  // a look does not fail

    /// Readable when it has ended; for ``Connection/wait(for:timeout:)`` and selectors. Python's sentinel.
    public var sentinel: Int32 { file.number }

    /// Blocks until it has ended.
    /// - Parameter timeout: Longest wait; nil waits for ever, zero or less only looks.
    /// - Returns: False when the time was up before.
    /// - Throws: `badInput` for a time longer than ``Deadline/longestTimeout``.
    @discardableResult
    public func join(timeout: Duration? = nil) throws(SpoolError) -> Bool {
        let deadline = try Deadline(checking: timeout.map { max($0, .zero) })
        return try file.wait(for: .read, until: deadline)
    }

    /// As the blocking form, for tasks: no thread is blocked.
    /// - Throws: as the blocking form, and `CancellationError`; `system` when descriptors are short.
    @discardableResult
    public nonisolated(nonsending) func join(timeout: Duration? = nil) async throws -> Bool {
        let deadline = try Deadline(checking: timeout.map { max($0, .zero) })
        return try await file.wait(for: .read, until: deadline)
    }
}

/// What this process is. See multiprocessing.current_process in Python.
public struct CurrentProcess: Sendable {
    /// What it is called; MainProcess if no ``ChildProcess`` made it.
    public let name: String
    /// Whether it ends with its parent and may have no children.
    public let daemon: Bool
    /// How it was made; nil if no ``ChildProcess`` made it.
    public let method: StartMethod?
    /// Who made it; nil if no ``ChildProcess`` did.
    public let parent: ParentProcess?
}

/// How a child process is made. See get_all_start_methods in Python.
public enum StartMethod: String, Codable, CaseIterable, Sendable {
    /// A copy of this process, with all that it has; only from a process with one thread. Runs a closure.
    case fork
    /// A fork of a small clean process that waits for it: quick, and possible with threads. Runs a ``ChildEntry``.
    case forkServer
    /// This program, executed anew. Runs a ``ChildEntry``.
    case spawn
}
