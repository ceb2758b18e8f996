// FutureCell.swift - the part of a future that does not depend on its value: its phase, its lock, and who waits.
//
// Invariants: the phase goes pending -> running -> finished, or pending -> cancelled, and never back. It becomes
// finished or cancelled with the lock held, after the outcome was written: who reads such a phase may read the outcome
// without the lock. Nobody is put into the line from then on.

public import SpoolThreads
public import Synchronization

/// How far a future has come, as a word that changes atomically.
@usableFromInline enum FuturePhase {
    @usableFromInline static let pending: UInt32 = 0
    @usableFromInline static let running: UInt32 = 1
    @usableFromInline static let cancelled: UInt32 = 2
    @usableFromInline static let finished: UInt32 = 3
}

/// One block of memory: the line of those that wait, the word of the lock, the phase. Its owner frees it.
@usableFromInline struct FutureCell: @unchecked Sendable {  // atomic words, a guarded line
    @usableFromInline let line: UnsafeMutablePointer<WaitingLine>

    @inlinable init() {
        let lineBytes = MemoryLayout<WaitingLine>.stride
        let memory = UnsafeMutableRawPointer.allocate(byteCount: lineBytes + 8, alignment: 8)
        line = memory.bindMemory(to: WaitingLine.self, capacity: 1)
        line.initialize(to: WaitingLine())
        let words = (memory + lineBytes).bindMemory(to: Atomic<UInt32>.self, capacity: 2)
        words.initialize(to: Atomic(0))
        (words + 1).initialize(to: Atomic(FuturePhase.pending))
    }

    /// Nobody may use it any more.
    @inlinable func free() { UnsafeMutableRawPointer(line).deallocate() }

    @inlinable var words: UnsafeMutablePointer<Atomic<UInt32>> {
        UnsafeMutableRawPointer(line + 1).assumingMemoryBound(to: Atomic<UInt32>.self)
    }

    @inlinable var lock: WordLock { WordLock(words) }

    @inlinable var phase: UInt32 { (words + 1).pointee.load(ordering: .acquiring) }

    @inlinable var isDone: Bool { phase >= FuturePhase.cancelled }

    /// From pending to running, unless it was cancelled before.
    @inlinable func begin() -> Bool { move(from: FuturePhase.pending, to: FuturePhase.running) }

    /// From one phase to another, if it is in the first.
    @inlinable func move(from old: UInt32, to new: UInt32) -> Bool {
        (words + 1).pointee.compareExchange(
            expected: old, desired: new, ordering: .acquiringAndReleasing
        ).exchanged
    }

    /// The outcome is written. Called with the lock held.
    @inlinable func settle() {
        (words + 1).pointee.store(FuturePhase.finished, ordering: .releasing)
    }

    /// Sleeps until the future is done or the deadline. Called with the lock held, when it is not done; releases it.
    func sleep(until deadline: Deadline) -> WaitOutcome {
        Waiter.sleep(in: line, atFront: false, lock, until: deadline)
    }
}
