// SharingCases.swift - one of each thing that processes share, handed to a child that has a program of its own.

import SpoolProcesses
import SpoolThreads

private let patience = Duration.seconds(30)

/// One of each.
struct Kit: Codable, Sendable {
    let lock: SharedLock
    let again: SharedRLock
    let pass: SharedSemaphore
    let bounded: SharedBoundedSemaphore
    let told: SharedEvent
    let change: SharedCondition
    let meeting: SharedBarrier
    let orders: SharedQueue<Int>

    init() throws {
        lock = try SharedLock()
        again = try SharedRLock()
        pass = try SharedSemaphore(0)
        bounded = try SharedBoundedSemaphore(1)
        told = try SharedEvent()
        change = try SharedCondition()
        meeting = try SharedBarrier(2)
        orders = try SharedQueue(maxsize: 2)
    }
}

/// The other side of the case.
let partner = ChildEntry("partner") { (kit: Kit) in
    try kit.lock.acquire()
    try kit.again.acquire()
    try kit.again.acquire()
    try kit.bounded.acquire()
    try kit.told.set()
    guard try kit.pass.acquire(timeout: patience) else { throw ChildExit(4) }
    try kit.bounded.release()
    for _ in 0..<2 { kit.again.release() }
    kit.lock.release()
    _ = try kit.meeting.wait(timeout: patience)
    while let number = try? kit.orders.get(timeout: patience), number > 0 {
        try kit.orders.taskDone()
    }
    try kit.change.withLock { _ in try kit.change.notify() }
    try kit.orders.taskDone()
}

let sharing: [String: Case] = [
    "kit": { method in
        let kit = try Kit()
        let child = try started(partner, kit, method)
        try check(kit.told.wait(timeout: patience), "the event is the same one")
        try check(!kit.lock.acquire(blocking: false), "the lock is the same one")
        try check(!kit.again.acquire(blocking: false), "the recursive lock is the same one")
        try check(!kit.bounded.acquire(blocking: false), "the bounded semaphore is the same one")
        try kit.pass.release()
        try check(kit.lock.acquire(timeout: patience), "the semaphore is the same one")
        try check(kit.again.acquire(timeout: patience), "each release gave one back")
        try check(kit.bounded.acquire(timeout: patience), "and so did this")
        _ = try kit.meeting.wait(timeout: patience)
        try kit.change.acquire()
        for number in [3, 2, 1, 0] { try kit.orders.put(number, timeout: patience) }
        try check(kit.change.wait(timeout: patience), "the condition is the same one")
        kit.change.release()
        try check(kit.orders.join(timeout: patience), "the queue is the same one")
        try child.join()
        try check(child.exitStatus?.exit == 0, "\(String(describing: child.exitStatus))")
    }
]
