// SharedKinds.swift - what threads have, and what processes share, by the same verbs: one suite runs over both.

import SpoolProcesses
import SpoolThreads

/// The verbs of every lock.
protocol AnyLock: AnyObject, Sendable {
    var locked: Bool { get }
    func acquire() throws(SpoolError)
    func acquire(timeout: Duration?) throws(SpoolError) -> Bool
    func acquire(blocking: Bool) throws(SpoolError) -> Bool
    func release()
    func holding<Value>(_ body: () throws -> Value) throws -> Value
}

extension Lock: AnyLock {
    func holding<Value>(_ body: () throws -> Value) throws -> Value { try withLock(body) }
}
extension RLock: AnyLock {
    func holding<Value>(_ body: () throws -> Value) throws -> Value { try withLock(body) }
}
extension SharedLock: AnyLock {
    func holding<Value>(_ body: () throws -> Value) throws -> Value {
        try withLock { _ in try body() }
    }
}
extension SharedRLock: AnyLock {
    func holding<Value>(_ body: () throws -> Value) throws -> Value {
        try withLock { _ in try body() }
    }
}

/// The kinds of locks that one suite is run over.
enum LockKind: CaseIterable {
    case lock, rlock, shared, sharedRecursive

    func make() throws -> any AnyLock {
        switch self {
        case .lock: Lock()
        case .rlock: RLock()
        case .shared: try SharedLock()
        case .sharedRecursive: try SharedRLock()
        }
    }
}

/// The verbs of every semaphore.
protocol AnySemaphore: AnyObject, Sendable {
    var value: Int { get }
    var waiting: Int { get }
    func acquire() throws(SpoolError)
    func acquire(timeout: Duration?) throws(SpoolError) -> Bool
    func acquire(blocking: Bool) throws(SpoolError) -> Bool
    func release(_ count: Int) throws(SpoolError)
    func using<Value>(_ body: () throws -> Value) throws -> Value
}

extension AnySemaphore {
    func release() throws { try release(1) }
}

extension Semaphore: AnySemaphore {
    func using<Value>(_ body: () throws -> Value) throws -> Value { try withAcquired(body) }
}
extension SharedSemaphore: AnySemaphore {
    func using<Value>(_ body: () throws -> Value) throws -> Value { try withAcquired(body) }
}

/// The kinds of semaphores.
enum SemaphoreKind: CaseIterable {
    case plain, bounded, shared, sharedBounded

    static let ofEither: [SemaphoreKind] = [.plain, .shared]
    static let ofBound: [SemaphoreKind] = [.bounded, .sharedBounded]

    func make(_ value: Int = 1) throws -> any AnySemaphore {
        switch self {
        case .plain: Semaphore(value)
        case .bounded: BoundedSemaphore(value)
        case .shared: try SharedSemaphore(value)
        case .sharedBounded: try SharedBoundedSemaphore(value)
        }
    }
}

/// The verbs of every event.
protocol AnyEvent: AnyObject, Sendable {
    var isSet: Bool { get }
    var waiting: Int { get }
    func set() throws(SpoolError)
    func clear() throws(SpoolError)
    func wait() throws(SpoolError)
    func wait(timeout: Duration?) throws(SpoolError) -> Bool
}

extension Event: AnyEvent {}
extension SharedEvent: AnyEvent {}

/// Whose threads meet: those of one process, or of all.
enum Distance: CaseIterable {
    case threads, processes

    func event() throws -> any AnyEvent {
        switch self {
        case .threads: Event()
        case .processes: try SharedEvent()
        }
    }

    func condition(plain: Bool = false) throws -> any AnyCondition {
        switch self {
        case .threads: plain ? Condition(Lock()) : Condition()
        case .processes: plain ? try SharedCondition(SharedLock()) : try SharedCondition()
        }
    }

    func barrier(
        _ parties: Int, timeout: Duration? = nil,
        action: @escaping @Sendable () throws -> Void = {}
    ) throws -> any AnyBarrier {
        switch self {
        case .threads: Barrier(parties, timeout: timeout, action: action)
        case .processes: try SharedBarrier(parties, timeout: timeout, action: action)
        }
    }
}

/// The verbs of every condition.
protocol AnyCondition: AnyObject, Sendable {
    var waiting: Int { get }
    func wait(timeout: Duration?) throws(SpoolError) -> Bool
    func waitFor(timeout: Duration?, _ predicate: () throws -> Bool) throws -> Bool
    func notify(_ count: Int) throws(SpoolError)
    func notifyAll() throws(SpoolError)
    func holding<Value>(_ body: () throws -> Value) throws -> Value
}

extension AnyCondition {
    func wait() throws -> Bool { try wait(timeout: nil) }
    func waitFor(_ predicate: () throws -> Bool) throws -> Bool {
        try waitFor(timeout: nil, predicate)
    }
    func notify() throws { try notify(1) }
}

extension Condition: AnyCondition {
    func holding<Value>(_ body: () throws -> Value) throws -> Value { try withLock(body) }
}
extension SharedCondition: AnyCondition {
    func holding<Value>(_ body: () throws -> Value) throws -> Value {
        try withLock { _ in try body() }
    }
}

/// The verbs of every barrier.
protocol AnyBarrier: AnyObject, Sendable {
    var broken: Bool { get }
    var nWaiting: Int { get }
    @discardableResult func wait(timeout: Duration?) throws -> Int
    func abort() throws(SpoolError)
    func reset() throws(SpoolError)
}

extension AnyBarrier {
    @discardableResult func wait() throws -> Int { try wait(timeout: nil) }
}

extension Barrier: AnyBarrier {}
extension SharedBarrier: AnyBarrier {}
