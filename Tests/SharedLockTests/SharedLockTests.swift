// SharedLockTests.swift - locks and semaphores between processes (cML), and what is left when a holder dies.

import SpoolProcesses
import Testing

@Suite("A lock between processes", .timeLimit(.minutes(10))) struct SharedLockTests {
    @Test("cML2: recursive: three acquires, three releases, a fourth is stopped")
    func recursive() throws { try play("rlock") }

    @Test("cML3: scoped use: held inside, for others too; free after a return and a throw")
    func scoped() throws { try play("scoped") }

    @Test("six processes take it 2,000 times each, one at a time")
    func crowd() throws { try play("lock-crowd") }

    @Test("R2: when its holder is killed one of those that sleep gets it, and is told, once")
    func deadOwner() throws { try play("dead-owner") }

    @Test("R2: a recursive one, too, however often the dead one had taken it")
    func deadRecursiveOwner() throws { try play("dead-rowner") }

    @Test("a thread that ends with the lock counts as dead")
    func endedThread() throws { try play("ended-thread") }

    @Test("R13: the seats of the dead are used again: forty holders die one after the other")
    func manyDead() throws { try play("many-dead") }

    @Test("a forked child uses its parent's lock, and does not hold what the parent holds")
    func forkHolding() throws { try play("fork-holding") }

    @Test("a holder that is stopped (SIGSTOP) keeps it")
    func stoppedOwner() throws { try play("stopped-owner") }
}

@Suite("A semaphore between processes", .timeLimit(.minutes(10))) struct SharedSemaphoreTests {
    @Test("cML4: its value goes 2, 1, 0; a try fails at 0; releases raise it, also above the start")
    func value() throws { try play("semaphore") }

    @Test("cML5: a bounded one stops a release beyond its first value, of another process too")
    func bounded() throws { try play("bounded") }

    @Test("cML6: limits of an empty one: 0 at once, else after the limit; the longest is taken")
    func limits() throws { try play("semaphore-limits") }

    @Test("R2: the units of a killed holder come back, to those who wait")
    func deadUnits() throws { try play("dead-units") }

    @Test("R2: those that were killed in line get no unit")
    func deadWaiters() throws { try play("dead-waiters") }

    @Test("any number is given back at once: the caller's unit, and new ones")
    func enormous() throws {
        let units = try SharedSemaphore(1)
        try units.acquire()
        try units.release(1 << 40)
        #expect(units.value == 1 << 40)
    }

    @Test("what another process gives back is a new unit; the taker's comes back at its death")
    func foreignUnits() throws { try play("foreign-units") }
}
