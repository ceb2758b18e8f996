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
