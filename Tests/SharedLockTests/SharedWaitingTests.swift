// SharedWaitingTests.swift - events, conditions and barriers between processes (cML, cMB), and deaths in their lines.

import Testing

@Suite("An event between processes", .timeLimit(.minutes(10))) struct SharedEventTests {
    @Test(
        "cML14, cE4: clear, set, set by another process and cleared at once: waits end as they should"
    )
    func event() throws { try play("event") }

    @Test("R2: those that are killed while they wait leave no trace")
    func dead() throws { try play("event-dead") }
}

@Suite("A condition between processes", .timeLimit(.minutes(10))) struct SharedConditionTests {
    @Test("cML8: six are late by themselves; six new ones are all woken by notifyAll")
    func notifyAll() throws { try play("notify-all") }

    @Test("cML9: notify(2) wakes two of six, notify(4) the rest, a further one nobody")
    func notify() throws { try play("notify-n") }

    @Test("cML10, cML12: false after the limit, of a predicate that never holds as well")
    func limit() throws { try play("condition-limit") }

    @Test("cML11: a predicate comes true through another process's updates")
    func predicate() throws { try play("wait-for") }

    @Test(
        "R2: one that was killed in line eats no notification; one that dies with it passes it on")
    func dead() throws { try play("notify-dead") }

    @Test("R2: who is notified by one that dies with the lock has the lock, and is told")
    func deadNotifier() throws { try play("condition-owner") }
}

@Suite("A barrier between processes", .timeLimit(.minutes(10))) struct SharedBarrierTests {
    @Test("cMB1: keeps its parties in step, ten phases in a row")
    func step() throws { try play("barrier") }

    @Test("cMB2: gives each party a number of its own")
    func numbers() throws { try play("barrier-index") }

    @Test("cMB3: its action runs once for each phase, before anybody passes")
    func action() throws { try play("barrier-action") }

    @Test("cMB5: a reset breaks it for those that wait; then it is as new")
    func reset() throws { try play("barrier-reset") }

    @Test("cMB6: it works again after an abort by another process and a reset")
    func abort() throws { try play("barrier-abort") }

    @Test("cMB7: a late party breaks it for all")
    func late() throws { try play("barrier-late") }

    @Test("cMB8: a limit given at its creation applies to waits without their own")
    func ownLimit() throws { try play("barrier-limit") }

    @Test("cMB9: one of a single party never waits")
    func single() throws { try play("barrier-single") }

    @Test("R2: a party that is killed while it waits breaks it for the others, whichever it is")
    func dead() throws { try play("barrier-dead") }

    @Test("R2: so does the last one, killed while it runs the action")
    func deadAction() throws { try play("barrier-dead-action") }
}
