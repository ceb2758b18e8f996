// EdgeTests.swift - what happens at the edges: nothing is left, somebody else asks too, a peer breaks the rules.

import SpoolProcesses
import Testing

@Suite("At the edges, a connection", .timeLimit(.minutes(10))) struct ConnectionEdgeTests {
    @Test("is not woken in a forked child when its parent closes its own copy")
    func sharedBell() throws { try Rig.run("sharedBell") }

    @Test("is closed when the rest of a message cannot be sent, as the next would be taken for it")
    func halfSent() throws { try Rig.run("halfSent") }

    @Test("refuses descriptors in the midst of a message, and keeps none")
    func strays() throws { try Rig.run("strays") }
}

@Suite("At the edges, a child", .timeLimit(.minutes(10))) struct ChildEdgeTests {
    @Test(
        "cFS2: ends after its pools have done what was submitted, dropped and kept ones",
        arguments: StartMethod.allCases)
    func poolsAtEnd(_ method: StartMethod) throws { try Rig.run("poolsAtEnd", method.rawValue) }

    @Test("has its end told to one of several threads that wait for any, and to none once closed")
    func anyOnce() throws { try Rig.run("anyOnce") }

    @Test("whose end another thread sees while it starts is on no list afterwards")
    func watchedStart() throws { try Rig.run("watchedStart") }

    @Test("keeps nothing of a shared lock that is gone, in threads that have used it and go on")
    func locksLeft() throws { try Rig.run("locksLeft") }
}

@Suite("At the edges, a pool of processes", .timeLimit(.minutes(10))) struct PoolEdgeTests {
    private func run(_ name: String) throws { try Rig.run("pool-edge-" + name) }

    @Test("takes any number of processes and retries, the largest too")
    func numbers() throws { try run("numbers") }

    @Test(
        "R12: tells a task that its result, its chunk or its error has no room; its process goes on"
    )
    func answers() throws { try run("answers") }

    @Test("R12: says what its initializer threw, however long the text of that is")
    func longInitializer() throws { try run("longInitializer") }

    @Test("is left alone by a forked process that ends, and has ended a pool of its own")
    func forked() throws { try run("forked") }

    @Test("lets a callback wait for another task, and for one with a callback of its own")
    func inCallback() throws { try run("inCallback") }

    @Test("R12: forgets no task when a process cannot be made, and works when there is room again")
    func hiring() throws { try run("hiring") }

    @Test("leaves no thread behind when its second one cannot be started")
    func threads() throws { try run("threads") }

    @Test("or of threads is not kept when not one thread can be started")
    func noThread() throws { try run("noThread") }

    @Test("R12: is killed although its processes were stopped, whatever they held")
    func stopped() throws { try run("stopped") }
}
