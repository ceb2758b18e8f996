// LifeTests.swift - one child: its start, its life and its end.

import SpoolProcesses
import Testing

@Suite("A child process", .timeLimit(.minutes(10))) struct LifeTests {
    @Test("cPR3: its input arrives unchanged", arguments: StartMethod.allCases)
    func arguments(_ method: StartMethod) throws {
        try Rig.run("arguments", method.rawValue)
        try Rig.run("large", method.rawValue)
    }

    @Test(
        "cPR9: a join for no time returns at once; after terminate it returns, with SIGTERM",
        arguments: StartMethod.allCases)
    func terminate(_ method: StartMethod) throws { try Rig.run("terminate", method.rawValue) }

    @Test(
        "cPR10: killed it ends with SIGKILL, and leaves no zombie", arguments: StartMethod.allCases)
    func kill(_ method: StartMethod) throws { try Rig.run("kill", method.rawValue) }

    @Test("cPR12: is listed exactly between start and join", arguments: StartMethod.allCases)
    func active(_ method: StartMethod) throws { try Rig.run("active", method.rawValue) }

    @Test(
        "cPR14: has a sentinel after its start, ready after its end",
        arguments: StartMethod.allCases)
    func sentinel(_ method: StartMethod) throws { try Rig.run("sentinel", method.rawValue) }

    @Test(
        "cPR15: cannot be closed while it runs; afterwards twice, and every use is an error",
        arguments: StartMethod.allCases)
    func close(_ method: StartMethod) throws { try Rig.run("close", method.rawValue) }

    @Test(
        "cPR16: many end well, many are ended, and nothing is left", arguments: StartMethod.allCases
    )
    func many(_ method: StartMethod) throws {
        try Rig.run(method == .spawn ? "few" : "many", method.rawValue)
    }

    @Test("cPR17: its object keeps neither its closure after the start nor itself after the join")
    func released() throws { try Rig.run("released") }

    @Test(
        "cPR20: ends well although the parent's standard streams are closed",
        arguments: StartMethod.allCases)
    func streams(_ method: StartMethod) throws { try Rig.run("streams", method.rawValue) }

    @Test(
        "cPR21, cPR26: its status is what it exits or throws; broken streams are no failure",
        arguments: StartMethod.allCases)
    func exits(_ method: StartMethod) throws {
        #expect(try Rig.run("exits", method.rawValue).contains("no more flour\n"))
    }

    @Test("cPR26: an error is written to standard error", arguments: StartMethod.allCases)
    func errors(_ method: StartMethod) throws {
        let text = try Rig.run("errors", method.rawValue)
        #expect(text == "process 'baker' ended with an error: the oven is cold\n")
    }

    @Test(
        "cPR24: serves with a loop of its own until told to stop", arguments: StartMethod.allCases)
    func server(_ method: StartMethod) throws { try Rig.run("server", method.rawValue) }

    @Test("cMQ16: buffered output is not written twice", arguments: StartMethod.allCases)
    func output(_ method: StartMethod) throws {
        let text = try Rig.run("output", method.rawValue)
        #expect(["once child parent\n", " childonce parent\n"].contains(text))
    }

    @Test(
        "an entry that is not registered is refused with a sentence",
        arguments: [StartMethod.forkServer, .spawn])
    func unregistered(_ method: StartMethod) throws { try Rig.run("unregistered", method.rawValue) }

    @Test("runs once", arguments: StartMethod.allCases)
    func twice(_ method: StartMethod) throws { try Rig.run("twice", method.rawValue) }

    @Test(
        "is forked only from a process with one thread; other methods do not mind",
        arguments: StartMethod.allCases)
    func threads(_ method: StartMethod) throws { try Rig.run("threads", method.rawValue) }

    @Test(
        "is an error, and leaves nothing behind, when the table of descriptors is full",
        arguments: StartMethod.allCases)
    func descriptors(_ method: StartMethod) throws { try Rig.run("descriptors", method.rawValue) }
}
